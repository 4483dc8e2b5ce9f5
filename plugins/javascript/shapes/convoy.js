//! Convoy: `function transform(payload) { return payload; }`.

import { fail } from "@hookmill/plugin";

import { Payload, asPayload } from "./payload.js";

export function convoy(handler, event) {
  const body = handler(new Payload(event).value);
  if (body === undefined) fail("transform returned undefined: return the payload");
  return { body: asPayload(body, event) };
}
