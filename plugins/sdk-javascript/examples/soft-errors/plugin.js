import { defineClassifier, fail, retry } from "@hookmill/plugin/classifier";

export const classifier = defineClassifier((response) => {
  const error = response.json("/error/message");
  if (error === "unknown recipient") fail(error);
  if (error !== undefined) retry(error);
});
