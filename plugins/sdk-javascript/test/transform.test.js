import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "../src/testing/index.js";

/** A plugin whose handler is given by the test. */
const plugin = await load(new URL("data:text/javascript," + encodeURIComponent(`
  import * as kit from ${JSON.stringify(new URL("../src/index.js", import.meta.url).href)};
  export const transform = kit.defineTransform((event, target) => globalThis.handlerOfTest(kit, event, target));
`)));

function run(handler, sample = {}) {
  globalThis.handlerOfTest = handler;
  return plugin.run({ event: { type: "ticket.created", body: { id: 7 } }, ...sample });
}

test("what a handler returns becomes requests", () => {
  const check = (handler, expect) => {
    const { outcome } = run(handler);
    const shown = outcome.deliver.map((request) =>
      Object.fromEntries(Object.keys(expect[0]).map((key) => [key, request[key]])));
    assert.deepEqual(shown, expect);
  };
  check(() => ({}), [{ method: "POST", url: "https://receiver.example/hook", body_text: '{"id":7}' }]);
  check(() => ({ method: "PUT", url: "https://receiver.example/other" }), [
    { method: "PUT", url: "https://receiver.example/other", body_text: '{"id":7}' },
  ]);
  check(() => ({ body: "text" }), [{ body_text: "text" }]);
  check(() => ({ body: Uint8Array.of(104, 105) }), [{ body_text: "hi" }]);
  check(() => ({ body: null }), [{ body_text: "null" }]);
  check(() => ({ body: [1, "two"] }), [{ body_text: '[1,"two"]' }]);
  check(() => ({ patch: { id: null, a: 1 } }), [{ body_text: '{"a":1}' }]);
  check(() => ({ headers: { a: 1, B: ["x", "y"], c: undefined } }), [{ headers: { a: "1", b: "x, y" } }]);
  check((kit) => ({ headers: { authorization: kit.secret("token", { prefix: "Bearer " }) } }), [
    { headers: { authorization: "Bearer {secret:token}" } },
  ]);
  check(() => [{ partKey: "a", body: 1 }, { partKey: "b", body: 2 }], [
    { part_key: "a", body_text: "1" },
    { part_key: "b", body_text: "2" },
  ]);
});

test("a handler may send nothing, stop and fail", () => {
  const check = (handler, expect) => assert.deepEqual(run(handler).outcome, expect);
  check((kit) => kit.drop("a test"), { drop: "a test" });
  check((kit) => kit.retry("later"), { retry: "later" });
  check((kit) => kit.fail("never"), { fail: "never" });
});

test("mistakes are permanent failures in words", () => {
  const check = (handler, expect) => {
    const { outcome } = run(handler);
    assert.match(outcome.fail, expect);
  };
  check(() => undefined, /^TypeError: the handler returned undefined: return a request, or drop\(reason\)/);
  check(() => [], /empty list/);
  check(() => "text", /a request is an object, not string/);
  check(async () => ({}), /a promise/);
  check(() => ({ header: {} }), /a request has no `header`; it has method, url, headers/);
  check((_, event) => event, /a request can't be the event itself: return a new object, such as one whose `body` is its json\(\)/);
  check((_, event, target) => [target], /a request can't be the endpoint itself/);
  check((_, event) => ({ body: event }), /a body can't be the event itself: take what you need of it, such as its json\(\)/);
  check(() => ({ method: "TRACE" }), /a request's method is one of GET, POST, PUT, PATCH, DELETE, not TRACE/);
  check(() => ({ body: () => 1 }), /a body can't be function/);
  check(() => ({ url: "https://elsewhere.example/" }), /^Error: `https:\/\/elsewhere.example\/` is not within/);
  check(() => ({ headers: { "content-length": 1 } }), /the header `content-length` is the router's/);
  check(() => ({ headers: { a: "b\r\nc: d" } }), /control character/);
  check((_, event) => event.json("id"), /`id` is no JSON pointer/);
  check(() => { throw new RangeError("out"); }, /^RangeError: out\n {4}at /);
  check(() => { throw 7; }, /^thrown: 7$/);
});

test("events and endpoints are plain to read", () => {
  const sample = {
    event: { id: "msg_1", uid: "u", type: "a.b", channels: ["c"], body: { deep: { list: [1, 2] }, "a/b": 3 } },
    settings: { limit: 5 },
    attempt: 3,
    now_ms: 1_000,
  };
  let seen;
  run((_, event, target) => {
    seen = [
      event.id, event.uid, event.type, event.channels, event.contentType, event.size, event.acceptedAt.getTime(),
      event.json("/deep/list/1"), event.json("/a~1b"), event.json("/missing"), event.json().deep.list.length,
      target.attempt, target.settings.limit, target.setting("/limit"), target.setting("/none"),
    ];
    return {};
  }, sample);
  assert.deepEqual(seen, [
    "msg_1", "u", "a.b", ["c"], "application/json", 31, 1_000, 2, 3, undefined, 2, 3, 5, 5, undefined,
  ]);
  assert.match(run((_, event) => event.json(), { event: { type: "a", body_text: "{" } }).outcome.fail, /the body is not JSON/);
});

test("time and chance repeat, and notes are kept", () => {
  const seen = [];
  const handler = () => {
    console.warn("look", { a: 1 }, new Error("mistake").message);
    seen.push([Date.now(), new Date().getTime(), new Date(5).getTime(), Math.random(), Date.UTC(1970, 0), new Date() instanceof Date]);
    return {};
  };
  const reports = [run(handler, { now_ms: 1_234 }), run(handler, { now_ms: 1_234 })];
  assert.deepEqual(seen[0], seen[1]);
  const [now, constructed, given, random, utc, isDate] = seen[0];
  assert.deepEqual([now, constructed, given, utc, isDate], [1_234, 1_234, 5, 0, true]);
  assert.ok(random >= 0 && random < 1, `${random}`);
  assert.deepEqual(reports[0].logs, [{ level: "warn", message: 'look {"a":1} mistake' }]);
});
