import assert from "node:assert/strict";
import { createHmac as nodeHmac } from "node:crypto";
import { test } from "node:test";

/** Those of Node.js, before the plugin puts its own in their place. */
const NODE = {
  NumberFormat: Intl.NumberFormat,
  URL: globalThis.URL,
  URLSearchParams: globalThis.URLSearchParams,
  TextDecoder: globalThis.TextDecoder,
  TextEncoder: globalThis.TextEncoder,
  structuredClone: globalThis.structuredClone,
};

const { load } = await import("@hookmill/plugin/test");
const { structuredClone } = await import("../web/clone.js");
const { numberToLocaleString } = await import("../web/locale.js");
const { TextDecoder, TextEncoder, atob, btoa } = await import("../web/text.js");
const { URL, URLSearchParams } = await import("../web/url.js");
const plugin = await load(new NODE.URL("../plugin.js", import.meta.url));

const PARTS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

function run(code, sample = {}) {
  return plugin.run({ event: { type: "a", body: { id: 7 } }, settings: { code }, ...sample });
}

test("addresses are read as Node.js reads them", () => {
  const bases = [undefined, "https://user:pw@example.com:8443/a/b/c?q=1#f", "http://example.com", "mailto:a@example.com"];
  const texts = [
    "https://example.com", "HTTPS://EXAMPLE.com:443/./a/../b/%2e%2e/c?x=1&y=a b#h i", "http://a:b@[2001:DB8::0:1]:80/",
    "http://0x7f.1/", "http://256.1.1.1/", "http://1.2.3/", "http://exa mple/", "http://", "https:///a//b", "//other.example/x",
    "/abs?new", "rel/../../x", "?only=query", "#only", "", "mailto:x@y.z", "data:text/plain,hi there", "file:///C:/a/../b",
    "http://a.example:99999/", "http://a.example:/", "ws://a.example:80/é?ü#ö", "https://a.example\\\\b\\c", "  http://a.example/\n",
    "javascript:alert(1)", "http://[::1]:8080/", "http://[1::2::3]/", "http://a%41b/", "foo://bar/baz?q'#r`", "https:x", "a:b", "http://a@b@c/",
  ];
  for (const base of bases) {
    for (const text of texts) {
      const [ours, theirs] = [URL, NODE.URL].map((Type) => {
        try {
          const url = new Type(text, base);
          return Object.fromEntries(PARTS.map((part) => [part, url[part]]));
        } catch {
          return "invalid";
        }
      });
      assert.deepEqual(ours, theirs, `${text} on ${base}`);
    }
  }
});

test("parts of addresses can be set", () => {
  const [ours, theirs] = [URL, NODE.URL].map((Type) => {
    const url = new Type("https://a.example/x?a=1#h");
    const seen = [];
    const set = (part, value) => {
      url[part] = value;
      seen.push(url.href);
    };
    set("protocol", "http");
    set("host", "B.example:8080");
    set("port", "80");
    set("pathname", "/ü/../y z");
    set("search", "b=2&c= 3");
    url.searchParams.append("d", "ä&=");
    set("hash", "");
    set("username", "u:1");
    url.searchParams.delete("b");
    set("hostname", "c.example");
    seen.push(JSON.stringify(url), url.searchParams.get("d"));
    return seen;
  });
  assert.deepEqual(ours, theirs);
});

test("queries are read and written as Node.js does", () => {
  const inits = ["?a=1&a=2&b=%20x+y&c&=d&%zz=%e4", { a: 1, b: "x y*~" }, [["a", "1"], ["a", "2"]], ""];
  for (const init of inits) {
    const [ours, theirs] = [URLSearchParams, NODE.URLSearchParams].map((Type) => {
      const params = new Type(init);
      params.set("a", "neu");
      params.sort();
      return [params.toString(), [...params], params.getAll("a"), params.has("b"), params.size];
    });
    assert.deepEqual(ours, theirs);
  }
});

test("texts become bytes and back", () => {
  for (const text of ["", "plain", "äöü €", "😀", "a\ud83d", "\udc00b"]) {
    assert.deepEqual(new TextEncoder().encode(text), new NODE.TextEncoder().encode(text));
  }
  const bytes = [[0xef, 0xbb, 0xbf, 97], [0xff, 97], [0xe2, 0x82], [0xe2, 0x82, 97], [0xf0, 0x9f, 0x98, 0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80]];
  for (const list of bytes) {
    const given = Uint8Array.from(list);
    assert.equal(new TextDecoder().decode(given), new NODE.TextDecoder().decode(given), String(list));
  }
  assert.throws(() => new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.of(255)), TypeError);
  assert.throws(() => new TextDecoder("shift_jis"), /only utf-8 and latin1/);
  for (const text of ["", "a", "ab", "abc", "\xff\x00"]) assert.equal(atob(btoa(text)), text);
  assert.throws(() => btoa("€"), RangeError);
});

