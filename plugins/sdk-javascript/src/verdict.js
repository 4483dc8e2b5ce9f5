//! Ways out of a handler other than its ordinary result.

/** Thrown by `retry`, `fail` and `delivered`: ends the run from wherever it is called. */
class Stop extends Error {
  get isVerdict() { return true; }
}
export class Retry extends Stop {}
export class Fail extends Stop {}
export class Delivered extends Stop {}

/** Run again later, on the endpoint's retry schedule. */
export function retry(message) {
  throw new Retry(String(message));
}

/** The receiver has the event, whatever the status says. */
export function delivered() {
  throw new Delivered("delivered");
}

/** Never again: the delivery goes to the dead letters. */
export function fail(message) {
  throw new Fail(String(message));
}

/** An error in words, with the places of its stack. */
export function explain(error) {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  return [String(error), ...stackOf(error)].join("\n");
}

/** The places where an error passed; some engines repeat the message before them. */
function stackOf(error) {
  return (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
}
