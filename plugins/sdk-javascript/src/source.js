//! Sources: what a provider posts becomes events.

import "./runtime.js";
import { NewEvent, Reply } from "hookmill:plugin/inbound@1.0.0";
import { InboundRequest, Origin, asError, onlyKeys, setBody } from "./message.js";

const EVENT_KEYS = ["type", "uid", "channels", "contentType", "body"];
const REPLY_KEYS = ["status", "headers", "body"];

class Rejection extends Error {}

class Answer {
  constructor(parts) {
    onlyKeys(parts, "a reply", REPLY_KEYS);
    this.parts = parts;
  }
}

/** Answer so and store nothing: a handshake. */
export function reply(parts) {
  return new Answer(parts);
}

/** Not authentic, or not understood. Ends the run from wherever it is called. */
export function reject(reason) {
  throw new Rejection(String(reason));
}

/**
 * The export of a source: `export const source = defineSource((request, origin) => [{ type: "...", body: ... }])`.
 */
export function defineSource(handler) {
  return {
    receive(request, origin) {
      try {
        return verdict(handler(new InboundRequest(request), new Origin(origin)));
      } catch (error) {
        if (error instanceof Rejection) return { tag: "reject", val: error.message };
        // A mistake of the plugin is no verdict about the request: the run fails, and the provider sends it again.
        console.error(error);
        throw error;
      }
    },
  };
}

function verdict(returned) {
  if (returned instanceof Answer) return { tag: "reply", val: asError(() => buildReply(returned.parts)) };
  const events = Array.isArray(returned) ? returned : [returned];
  return { tag: "accept", val: events.map((event) => asError(() => buildEvent(event))) };
}

function buildEvent(event) {
  onlyKeys(event, "an event", EVENT_KEYS);
  const built = NewEvent.create(String(event.type));
  if (event.uid !== undefined) built.setUid(String(event.uid));
  if (event.channels !== undefined) built.setChannels(event.channels);
  if (event.contentType !== undefined) built.setContentType(event.contentType);
  if (event.body !== undefined) {
    if (event.contentType === undefined && typeof event.body === "object" && !(event.body instanceof Uint8Array)) {
      built.setContentType("application/json");
    }
    setBody(built, event.body);
  }
  return built;
}

function buildReply({ status = 200, headers = {}, body }) {
  const built = Reply.create(status);
  for (const [name, value] of Object.entries(headers)) built.setHeader(name, String(value));
  if (body !== undefined) setBody(built, body);
  return built;
}
