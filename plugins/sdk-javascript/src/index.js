//! Transforms: an event on its way to one endpoint becomes requests.

import "./runtime.js";
import { Request } from "hookmill:plugin/outbound@1.0.0";
import { Event, Target, asError, describe, onlyKeys, setBody } from "./message.js";
import { Fail, Retry, explain } from "./verdict.js";

export { fail, retry } from "./verdict.js";

/**
 * The type of the event that a plugin with `"checks_settings": true` in its manifest is shown when settings are set:
 * `fail` refuses them, anything else takes them.
 */
export const SETTINGS_CHECK = "hookmill.settings.check";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const REQUEST_KEYS = ["method", "url", "headers", "body", "patch", "partKey"];

class Drop {
  constructor(reason) {
    this.reason = reason;
  }
}

class SecretValue {
  constructor(name, prefix, suffix) {
    Object.assign(this, { name, prefix, suffix });
  }
}

/** Send nothing, on purpose. */
export function drop(reason) {
  return new Drop(String(reason));
}

/** A header's value with a secret in it, which the router writes when it sends the request. */
export function secret(name, { prefix = "", suffix = "" } = {}) {
  return new SecretValue(name, prefix, suffix);
}

/**
 * The export of a transform: `export const transform = defineTransform((event, target) => ({ ... }))`.
 */
export function defineTransform(handler) {
  return {
    run(event, target) {
      try {
        return outcome(handler(new Event(event), new Target(target)));
      } catch (error) {
        throw failure(error);
      }
    },
  };
}

/** What a handler returned, as the router takes it. */
export function outcome(returned) {
  if (returned instanceof Drop) return { tag: "drop", val: returned.reason };
  const requests = Array.isArray(returned) ? returned : [returned];
  if (requests.length === 0) {
    throw new TypeError("the handler returned an empty list: return drop(reason) to send nothing");
  }
  return { tag: "deliver", val: requests.map((request) => asError(() => build(request))) };
}

function failure(error) {
  if (error instanceof Retry) return { tag: "retryable", val: error.message };
  if (error instanceof Fail) return { tag: "permanent", val: error.message };
  return { tag: "permanent", val: explain(error) };
}

function build(request) {
  if (typeof request?.then === "function") {
    throw new TypeError("the handler returned a promise: nothing here is worth waiting for, so drop the `async`");
  }
  if (request === undefined || request === null) {
    throw new TypeError(`the handler returned ${describe(request)}: return a request, or drop(reason)`);
  }
  onlyKeys(request, "a request", REQUEST_KEYS);
  const built = new Request();
  if (request.method !== undefined) built.setMethod(methodOf(request.method));
  if (request.url !== undefined) built.setUrl(String(request.url));
  for (const [name, value] of Object.entries(request.headers ?? {})) setHeader(built, name, value);
  if (request.patch !== undefined) built.setBodyPatch(JSON.stringify(request.patch));
  else if (request.body !== undefined) setBody(built, request.body);
  if (request.partKey !== undefined) built.setPartKey(String(request.partKey));
  return built;
}

function methodOf(method) {
  if (METHODS.includes(method)) return method.toLowerCase();
  throw new TypeError(`a request's method is one of ${METHODS.join(", ")}, not ${String(method)}`);
}

function setHeader(built, name, value) {
  if (value instanceof SecretValue) built.setSecretHeader(name, value.prefix, value.name, value.suffix);
  else if (Array.isArray(value)) value.forEach((one) => built.appendHeader(name, String(one)));
  else if (value !== undefined && value !== null) built.setHeader(name, String(value));
}
