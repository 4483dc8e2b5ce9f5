import assert from "node:assert/strict";
import { test } from "node:test";

import { load, testSamples } from "@hookmill/plugin/test";

import { withoutExports } from "../exports.js";

const PLUGIN = new URL("../plugin.js", import.meta.url);
const plugin = await load(PLUGIN);
await testSamples(PLUGIN);

const TICKET = { type: "ticket.created", body: { id: 7, subject: "rain", tags: ["roof"] } };

function run(code, { settings = {}, ...sample } = {}) {
  return plugin.run({ event: TICKET, settings: { code, settings }, ...sample });
}

const deliver = (code, sample) => {
  const { outcome } = run(code, sample);
  assert.ok(outcome.deliver, JSON.stringify(outcome));
  return outcome.deliver[0];
};

/** One reshaping, in the words of each service. */
const SAME = {
  svix: `function handler(webhook) {
    const { id, subject, ...rest } = webhook.payload;
    webhook.payload = { reference: id, title: subject, kind: webhook.eventType, ...rest };
    return webhook;
  }`,
  convoy: `function transform(payload) {
    const { id, subject, ...rest } = payload;
    return { reference: id, title: subject, kind: "ticket.created", ...rest };
  }`,
  hookdeck: `addHandler("transform", (request, context) => {
    const { id, subject, ...rest } = request.body;
    request.body = { reference: id, title: subject, kind: context.connection.source.name, ...rest };
    return request;
  });`,
  own: `export default function (event, target) {
    const { id, subject, ...rest } = event.json();
    return { body: { reference: id, title: subject, kind: event.type, ...rest } };
  }`,
};

test("the same handler for each service gives the same body", () => {
  const bodies = Object.values(SAME).map((code) => deliver(code).body_text);
  const expect = '{"reference":7,"title":"rain","kind":"ticket.created","tags":["roof"]}';
  assert.deepEqual(bodies, Array(4).fill(expect));
});

test("svix", () => {
  const url = "https://receiver.example/other";
  const moved = deliver(`const handler = (webhook) => ({ ...webhook, method: "PUT", url: ${JSON.stringify(url)},
    headers: { "X-Kind": webhook.eventType } });`);
  assert.deepEqual([moved.method, moved.url, moved.headers], ["PUT", url, { "x-kind": "ticket.created" }]);
  assert.deepEqual(run("function handler(w) { w.cancel = true; return w; }").outcome, { drop: "cancelled by the script" });
  assert.match(run("function handler(w) {}").outcome.fail, /the handler returned undefined: return the webhook/);
  assert.match(run('function handler(w) { w.method = "GET"; return w; }').outcome.fail, /it may be POST or PUT/);
});

test("convoy", () => {
  assert.equal(deliver("function transform(payload) { return payload.tags; }").body_text, '["roof"]');
  assert.equal(deliver("function transform(payload) { return payload.subject; }").body_text, '"rain"');
  const text = { event: { type: "note", content_type: "text/plain", body_text: "hello" } };
  assert.equal(deliver('function transform(payload) { return payload + "!"; }', text).body_text, "hello!");
  assert.match(run("function transform(payload) {}").outcome.fail, /transform returned undefined: return the payload/);
});

test("hookdeck", () => {
  const url = "https://receiver.example/hook?a=1&a=2&b=%20x";
  const request = deliver(
    `addHandler("transform", (request) => {
      request.headers["x-seen"] = JSON.stringify([request.method, request.path, request.query, request.parsed_query]);
      request.headers["x-key"] = process.env.API_KEY;
      request.path = "/v2" + request.path;
      request.query = "c=3";
      return request;
    });`,
    { url, settings: { API_KEY: "k1" } },
  );
  assert.equal(request.url, "https://receiver.example/v2/hook?c=3");
  assert.deepEqual(JSON.parse(request.headers["x-seen"]), ["POST", "/hook", "a=1&a=2&b=%20x", { a: ["1", "2"], b: " x" }]);
  assert.equal(request.headers["x-key"], "k1");
  const text = { event: { type: "note", content_type: "text/plain", body_text: "hello" } };
  assert.equal(deliver('addHandler("transform", (r) => { r.body += "!"; return r; });', text).body_text, "hello!");
  assert.deepEqual(run('addHandler("transform", () => { $transform.fail("no type"); });').outcome, { fail: "no type" });
  assert.match(run('addHandler("transform", () => {});').outcome.fail, /return the request/);
  assert.match(run('addHandler("transform", (r) => { r.headers = {}; return r; });').outcome.fail, /no content-type/);
  assert.match(run('addHandler("filter", (r) => r);').outcome.fail, /there is no `filter`, only "transform"/);
});

