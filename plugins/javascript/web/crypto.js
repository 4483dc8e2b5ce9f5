//! `crypto`: identifiers that repeat with the run, digests and HMAC by the router.
//!
//! `createHash` and `createHmac` are those of Node.js. A key may be a text, bytes, or `secret("name")`, which the router
//! looks up: the script never sees it. `crypto.subtle` answers by promises, which nothing here waits for.

import host from "hookmill:plugin/crypto@1.0.0";

import { TextEncoder, base64, bytesOf } from "./text.js";

const ALGORITHMS = { sha1: 64, sha256: 64, sha512: 128 };
const ENCODINGS = {
  hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  base64,
  base64url: (bytes) => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""),
  latin1: (bytes) => String.fromCharCode(...bytes),
};

const encoder = new TextEncoder();

function algorithmOf(name) {
  const algorithm = String(name).toLowerCase().replace("-", "");
  if (!Object.hasOwn(ALGORITHMS, algorithm)) {
    throw new RangeError(`crypto: there is no \`${name}\`, only sha1, sha256 and sha512`);
  }
  return algorithm;
}

const asBytes = (data) => (typeof data === "string" ? encoder.encode(data) : bytesOf(data));

function joined(parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** What is fed piece by piece, and digested once. */
class Digester {
  #parts = [];
  #finish;

  constructor(finish) {
    this.#finish = finish;
  }

  update(data) {
    this.#parts.push(asBytes(data));
    return this;
  }

  digest(encoding) {
    if (encoding !== undefined && !Object.hasOwn(ENCODINGS, encoding)) {
      throw new TypeError(`digest: there is no encoding \`${encoding}\`, only ${Object.keys(ENCODINGS).join(", ")}`);
    }
    const bytes = this.#finish(joined(this.#parts));
    return encoding === undefined ? bytes : ENCODINGS[encoding](bytes);
  }
}

export function createHash(name) {
  const algorithm = algorithmOf(name);
  return new Digester((data) => Uint8Array.from(host.hash(algorithm, data)));
}

export function createHmac(name, key) {
  const algorithm = algorithmOf(name);
  if (key?.constructor?.name === "SecretValue") {
    if (key.prefix || key.suffix) throw new TypeError("createHmac: a secret is a key without prefix or suffix");
    return new Digester((data) => Uint8Array.from(named(algorithm, key.name, data)));
  }
  const block = ALGORITHMS[algorithm];
  let secret = asBytes(key);
  if (secret.length > block) secret = Uint8Array.from(host.hash(algorithm, secret));
  const padded = (pad) => Uint8Array.from({ length: block }, (_, at) => (secret[at] ?? 0) ^ pad);
  // RFC 2104, section 2.
  return new Digester((data) => {
    const inner = Uint8Array.from(host.hash(algorithm, joined([padded(0x36), data])));
    return Uint8Array.from(host.hash(algorithm, joined([padded(0x5c), inner])));
  });
}

function named(algorithm, name, data) {
  try {
    return host.hmac(algorithm, name, data);
  } catch (error) {
    throw typeof error?.payload === "string" ? new Error(error.payload) : error;
  }
}

export function getRandomValues(array) {
  const bytes = bytesOf(array);
  if (bytes.length > 65536) throw new RangeError("getRandomValues: more than 65536 bytes");
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Math.floor(Math.random() * 256);
  return array;
}

/** A version 4 UUID (RFC 9562) of the run's own numbers: the same when the run is done again. */
export function randomUUID() {
  const bytes = getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 0x40;
  bytes[8] = (bytes[8] & 63) | 0x80;
  return ENCODINGS.hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export function timingSafeEqual(one, other) {
  const [left, right] = [bytesOf(one), bytesOf(other)];
  if (left.length !== right.length) throw new RangeError("timingSafeEqual: the lengths differ");
  return left.reduce((difference, byte, at) => difference | (byte ^ right[at]), 0) === 0;
}

export const crypto = { createHash, createHmac, getRandomValues, randomUUID, timingSafeEqual };

Object.defineProperty(crypto, "subtle", {
  get() {
    throw new Error("crypto.subtle: it answers by promises, and nothing is waited for here: use crypto.createHmac or crypto.createHash");
  },
});
