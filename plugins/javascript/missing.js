//! What scripts of other places may use and can't have here. A clear word is better than `not a function`: it is said when
//! a script is saved, and once more where a run comes to it all the same.

import { placeOf, tokensOf } from "./code.js";
import { MODULES } from "./web/index.js";

const REASONS = {
  "there are no timers: a run sees one moment": ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "requestAnimationFrame"],
  "there is no network: work with what the event and the settings hold": ["fetch", "XMLHttpRequest", "WebSocket", "EventSource", "axios"],
  "there are no modules: paste what the script needs": ["importScripts"],
  "there are no Node.js buffers: use TextEncoder, TextDecoder, btoa and atob": ["Buffer"],
  "there are no tables of languages: use Number.prototype.toLocaleString, or write it out": ["Intl"],
  "there is nothing to wait for here": ["AbortController", "MessageChannel", "Worker", "ReadableStream"],
  "there is no form to send here: use URLSearchParams, or write the body": ["FormData", "Blob", "Request", "Response", "Headers"],
  "there are no files": ["Deno", "Bun", "__dirname", "__filename"],
};

/** By name, why it is not here. */
const MISSING = new Map(Object.entries(REASONS).flatMap(([reason, names]) => names.map((name) => [name, reason])));
const NO_MODULE = "there are no modules but crypto, url and util: paste what the script needs";
const SUBTLE = "it answers by promises, and nothing is waited for here: use crypto.createHmac or crypto.createHash";

/** Makes each name say why it is not here when it is called or looked into. */
export function installMissing(into) {
  for (const [name, reason] of MISSING) {
    const refuse = () => {
      throw new Error(`${name}: ${reason}`);
    };
    // A function, so that `typeof` finds what it finds elsewhere; looked into it is empty, and says so.
    into[name] = new Proxy(function () {}, { apply: refuse, construct: refuse, get: (_, key) => (typeof key === "symbol" ? undefined : refuse()) });
  }
  into.require = (name) => {
    const module = String(name).replace(/^node:/, "");
    if (Object.hasOwn(MODULES, module)) return MODULES[module];
    throw new Error(`require: ${NO_MODULE}`);
  };
}

/** The first thing that a script uses and that is not here, in words with its place; nothing where all is. */
export function missingIn(code) {
  if (![...MISSING.keys(), "require", "subtle"].some((name) => code.includes(name))) return undefined;
  const { tokens } = tokensOf(code);
  const own = ownNames(tokens);
  for (const [place, token] of tokens.entries()) {
    const before = tokens[place - 1]?.text;
    const [next, after, end] = tokens.slice(place + 1, place + 4);
    if (token.kind !== "word" || own.has(token.text)) continue;
    const complaint = (reason) => `${token.text}: ${reason}\n    at ${placeOf(code, token.at)}`;
    if (token.text === "subtle" && before === "." && tokens[place - 2]?.text === "crypto") return complaint(SUBTLE);
    if (before === "." || before === "?.") continue;
    const isUsed = next?.text === "(" || next?.text === "." || before === "new";
    if (MISSING.has(token.text) && isUsed) return complaint(MISSING.get(token.text));
    if (token.text === "require" && next?.text === "(" && after?.kind === "value" && end?.text === ")") {
      const module = after.text.slice(1, -1).replace(/^node:/, "");
      if (!Object.hasOwn(MODULES, module)) return complaint(NO_MODULE);
    }
  }
  return undefined;
}

/** Names that the script declares, takes as parameters or asks for with `typeof`: it knows what it does. */
function ownNames(tokens) {
  const own = new Set();
  for (const [place, { text, kind }] of tokens.entries()) {
    if (kind !== "word") continue;
    const [before, next] = [tokens[place - 1]?.text, tokens[place + 1]?.text];
    const isDeclared = ["function", "const", "let", "var", "class", "typeof"].includes(before);
    const isParameter = ["(", ",", "{", "["].includes(before) && [",", ")", "}", "]", "=>", "="].includes(next) && !(before === "(" && next === ")" && tokens[place + 2]?.text !== "=>" && tokens[place + 2]?.text !== "{");
    if (isDeclared || isParameter || next === "=>") own.add(text);
  }
  return own;
}
