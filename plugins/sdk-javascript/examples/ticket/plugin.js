import { defineTransform } from "@hookmill/plugin";

export const transform = defineTransform((event) => {
  const { id, subject, ...rest } = event.json();
  return { headers: { "x-kind": "ticket" }, body: { reference: id, title: subject, ...rest } };
});
