//! Svix: `function handler(webhook) { ...; return webhook; }`.
//!
//! `method` and `url` of the request, `payload`, and `eventType` to read; `cancel` and `headers` may be set.

import { drop, fail } from "@hookmill/plugin";

import { Payload, asPayload, returned } from "./payload.js";

/** What Svix sends webhooks with. */
const METHODS = ["POST", "PUT"];

export function svix(handler, event, target) {
  const payload = new Payload(event);
  const { url } = target;
  const given = { method: "POST", url, eventType: event.type, headers: {}, cancel: false };
  const webhook = returned(handler(payload.lendTo(given, "payload")), "return the webhook");
  if (webhook.cancel === true) return drop("cancelled by the script");
  const method = webhook.method ?? "POST";
  if (!METHODS.includes(method)) fail(`webhook.method is ${JSON.stringify(method)}: it may be POST or PUT`);
  return {
    method,
    url: webhook.url === url ? undefined : webhook.url,
    headers: webhook.headers,
    body: asPayload(payload.bodyIn(webhook, "payload"), event),
  };
}
