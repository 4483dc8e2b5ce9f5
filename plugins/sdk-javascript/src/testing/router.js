//! The router's side of every interface, for tests: it keeps what the plugin set, and shows it as samples do.

import { Buffer } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** The present of a run, its chance and its notes. */
export const world = { nowMs: 0, chance: 0n, logs: [], event: undefined, target: undefined, request: undefined };

const METHODS = ["get", "post", "put", "patch", "delete"];
const EVENT_TYPE = /^[A-Za-z0-9._:-]{1,256}$/;
/** Owned by the connection, the signature or a cloud's metadata service. */
const RESERVED = /^(host|connection|content-length|transfer-encoding|te|trailer|upgrade|webhook-.*|svix-.*|signature.*|metadata.*)$/;

/** A `result`'s error, in the engine's way. */
function refusal(message) {
  return Object.assign(new Error(message), { payload: message });
}

function checkHeader(name, value) {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw refusal(`\`${name}\` is no name of a header`);
  if (RESERVED.test(name.toLowerCase())) throw refusal(`the header \`${name}\` is the router's`);
  if (/[\r\n\0]/.test(value)) throw refusal(`the value of \`${name}\` has a control character`);
}

/** The node of `text` at a JSON pointer, as text. */
function node(text, pointer) {
  if (pointer !== "" && !pointer.startsWith("/")) throw refusal(`\`${pointer}\` is no JSON pointer`);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw refusal("the body is not JSON");
  }
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return null;
    value = value[key];
  }
  return JSON.stringify(value);
}

const bodyOf = (bytes) => ({
  bytes: () => Uint8Array.from(bytes),
  text: () => {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return null;
    }
  },
  json: (pointer) => node(Buffer.from(bytes).toString(), pointer),
});

export const handles = {
  event: ({ id, uid, type, channels, contentType, acceptedAt, bytes }) => ({
    ...bodyOf(bytes),
    id: () => id,
    uid: () => uid ?? null,
    eventType: () => type,
    channels: () => channels,
    acceptedAt: () => acceptedAt,
    contentType: () => contentType,
    size: () => bytes.length,
  }),
  target: ({ url, attempt, settings }) => ({
    endpointId: () => "ep_sample",
    url: () => url,
    attempt: () => attempt,
    settings: () => JSON.stringify(settings),
    setting: (pointer) => node(JSON.stringify(settings), pointer),
  }),
  origin: ({ name, settings }) => ({
    name: () => name,
    settings: () => JSON.stringify(settings),
    setting: (pointer) => node(JSON.stringify(settings), pointer),
  }),
  inbound: ({ method, path, query, headers, receivedAt, bytes }) => ({
    ...bodyOf(bytes),
    method: () => method,
    path: () => path,
    query: () => query,
    header: (name) => headers[name.toLowerCase()] ?? null,
    headerNames: () => Object.keys(headers),
    receivedAt: () => receivedAt,
  }),
  response: ({ status, headers, bytes }) => ({
    ...bodyOf(bytes),
    isLeftToStatus: false,
    status: () => status,
    header: (name) => headers[name.toLowerCase()] ?? null,
    noOpinion() { this.isLeftToStatus = true; },
  }),
};

class Request {
  made = { method: "POST", url: world.target?.url, headers: {}, bytes: world.event?.bytes };

  setMethod(method) {
    if (!METHODS.includes(method)) throw new TypeError(`no method ${method}`);
    this.made.method = method.toUpperCase();
  }
  setUrl(url) {
    if (!URL.canParse(url) || new URL(url).origin !== new URL(world.target.url).origin) {
      throw refusal(`\`${url}\` is not within the origins that the endpoint allows`);
    }
    this.made.url = url;
  }
  setHeader(name, value) {
    checkHeader(name, value);
    this.made.headers[name.toLowerCase()] = value;
  }
  appendHeader(name, value) {
    checkHeader(name, value);
    const before = this.made.headers[name.toLowerCase()];
    this.made.headers[name.toLowerCase()] = before === undefined ? value : `${before}, ${value}`;
  }
  setSecretHeader(name, prefix, secret, suffix) {
    checkHeader(name, prefix + suffix);
    this.made.headers[name.toLowerCase()] = `${prefix}{secret:${secret}}${suffix}`;
  }
  removeHeader(name) { delete this.made.headers[name.toLowerCase()]; }
  setBody(bytes) { this.made.bytes = bytes; }
  setBodyText(text) { this.made.bytes = new TextEncoder().encode(text); }
  setBodyPatch(patch) {
    const original = JSON.parse(Buffer.from(world.event.bytes).toString());
    this.setBodyText(JSON.stringify(merged(original, JSON.parse(patch))));
  }
  setBodyOriginal() { this.made.bytes = world.event.bytes; }
  setPartKey(key) {
    if (!EVENT_TYPE.test(key)) throw refusal(`\`${key}\` is no part key`);
    this.made.part_key = key;
  }
}

/** RFC 7396, section 2. */
function merged(value, patch) {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const result = isObject ? { ...value } : {};
  for (const [key, change] of Object.entries(patch)) {
    if (change === null) delete result[key];
    else result[key] = merged(result[key], change);
  }
  return result;
}

class NewEvent {
  made = { content_type: world.request?.contentType, bytes: world.request?.bytes };

  static create(type) {
    if (!EVENT_TYPE.test(type)) throw refusal(`\`${type}\` is no event type`);
    const event = new NewEvent();
    event.made.type = type;
    return event;
  }
  setUid(uid) { this.made.uid = uid; }
  setChannels(channels) {
    if (channels.length > 5) throw refusal("an event has at most five channels");
    this.made.channels = channels;
  }
  setContentType(contentType) { this.made.content_type = contentType; }
  setBody(bytes) { this.made.bytes = bytes; }
  setBodyText(text) { this.made.bytes = new TextEncoder().encode(text); }
}

class Reply {
  made = { headers: {}, bytes: new Uint8Array() };

  static create(status) {
    if (!Number.isInteger(status) || status < 200 || status > 599) throw refusal(`${status} is no status`);
    const reply = new Reply();
    reply.made.status = status;
    return reply;
  }
  setHeader(name, value) {
    checkHeader(name, value);
    this.made.headers[name.toLowerCase()] = value;
  }
  setBody(bytes) { this.made.bytes = bytes; }
  setBodyText(text) { this.made.bytes = new TextEncoder().encode(text); }
}

/** Every named secret of a sample has this value. */
const secretOf = (name) => `sample-secret-${name}`;
const hmac = (algorithm, key, data) => createHmac(algorithm, secretOf(key)).update(data).digest();

export const interfaces = {
  outbound: { Request },
  inbound: { NewEvent, Reply },
  log: { write: (level, message) => world.logs.push({ level, message }) },
  ambient: {
    nowMs: () => world.nowMs,
    randomU64: () => {
      // Knuth's generator (MMIX): repeatable is all that it has to be.
      world.chance = BigInt.asUintN(64, world.chance * 6364136223846793005n + 1442695040888963407n);
      return Number(world.chance);
    },
  },
  crypto: {
    hash: (algorithm, data) => Uint8Array.from(createHash(algorithm).update(data).digest()),
    hmac: (algorithm, key, data) => Uint8Array.from(hmac(algorithm, key, data)),
    hmacVerify: (algorithm, key, data, mac) => {
      const expected = hmac(algorithm, key, data);
      return expected.length === mac.length && timingSafeEqual(expected, mac);
    },
    signatureVerify: () => {
      throw refusal("samples have no key pairs: test this against a router");
    },
  },
};
