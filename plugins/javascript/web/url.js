//! `URL` and `URLSearchParams`, as the URL Standard of the WHATWG has them; names of hosts beyond ASCII have to come as
//! `xn--...`, since their tables are larger than this whole plugin.

import { TextDecoder, TextEncoder } from "./text.js";

const SPECIAL = { "ftp:": "21", "file:": "", "http:": "80", "https:": "443", "ws:": "80", "wss:": "443" };
/** What each part writes as percent and two digits, beside control characters and what is not ASCII. */
const SETS = {
  fragment: ' "<>`',
  query: ' "#<>',
  specialQuery: ' "#<>\'',
  path: ' "#<>?^`{}',
  userinfo: ' "#<>?^`{}/:;=@[\\]|',
  opaque: "",
};
const FORBIDDEN_IN_HOST = /[\u0000-\u0020"#%/:<>?@[\\\]^`{|}\u007f]/;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const hex = (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;

function escaped(text, set) {
  let found = "";
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code > 0x1f && code < 0x7f && !set.includes(character)) found += character;
    else found += Array.from(encoder.encode(character), hex).join("");
  }
  return found;
}

function unescaped(text) {
  if (!text.includes("%")) return text;
  const bytes = encoder.encode(text);
  const found = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const digits = bytes[at] === 37 ? String.fromCharCode(bytes[at + 1], bytes[at + 2]) : "";
    if (/^[0-9A-Fa-f]{2}$/.test(digits)) {
      found.push(Number.parseInt(digits, 16));
      at += 2;
    } else {
      found.push(bytes[at]);
    }
  }
  return decoder.decode(Uint8Array.from(found));
}

class Invalid extends Error {}

