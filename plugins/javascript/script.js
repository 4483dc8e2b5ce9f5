//! Reads a script and finds its handler; tells its errors in the script's own lines and columns.

import { drop, fail, retry, secret } from "@hookmill/plugin";

import { unmatched } from "./code.js";
import { importIn, withoutExports } from "./exports.js";
import { missingIn } from "./missing.js";

/** How the engine names what came from `eval`, and how people do. */
const EVALUATED = /<input>:(\d+):(\d+)/;
/** What stands before the script, in lines: nothing of it moves a column, and a `"use strict"` comes first behind it. */
const HEAD = "(function (_default_) {\n";
const HEAD_LINES = 1;
const PROMISE = "the handler returns a promise: there is nothing to wait for here, so drop the `async`";
/** Which service calls its handler so, in the order in which they are looked for. */
const SHAPES = { _default_: "own", handle: "own", handler: "svix", transform: "convoy" };

const evaluate = eval;

/** What `addHandler` was called with, while a script is read. */
let added;

Object.assign(globalThis, {
  drop,
  fail,
  retry,
  secret,
  addHandler(name, handler) {
    if (name !== "transform") throw new Error(`addHandler: there is no \`${name}\`, only "transform"`);
    if (typeof handler !== "function") throw new TypeError("addHandler: the handler is not a function");
    added = handler;
  },
  $transform: { fail },
  process: { env: {} },
});

/**
 * The script's handler and the shape that it has.
 *
 * @param {string} code
 * @param {object} settings what the script finds in `process.env`
 */
export function handlerOf(code, settings) {
  if (typeof code !== "string") fail("settings: `code` is the script, a text");
  process.env = environment(settings);
  added = undefined;
  const lines = linesOf(code);
  const declared = inScript(() => read(code), lines);
  if (added !== undefined) return { shape: "hookdeck", handler: guarded(added, lines) };
  for (const [name, handler] of Object.entries(declared)) {
    if (typeof handler === "function") return { shape: SHAPES[name], handler: guarded(handler, lines) };
  }
  return fail(
    "the script has no handler: declare `handler(webhook)`, `transform(payload)`, `handle(event, target)` or " +
    "`export default function (event, target)`, or call `addHandler(\"transform\", ...)`",
  );
}

/** Evaluates a script, and gives what it declared of the names that handlers have. */
function read(code) {
  try {
    return evaluate(HEAD + code + tailFor(code));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Scripts are no modules to the engine. Reading twice is for those few that export.
    const plain = code.includes("export") ? withoutExports(code) : { code };
    if (plain.code === code) throw explained(error, code);
    try {
      return evaluate(HEAD + plain.code + tailFor(plain.code, plain.name));
    } catch (second) {
      throw second instanceof SyntaxError ? explained(second, code) : second;
    }
  }
}

/** The error, with what the script's author can make more of than of what the engine says. */
function explained(error, code) {
  const place = importIn(code);
  if (place !== undefined) {
    return Object.assign(error, { shown: `SyntaxError: import: there are no modules: paste what the script needs\n    at ${place}` });
  }
  // A bracket that is not closed, or closed too often, is noticed behind the script at the earliest.
  if (places(error.stack ?? "", linesOf(code)).length > 0) return error;
  return Object.assign(error, { shown: unmatched(code) });
}

/** Only names that the script has at all are asked for; `typeof` does not mind that one was not declared. */
function tailFor(code, defaultName) {
  let declared = defaultName ? `_default_: typeof ${defaultName} === "function" && ${defaultName},` : "";
  for (const name in SHAPES) {
    if (name !== "_default_" && code.includes(name)) declared += `${name}: typeof ${name} === "function" && ${name},`;
  }
  return `\nreturn {${declared}};})()`;
}

const linesOf = (code) => code.split("\n").length;

function guarded(handler, lines) {
  const called = (...parameters) => {
    const returned = inScript(() => handler(...parameters), lines);
    if (typeof returned?.then === "function") fail(PROMISE);
    return returned;
  };
  return Object.assign(called, { isAsync: handler.constructor?.name === "AsyncFunction" });
}

/** Refuses, when it is set, a script that no run would get on with. */
export function check(code, handler) {
  if (handler.isAsync) fail(PROMISE);
  const missing = missingIn(code);
  if (missing !== undefined) fail(missing);
}

/** Runs what the script wrote; its errors become failures that name places in the script. */
function inScript(run, lines = Infinity) {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Error)) fail(`the script threw ${show(error)}`);
    // `fail` and `retry` of the script are verdicts, not errors of it.
    if (error.isVerdict) throw error;
    return fail(error.shown ?? [String(error), ...places(error.stack ?? "", lines)].join("\n"));
  }
}

/** The lines of a stack that are the script's, which has so many. */
export function places(stack, lines) {
  const found = [];
  for (const line of stack.split("\n")) {
    const place = EVALUATED.exec(line);
    const number = place ? Number(place[1]) - HEAD_LINES : 0;
    if (number > 0 && number <= lines) found.push(line.replace(EVALUATED, `script:${number}:${place[2]}`));
  }
  return found;
}

function show(value) {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}

/** Environment variables are texts. */
function environment(settings) {
  const entries = Object.entries(settings).map(([name, value]) => [name, show(value)]);
  return Object.fromEntries(entries);
}
