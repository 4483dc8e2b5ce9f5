//! What JavaScript expects of its surroundings: `console`, the time, chance. Imported for its effect, first of all.
//!
//! Time and chance are the router's, so that a run that is done again sees the same. The engine's own would read a
//! clock that a plugin does not have. Nothing is asked of the router while this is loaded: that happens at build time.

import ambient from "hookmill:plugin/ambient@1.0.0";
import log from "hookmill:plugin/log@1.0.0";
import { explain } from "./verdict.js";

const LEVELS = { debug: "debug", trace: "debug", log: "info", info: "info", dir: "info", warn: "warn", error: "error" };

installConsole();
installDate();
Math.random = random;
// A clock with a finer hand than `Date` would only tell how busy the router is.
delete globalThis.performance;

function installConsole() {
  const writer = (level) => (...values) => log.write(level, values.map(inspect).join(" "));
  const console = Object.fromEntries(Object.entries(LEVELS).map(([name, level]) => [name, writer(level)]));
  console.assert = (holds, ...values) => {
    if (!holds) console.error("assertion failed:", ...values);
  };
  globalThis.console = console;
}

/** A value as one would like to read it in a log. */
function inspect(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return explain(value);
  if (typeof value === "object" && value !== null) {
    try {
      return JSON.stringify(value);
    } catch {
      // A circle, or a BigInt.
    }
  }
  return String(value);
}

function installDate() {
  const Native = Date;
  const now = () => ambient.nowMs();
  function HookmillDate(...parts) {
    if (new.target === undefined) return new Native(now()).toString();
    return Reflect.construct(Native, parts.length === 0 ? [now()] : parts, new.target);
  }
  Object.defineProperties(HookmillDate, {
    name: { value: "Date" },
    length: { value: Native.length },
    prototype: { value: Native.prototype },
    now: { value: now, writable: true, configurable: true },
    parse: { value: Native.parse, writable: true, configurable: true },
    UTC: { value: Native.UTC, writable: true, configurable: true },
  });
  Native.prototype.constructor = HookmillDate;
  globalThis.Date = HookmillDate;
}

/** From 0 up to 1, of the 53 bits that a number holds exactly. */
function random() {
  const bits = Math.floor(Number(ambient.randomU64()) / 2 ** 11);
  // Numbers from the router beyond 2^53 are rounded, and the largest are rounded up.
  return Math.min(bits, 2 ** 53 - 1) / 2 ** 53;
}
