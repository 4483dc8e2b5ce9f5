import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { bytesOf, sections, unsigned, writeSections } from "../src/binary.js";
import { returnBorrows } from "../src/borrows.js";
import { componentize } from "../src/componentize.js";

const WIT = fileURLToPath(new URL("../../../wit", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const HEADER = Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0);

for (const example of ["ticket", "orders", "soft-errors"]) {
  test(`the example ${example} becomes a component with its manifest`, async () => {
    const folder = new URL(`../examples/${example}/`, import.meta.url);
    const manifest = await readFile(new URL("plugin.json", folder));
    const plugin = fileURLToPath(new URL("plugin.js", folder));
    const component = await componentize({ plugin, manifest, wit: WIT, moduleRoot: ROOT });
    assert.deepEqual([...component.subarray(0, 8)], [...HEADER]);
    const last = sections(component).at(-1);
    assert.equal(last.id, 0);
    assert.equal(Buffer.from(last.content).toString(), `\x11hookmill:manifest${manifest}`);
  });
}

test("a component without one of our worlds is refused", () => {
  const empty = writeSections(HEADER, [{ id: 0, content: bytesOf([unsigned(1), [0x61]]) }]);
  assert.throws(() => returnBorrows(empty), /expected one export of a Hookmill world, found 0/);
  assert.throws(() => returnBorrows(bytesOf([HEADER, [1, 200, 1, 0]])), /ends in the middle/);
});

test("numbers have the specification's form", () => {
  const check = (value, expect) => assert.deepEqual(unsigned(value), expect);
  check(0, [0]);
  check(127, [0x7f]);
  check(128, [0x80, 1]);
  check(624485, [0xe5, 0x8e, 0x26]);
  check(2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff, 0x0f]);
});
