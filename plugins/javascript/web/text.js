//! Text and bytes: `TextEncoder`, `TextDecoder`, `btoa`, `atob`.

const REPLACEMENT = "\ufffd";
const LABELS = { "utf-8": "utf-8", utf8: "utf-8", "unicode-1-1-utf-8": "utf-8", ascii: "windows-1252", latin1: "windows-1252", "iso-8859-1": "windows-1252" };

export class TextEncoder {
  get encoding() { return "utf-8"; }

  encode(text = "") {
    const bytes = [];
    for (const character of String(text)) pushUtf8(bytes, scalar(character.codePointAt(0)));
    return Uint8Array.from(bytes);
  }

  encodeInto(text, into) {
    let [read, written] = [0, 0];
    for (const character of String(text)) {
      const bytes = [];
      pushUtf8(bytes, scalar(character.codePointAt(0)));
      if (written + bytes.length > into.length) break;
      into.set(bytes, written);
      read += character.length;
      written += bytes.length;
    }
    return { read, written };
  }
}

/** Surrogates without their other half have no bytes. */
function scalar(code) {
  return code >= 0xd800 && code <= 0xdfff ? 0xfffd : code;
}

function pushUtf8(bytes, code) {
  if (code < 0x80) bytes.push(code);
  else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
  else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
}

export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBom;

  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    this.#encoding = LABELS[String(label).trim().toLowerCase()];
    if (this.#encoding === undefined) throw new RangeError(`TextDecoder: \`${label}\` is not here, only utf-8 and latin1`);
    this.#fatal = Boolean(fatal);
    this.#ignoreBom = Boolean(ignoreBOM);
  }

  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBom; }

  decode(input = new Uint8Array(), { stream = false } = {}) {
    if (stream) throw new TypeError("TextDecoder: streams are not here, give it all bytes at once");
    const bytes = bytesOf(input);
    if (this.#encoding !== "utf-8") return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    const text = decodeUtf8(bytes, this.#fatal);
    return !this.#ignoreBom && text.startsWith("\ufeff") ? text.slice(1) : text;
  }
}

/** The bytes of a buffer or a view of one. */
export function bytesOf(input) {
  if (input instanceof Uint8Array) return input;
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  throw new TypeError("bytes are wanted: a Uint8Array or an ArrayBuffer");
}

/** What begins with `byte`: how many follow, and the range of the first of them (Unicode, table 3-7). */
function sequence(byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return [1, 0x80, 0xbf];
  if (byte >= 0xe0 && byte <= 0xef) return [2, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf];
  if (byte >= 0xf0 && byte <= 0xf4) return [3, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf];
  return undefined;
}

function decodeUtf8(bytes, fatal) {
  const parts = [];
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at++];
    if (byte < 0x80) {
      parts.push(String.fromCharCode(byte));
      continue;
    }
    const [more, low, high] = sequence(byte) ?? [0];
    let code = byte & (0x3f >> more);
    let [least, most, read] = [low, high, 0];
    while (read < more && bytes[at] >= least && bytes[at] <= most) {
      code = (code << 6) | (bytes[at++] & 63);
      [least, most] = [0x80, 0xbf];
      read += 1;
    }
    if (more === 0 || read < more) {
      if (fatal) throw new TypeError("TextDecoder: the bytes are not UTF-8");
      parts.push(REPLACEMENT);
    } else {
      parts.push(String.fromCodePoint(code));
    }
  }
  return parts.join("");
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const left = bytes.length - at;
    text += DIGITS[a >> 2] + DIGITS[((a & 3) << 4) | (b >> 4)];
    text += left > 1 ? DIGITS[((b & 15) << 2) | (c >> 6)] : "=";
    text += left > 2 ? DIGITS[c & 63] : "=";
  }
  return text;
}

export function btoa(text) {
  const codes = Array.from(String(text), (character) => character.codePointAt(0));
  if (codes.some((code) => code > 255)) throw new RangeError("btoa: a character beyond Latin 1; encode the text first");
  return base64(Uint8Array.from(codes));
}

export function atob(text) {
  let digits = String(text).replace(/[\t\n\f\r ]/g, "");
  if (digits.length % 4 === 0) digits = digits.replace(/==?$/, "");
  if (digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) throw new RangeError("atob: this is not base64");
  let [found, bits, held] = ["", 0, 0];
  for (const digit of digits) {
    held = ((held << 6) | DIGITS.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      found += String.fromCharCode((held >> bits) & 255);
    }
  }
  return found;
}
