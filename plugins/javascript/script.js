//! Reads a script and finds its handler; tells its errors in the script's own lines and columns.

import { drop, fail, retry, secret } from "@hookmill/plugin";

import { withoutExports } from "./exports.js";

/** How the engine names what came from `eval`, and how people do. */
const EVALUATED = /<input>:(\d+):(\d+)/;
/** What stands before the script, in lines: nothing of it moves a column. */
const HEAD = "(function () {\n";
const HEAD_LINES = 1;
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
  const declared = inScript(() => read(code));
  if (added !== undefined) return { shape: "hookdeck", handler: guarded(added) };
  for (const [name, handler] of Object.entries(declared)) {
    if (typeof handler === "function") return { shape: SHAPES[name], handler: guarded(handler) };
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
    // Scripts are no modules to the engine. Reading twice is for those few that export.
    if (!(error instanceof SyntaxError && error.message.includes("export"))) throw error;
    const plain = withoutExports(code);
    return evaluate(HEAD + plain + tailFor(plain));
  }
}

/** Only names that the script has at all are asked for; `typeof` does not mind that one was not declared. */
function tailFor(code) {
  let declared = "";
  for (const name in SHAPES) {
    if (code.includes(name)) declared += `${name}: typeof ${name} === "function" && ${name},`;
  }
  return `\nreturn {${declared}};})()`;
}

function guarded(handler) {
  return (...parameters) => {
    const returned = inScript(() => handler(...parameters));
    if (typeof returned?.then === "function") {
      fail("the handler returned a promise: there is nothing to wait for here, so drop the `async`");
    }
    return returned;
  };
}

/** Runs what the script wrote; its errors become failures that name places in the script. */
function inScript(run) {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Error)) fail(`the script threw ${show(error)}`);
    // `fail` and `retry` of the script are verdicts, not errors of it.
    if (error.isVerdict) throw error;
    return fail([String(error), ...places(error.stack ?? "")].join("\n"));
  }
}

/** The lines of a stack that are the script's. */
export function places(stack) {
  const found = [];
  for (const line of stack.split("\n")) {
    const place = EVALUATED.exec(line);
    const number = place ? Number(place[1]) - HEAD_LINES : 0;
    if (number > 0) found.push(line.replace(EVALUATED, `script:${number}:${place[2]}`));
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