test("our own shape has the kit's words", () => {
  const check = (code, expect) => assert.deepEqual(run(code).outcome, expect);
  check('function handle(event) { return drop("not now"); }', { drop: "not now" });
  check('function handle(event) { retry("later"); }', { retry: "later" });
  check('export function handle(event) { fail("never"); }', { fail: "never" });
  const request = deliver(
    'const handle = (event, target) => ({ headers: { a: secret("token"), b: target.settings.limit } });',
    { settings: { limit: 5 } },
  );
  assert.deepEqual(request.headers, { a: "{secret:token}", b: "5" });
});

test("a body that a script does not look at keeps its bytes", () => {
  const body_text = '{ "id": 12345678901234567890 }';
  const sample = { event: { type: "a", body_text } };
  const check = (code, expect) => assert.equal(deliver(code, sample).body_text, expect);
  check("function handler(w) { w.headers = { a: 1 }; return w; }", body_text);
  check('addHandler("transform", (r) => { r.headers.a = "1"; return r; });', body_text);
  check("function handle() { return { headers: { a: 1 } }; }", body_text);
  check("function handler(w) { w.payload; return w; }", '{"id":12345678901234567000}');
});

test("errors name places in the script", () => {
  const check = (code, expect) => assert.match(run(code).outcome.fail, expect);
  check("function other() {}", /^the script has no handler: declare `handler\(webhook\)`/);
  check("function handler(w) {\n  return w +;\n}", /^SyntaxError: /);
  check("async function handler(w) { return w; }", /a promise/);
  check("function handler(w) { return w;", /^SyntaxError: `\{` is not closed\n    at script:1:21$/);
  check("function handler(w) { return w; }}", /^SyntaxError: `\}` closes nothing\n    at script:1:34$/);
  check("function handler(w) {\n  return `a ${w.id`;\n}", /^SyntaxError: .* is not closed\n    at script:2:19$/);
  check("import fs from 'fs';\nfunction handler(w) { return w; }", /^SyntaxError: import: there are no modules[^]*\n    at script:1:1$/);
  check("function handler(w) { throw 'no'; }", /^the script threw no$/);
  check("function handler(w) { throw { code: 1 }; }", /^the script threw {"code":1}$/);
  check("function handler(w) { return w.a.b; }", /^TypeError: /);
});

test("what is not there says so", () => {
  const check = (call, expect) => {
    assert.match(run(`function handler(w) { ${call}; return w; }`).outcome.fail, expect);
  };
  check("setTimeout(() => {}, 1)", /^Error: setTimeout: there are no timers/);
  check("fetch('https://x.example')", /^Error: fetch: there is no network/);
  check("require('fs')", /^Error: require: there are no modules/);
});

test("scripts do not see one another", () => {
  deliver("const leak = 1; function handler(w) { return w; }");
  deliver("const leak = 2; function handler(w) { w.headers = { leak }; return w; }");
  assert.match(run("function handler(w) { return leak; }").outcome.fail, /leak/);
  assert.match(run("1").outcome.fail, /no handler/);
});

test("exports become declarations in their places", () => {
  const check = (code, expect) => {
    assert.equal(withoutExports(code).code, expect);
    assert.equal(expect.length, code.length);
  };
  check("export default function (a) {}", "_default_=     function (a) {}");
  check("'use strict'; export default function (a) {}", "'use strict'; _default_=     function (a) {}");
  check("export default async (a) => a;", "_default_=     async (a) => a;");
  check("export default function named(a) {}", "               function named(a) {}");
  check("const a = 1;\nexport { a as default };", "const a = 1;\n;                      ;");
  check("const a = `\nexport default ${`export const ${1}`}\nexport const b`;", "const a = `\nexport default ${`export const ${1}`}\nexport const b`;");
  check("/*\nexport default 1 */ export const a = /export const '/;", "/*\nexport default 1 */        const a = /export const '/;");
  check("const a = { export: 1 }; a.export = 2;", "const a = { export: 1 }; a.export = 2;");
  check("  export default (a) => a;", "  _default_=     (a) => a;");
  check("export const a = 1;\nexport function b() {}", "       const a = 1;\n       function b() {}");
  check("const exported = 1;", "const exported = 1;");
});
