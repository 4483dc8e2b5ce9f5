import { defineClassifier, fail, retry } from "@hookmill/plugin/classifier";

export const classifier = defineClassifier((response) => {
  if (response.status === 410) fail("the receiver is gone");
  if (response.status >= 300) retry(`status ${response.status}`);
  const error = response.json("/error/message");
  if (error !== undefined) retry(error);
});
