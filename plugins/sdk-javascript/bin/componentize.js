#!/usr/bin/env node
//! Makes a component of a plugin: `hookmill-componentize plugin.js -o plugin.wasm`.
//!
//! Reads the world from `plugin.json` beside the plugin and puts that manifest into the component.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { componentize } from "../src/componentize.js";

const USAGE = `Usage: hookmill-componentize [--wit DIRECTORY] [--module-root DIRECTORY] [-o FILE] PLUGIN.js

Makes a WebAssembly component of a plugin. The manifest, plugin.json, is beside the plugin and names its world.

  --wit          the router's interface [default: wit, beside the plugin]
  --module-root  where imports are found [default: the plugin's folder]
  -o, --output   the component [default: the plugin's name with .wasm]`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      wit: { type: "string" },
      "module-root": { type: "string" },
      output: { type: "string", short: "o" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help || positionals.length !== 1) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 2;
  } else {
    const plugin = path.resolve(positionals[0]);
    const directory = path.dirname(plugin);
    const component = await componentize({
      plugin,
      manifest: readFileSync(path.join(directory, "plugin.json")),
      wit: path.resolve(values.wit ?? path.join(directory, "wit")),
      moduleRoot: path.resolve(values["module-root"] ?? directory),
    });
    writeFileSync(values.output ?? plugin.replace(/\.[cm]?js$/, ".wasm"), component);
  }
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
