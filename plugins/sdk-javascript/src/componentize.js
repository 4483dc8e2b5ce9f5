//! From JavaScript to a component that the router takes as it is.

import { readFileSync } from "node:fs";

import { componentize as componentizeQjs } from "componentize-qjs";

import { bytesOf, unsigned } from "./binary.js";
import { returnBorrows } from "./borrows.js";

const MANIFEST_SECTION = "hookmill:manifest";
const CUSTOM = 0;

/**
 * @param {{ plugin: string, manifest: Uint8Array, wit: string, moduleRoot: string }} job
 * @returns {Promise<Uint8Array>}
 */
export async function componentize({ plugin, manifest, wit, moduleRoot }) {
  const { world } = JSON.parse(new TextDecoder().decode(manifest));
  const { component } = await componentizeQjs({
    witPath: wit,
    jsPath: plugin,
    jsSource: readFileSync(plugin, "utf8"),
    moduleRoot,
    world: `${world}-plugin`,
    // A plugin has no clock, files or network: calls to them trap, and nothing of WASI is left to import.
    stubWasi: true,
    sync: true,
    // Reference counting frees nearly all; what it leaves goes with the instance. A collection would touch every page.
    disableGc: true,
  });
  return withManifest(returnBorrows(component), manifest);
}

/** Appends the manifest as the outermost custom section. */
export function withManifest(component, manifest) {
  const name = new TextEncoder().encode(MANIFEST_SECTION);
  const content = bytesOf([unsigned(name.length), name, manifest]);
  return bytesOf([component, [CUSTOM], unsigned(content.length), content]);
}