function parseHost(text, isSpecial) {
  if (text.startsWith("[")) {
    if (!text.endsWith("]")) throw new Invalid();
    return `[${compressed(parseIpv6(text.slice(1, -1)))}]`;
  }
  if (!isSpecial) {
    if (/[\u0000\t\n\r #/:<>?@[\\\]^|]/.test(text)) throw new Invalid();
    return escaped(text, SETS.opaque);
  }
  const host = unescaped(text).toLowerCase();
  if (/[^\u0000-\u007f]/.test(host)) throw new Invalid("a host beyond ASCII: write it as xn--...");
  if (host === "" || FORBIDDEN_IN_HOST.test(host)) throw new Invalid();
  return parseIpv4(host) ?? host;
}

/** The address where the last part is a number, which may be hexadecimal or octal, and cover several bytes. */
function parseIpv4(host) {
  const parts = host.split(".");
  if (parts.at(-1) === "" && parts.length > 1) parts.pop();
  if (!/^(\d+|0x[0-9a-f]*)$/.test(parts.at(-1))) return undefined;
  const numbers = parts.map((part) => {
    if (/^0x[0-9a-f]*$/.test(part)) return part === "0x" ? 0 : Number.parseInt(part, 16);
    if (/^0[0-7]*$/.test(part)) return Number.parseInt(part, 8);
    return /^[1-9]\d*$/.test(part) ? Number(part) : Number.NaN;
  });
  const last = numbers.pop();
  const isWrong = numbers.length > 3 || numbers.some((number) => !(number <= 255)) || !(last < 256 ** (4 - numbers.length));
  if (isWrong) throw new Invalid();
  const value = numbers.reduce((sum, number, at) => sum + number * 256 ** (3 - at), last);
  return [3, 2, 1, 0].map((place) => Math.floor(value / 256 ** place) % 256).join(".");
}

function parseIpv6(text) {
  let words = text;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted) {
    const bytes = dotted.slice(2).map(Number);
    if (bytes.some((byte) => byte > 255)) throw new Invalid();
    words = dotted[1] + ((bytes[0] << 8) | bytes[1]).toString(16) + ":" + ((bytes[2] << 8) | bytes[3]).toString(16);
  }
  const halves = words.split("::");
  if (halves.length > 2) throw new Invalid();
  const [head, tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if ([...head, ...tail].some((word) => !/^[0-9a-f]{1,4}$/i.test(word))) throw new Invalid();
  if (halves.length === 1 ? missing !== 0 : missing < 1) throw new Invalid();
  return [...head, ...Array(halves.length === 1 ? 0 : missing).fill("0"), ...tail].map((word) => Number.parseInt(word, 16));
}

/** The longest run of zeros, of at least two, is `::`. */
function compressed(pieces) {
  let [best, length] = [-1, 1];
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (end < 8 && pieces[end] === 0) end += 1;
    if (end - at > length) [best, length] = [at, end - at];
  }
  const words = pieces.map((piece) => piece.toString(16));
  if (best < 0) return words.join(":");
  return `${words.slice(0, best).join(":")}::${words.slice(best + length).join(":")}`;
}

function parsePort(text, protocol) {
  if (!/^\d*$/.test(text) || Number(text) > 65535) throw new Invalid();
  const port = text === "" ? "" : String(Number(text));
  return port === SPECIAL[protocol] ? "" : port;
}

/** A path without `.` and `..`, whichever way those are written. */
function parsePath(text, isSpecial, protocol) {
  const parts = (isSpecial ? text.replaceAll("\\", "/") : text).split("/");
  if (parts[0] === "") parts.shift();
  const path = [];
  parts.forEach((part, at) => {
    const plain = part.replace(/%2e/gi, ".");
    const isLast = at === parts.length - 1;
    if (plain === "..") {
      if (!(protocol === "file:" && path.length === 1 && /^[A-Za-z]:$/.test(path[0]))) path.pop();
      if (isLast) path.push("");
    } else if (plain === ".") {
      if (isLast) path.push("");
    } else {
      path.push(escaped(part, SETS.path));
    }
  });
  return `/${path.join("/")}`;
}

function cut(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** A record of a URL's parts; `host` is null where there is none. */
function parse(given, base) {
  const input = given.replace(/^[\u0000-\u0020]+|[\u0000-\u0020]+$/g, "").replace(/[\t\n\r]/g, "");
  const [main, fragment] = cut(input, "#");
  const hash = fragment ? `#${escaped(fragment, SETS.fragment)}` : "";
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(main);
  const protocol = scheme?.[0].toLowerCase();
  const isSpecial = Object.hasOwn(SPECIAL, protocol ?? base?.protocol ?? "");
  const rest = scheme ? main.slice(scheme[0].length) : main;
  const isRelative = !scheme || (protocol === base?.protocol && isSpecial && !/^[/\\]/.test(rest));
  if (isRelative) return { ...relative(rest, base, main === "" && !scheme, fragment !== undefined), hash };
  return { ...absolute(rest, protocol, isSpecial), hash };
}

function absolute(rest, protocol, isSpecial) {
  const [before, query] = cut(rest, "?");
  const search = searchOf(query, isSpecial);
  const slashed = isSpecial ? before.replaceAll("\\", "/") : before;
  const blank = { protocol, username: "", password: "", host: null, port: "", search };
  if (protocol === "file:") {
    const [, host = "", path] = /^(?:\/\/([^/]*))?(.*)$/.exec(slashed);
    const name = host === "" || host === "localhost" ? "" : parseHost(host, true);
    return { ...blank, host: name, path: parsePath(path, true, protocol) };
  }
  const authority = isSpecial ? /^\/*([^/]*)(.*)$/.exec(slashed) : /^\/\/([^/]*)(.*)$/.exec(slashed);
  if (authority) {
    const path = authority[2];
    return { ...blank, ...authorityOf(authority[1], protocol, isSpecial), path: path || isSpecial ? parsePath(path, isSpecial, protocol) : "" };
  }
  if (before.startsWith("/")) return { ...blank, path: parsePath(before, false, protocol) };
  return { ...blank, path: escaped(before, SETS.opaque), isOpaque: true };
}

function authorityOf(text, protocol, isSpecial) {
  const at = text.lastIndexOf("@");
  const [user, password = ""] = at < 0 ? [""] : cut(text.slice(0, at), ":");
  const [, host, port = ""] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(text.slice(at + 1)) ?? [];
  if (host === undefined || (host === "" && (isSpecial || port !== "" || at >= 0))) throw new Invalid();
  return {
    username: escaped(user, SETS.userinfo),
    password: escaped(password, SETS.userinfo),
    host: host === "" ? "" : parseHost(host, isSpecial),
    port: parsePort(port, protocol),
  };
}

function relative(rest, base, isEmpty, hasFragment) {
  if (!base || (base.isOpaque && !(isEmpty && hasFragment))) throw new Invalid();
  if (isEmpty) return { ...base };
  const isSpecial = Object.hasOwn(SPECIAL, base.protocol);
  const [before, query] = cut(rest, "?");
  const slashed = isSpecial ? before.replaceAll("\\", "/") : before;
  if (slashed.startsWith("//")) return absolute(rest, base.protocol, isSpecial);
  const search = searchOf(query, isSpecial);
  if (slashed === "") return { ...base, search: query === undefined ? base.search : search };
  const path = slashed.startsWith("/") ? slashed : base.path.replace(/[^/]*$/, "") + slashed;
  return { ...base, path: parsePath(path, isSpecial, base.protocol), search };
}

function searchOf(query, isSpecial) {
  return query ? `?${escaped(query, isSpecial ? SETS.specialQuery : SETS.query)}` : "";
}

export class URL {
  #parts;
  #params;

  constructor(url, base) {
    const parsed = (text, from) => {
      try {
        return parse(String(text), from);
      } catch (error) {
        if (!(error instanceof Invalid)) throw error;
        const why = error.message ? `: ${error.message}` : "";
        throw Object.assign(new TypeError(`Invalid URL: ${JSON.stringify(String(text))}${why}`), { code: "ERR_INVALID_URL" });
      }
    };
    this.#parts = parsed(url, base === undefined ? undefined : parsed(base));
    this.#params = new URLSearchParams(this.#parts.search);
    this.#params._changed = (text) => {
      this.#parts.search = text ? `?${text}` : "";
    };
  }

  static canParse(url, base) {
    return URL.parse(url, base) !== null;
  }

  static parse(url, base) {
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }

  get #isSpecial() { return Object.hasOwn(SPECIAL, this.#parts.protocol); }

  /** Changes parts; what is not valid changes nothing. */
  #set(change) {
    try {
      Object.assign(this.#parts, change());
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
    }
  }

  get href() {
    const { protocol, username, password, host, path, search, hash } = this.#parts;
    const user = username || password ? `${username}${password ? `:${password}` : ""}@` : "";
    const authority = host === null ? (path.startsWith("//") ? "/." : "") : `//${user}${this.host}`;
    return protocol + authority + path + search + hash;
  }
  set href(url) {
    this.#parts = new URL(url).#parts;
    this.#params._read(this.#parts.search);
  }
  get origin() {
    const { protocol } = this.#parts;
    return this.#isSpecial && protocol !== "file:" ? `${protocol}//${this.host}` : "null";
  }
  get protocol() { return this.#parts.protocol; }
  set protocol(text) {
    const found = /^([a-z][a-z0-9+.-]*)(?::|$)/i.exec(String(text));
    const protocol = found && `${found[1].toLowerCase()}:`;
    if (!protocol || Object.hasOwn(SPECIAL, protocol) !== this.#isSpecial) return;
    this.#set(() => ({ protocol, port: this.#parts.port === SPECIAL[protocol] ? "" : this.#parts.port }));
  }
  get username() { return this.#parts.username; }
  set username(text) { if (this.#parts.host) this.#parts.username = escaped(String(text), SETS.userinfo); }
  get password() { return this.#parts.password; }
  set password(text) { if (this.#parts.host) this.#parts.password = escaped(String(text), SETS.userinfo); }
  get host() { return (this.#parts.host ?? "") + (this.#parts.port && `:${this.#parts.port}`); }
  set host(text) {
    const [, host, port] = /^(\[[^\]]*\]|[^:/?#\\]*)(?::(\d+))?/.exec(String(text));
    if (this.#parts.isOpaque || (host === "" && this.#isSpecial)) return;
    this.#set(() => ({
      host: parseHost(host, this.#isSpecial),
      ...(port === undefined ? {} : { port: parsePort(port, this.#parts.protocol) }),
    }));
  }
  get hostname() { return this.#parts.host ?? ""; }
  set hostname(text) { if (!/^[^[]*:/.test(String(text))) this.host = String(text).replace(/\]:.*$/, "]"); }
  get port() { return this.#parts.port; }
  set port(text) {
    const [digits] = /^\d*/.exec(String(text));
    if (!this.#parts.host || (digits === "" && String(text) !== "")) return;
    this.#set(() => ({ port: parsePort(digits, this.#parts.protocol) }));
  }
  get pathname() { return this.#parts.path; }
  set pathname(text) {
    if (!this.#parts.isOpaque) this.#set(() => ({ path: parsePath(String(text), this.#isSpecial, this.#parts.protocol) }));
  }
  get search() { return this.#parts.search; }
  set search(text) {
    this.#parts.search = searchOf(String(text).replace(/^\?/, ""), this.#isSpecial);
    this.#params._read(this.#parts.search);
  }
  get searchParams() { return this.#params; }
  get hash() { return this.#parts.hash; }
  set hash(text) {
    const fragment = String(text).replace(/^#/, "");
    this.#parts.hash = fragment ? `#${escaped(fragment, SETS.fragment)}` : "";
  }
  toString() { return this.href; }
  toJSON() { return this.href; }
}

/** `application/x-www-form-urlencoded`: all but letters, digits and `*-._`, and `+` for a blank. */
function formEscaped(text) {
  return Array.from(encoder.encode(text), (byte) => {
    const character = String.fromCharCode(byte);
    if (/[A-Za-z0-9*._-]/.test(character)) return character;
    return byte === 32 ? "+" : hex(byte);
  }).join("");
}

export class URLSearchParams {
  #pairs = [];
  /** Told of each change: a URL's. */
  _changed = () => {};

  constructor(init = "") {
    if (typeof init === "object" && init !== null) {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const pair of pairs) {
        const [name, value, ...more] = pair;
        if (value === undefined || more.length > 0) throw new TypeError("URLSearchParams: each pair is a name and a value");
        this.#pairs.push([String(name), String(value)]);
      }
    } else {
      this._read(String(init));
    }
    Object.defineProperty(this, "_changed", { enumerable: false, writable: true });
  }

  _read(text) {
    const decode = (part) => unescaped(part.replaceAll("+", " "));
    const parts = text.replace(/^\?/, "").split("&").filter((part) => part !== "");
    this.#pairs = parts.map((part) => {
      const [name, value = ""] = cut(part, "=");
      return [decode(name), decode(value)];
    });
  }

  #put(pairs) {
    this.#pairs = pairs;
    this._changed(this.toString());
  }

  get size() { return this.#pairs.length; }
  append(name, value) { this.#put([...this.#pairs, [String(name), String(value)]]); }
  delete(name, value) {
    this.#put(this.#pairs.filter(([key, item]) => key !== String(name) || (value !== undefined && item !== String(value))));
  }
  get(name) { return this.#pairs.find(([key]) => key === String(name))?.[1] ?? null; }
  getAll(name) { return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value); }
  has(name, value) {
    return this.#pairs.some(([key, item]) => key === String(name) && (value === undefined || item === String(value)));
  }
  set(name, value) {
    const first = this.#pairs.findIndex(([key]) => key === String(name));
    if (first < 0) this.append(name, value);
    else this.#put(this.#pairs.filter(([key], at) => key !== String(name) || at === first).map((pair, at) => (at === first ? [pair[0], String(value)] : pair)));
  }
  sort() {
    this.#put([...this.#pairs].sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0)));
  }
  forEach(call, self) { for (const [name, value] of this.#pairs) call.call(self, value, name, this); }
  *entries() { for (const [name, value] of this.#pairs) yield [name, value]; }
  *keys() { for (const [name] of this.#pairs) yield name; }
  *values() { for (const [, value] of this.#pairs) yield value; }
  [Symbol.iterator]() { return this.entries(); }
  toString() { return this.#pairs.map((pair) => pair.map(formEscaped).join("=")).join("&"); }
}