test("values are copied with their circles", () => {
  const value = { list: [1, , { d: new Date(5) }], map: new Map([["k", new Set([1])]]), re: /a/g, bytes: Uint8Array.of(1, 2), none: undefined };
  value.self = value;
  const copy = structuredClone(value);
  assert.deepEqual(copy, NODE.structuredClone(value));
  assert.ok(copy !== value && copy.self === copy && copy.list[2] !== value.list[2]);
  assert.throws(() => structuredClone({ f() {} }), { name: "DataCloneError" });
});

test("numbers are grouped as the locale does", () => {
  const check = (value, locale, options) => {
    assert.equal(numberToLocaleString(value, locale, options), new NODE.NumberFormat(locale, options).format(value), `${value} ${locale} ${JSON.stringify(options)}`);
  };
  for (const locale of [undefined, "en-US", "en-IN", "de-DE", "fr-FR", "ja-JP", "pt-BR", "es-ES"]) {
    for (const value of [0, 1, -1, 999, 1000, -1234.5, 1234567.8915, 12345678901, 1e21, 1e-7, 0.5]) {
      check(value, locale);
      check(value, locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    }
  }
  check(1234.5, "en-US", { style: "currency", currency: "USD" });
  check(1234.5, "de-DE", { style: "currency", currency: "EUR" });
  check(1234.5, "en-US", { style: "currency", currency: "JPY" });
  check(123456.7, "en-IN", { style: "currency", currency: "INR" });
  check(0.256, "en-US", { style: "percent" });
  assert.throws(() => numberToLocaleString(1, "xx"), /the locale `xx` is not here/);
  assert.throws(() => numberToLocaleString(1, "en", { notation: "compact" }), /the option `notation` is not here/);
});

test("scripts have identifiers that repeat, and HMAC", () => {
  const code = `function handler(w) {
    const mac = crypto.createHmac("sha256", "key").update("data").digest("hex");
    const named = require("node:crypto").createHmac("sha512", secret("signing")).update("data").digest("base64");
    w.payload = { id: crypto.randomUUID(), mac, named, url: new URL("/x", w.url).href, copy: structuredClone(w.payload), amount: (1234.5).toLocaleString() };
    return w;
  }`;
  const bodies = [run(code), run(code)].map(({ outcome }) => outcome.deliver?.[0].body ?? outcome);
  assert.deepEqual(bodies[0], bodies[1]);
  assert.match(bodies[0].id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(bodies[0].mac, nodeHmac("sha256", "key").update("data").digest("hex"));
  assert.equal(bodies[0].named, nodeHmac("sha512", "sample-secret-signing").update("data").digest("base64"));
  assert.deepEqual([bodies[0].url, bodies[0].copy, bodies[0].amount], ["https://receiver.example/x", { id: 7 }, "1,234.5"]);
});

test("what is not there is refused when the script is set", () => {
  const set = (code) => run(code, { event: { type: "hookmill.settings.check", body: {} } }).outcome;
  const check = (body, expect) => assert.match(set(`function handler(w) {\n  ${body}\n  return w;\n}`).fail ?? "", expect, body);
  check("fetch('https://x.example');", /^fetch: there is no network[^]*at script:2:3$/);
  check("setTimeout(() => {}, 1);", /^setTimeout: there are no timers/);
  check("const b = Buffer.from('a');", /^Buffer: there are no Node.js buffers/);
  check("require('fs');", /^require: there are no modules but crypto, url and util/);
  check("new Intl.NumberFormat();", /^Intl: /);
  check("crypto.subtle.digest('SHA-256', b);", /^subtle: it answers by promises/);
  assert.match(set("async function handler(w) { return w; }").fail, /promise/);
  for (const fine of ["w.fetch();", "const fetch = () => 1; fetch();", "'fetch()';", "if (typeof fetch === 'function') fetch();", "const o = { Buffer: 1 };", "require('crypto');"]) {
    assert.deepEqual(set(`function handler(w) { ${fine} return w; }`), { drop: "the script can be read" }, fine);
  }
});
