//! Runs plugins in Node.js, without WebAssembly: quick to try, and with a debugger. The router runs the same samples
//! over the built plugin when it is uploaded.

import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { test } from "node:test";
import { URL, pathToFileURL } from "node:url";

import { handles, world } from "./router.js";

register("./hooks.js", import.meta.url);

const NOW_MS = 1_720_775_666_000;
const URL_OF_SAMPLES = "https://receiver.example/hook";

/** Loads a plugin: its file, or the URL of it. */
export async function load(file) {
  // The kit gives JavaScript a clock and chance that are the router's. Node.js needs its own back.
  const own = { console: globalThis.console, Date: globalThis.Date, random: Math.random, performance: globalThis.performance };
  const dateConstructor = Date.prototype.constructor;
  const exported = await import(file instanceof URL ? file.href : pathToFileURL(file).href);
  const routers = { console: globalThis.console, Date: globalThis.Date, random: Math.random };
  const restore = () => {
    Object.assign(globalThis, { console: own.console, Date: own.Date, performance: own.performance });
    Object.assign(Math, { random: own.random });
    Date.prototype.constructor = dateConstructor;
  };
  restore();
  return {
    run(sample) {
      Object.assign(world, { nowMs: sample.now_ms ?? NOW_MS, chance: 1n, logs: [] });
      Object.assign(globalThis, { console: routers.console, Date: routers.Date });
      Math.random = routers.random;
      try {
        return { outcome: runSample(exported, sample), logs: world.logs };
      } finally {
        restore();
      }
    },
  };
}

/** Makes a test of each sample in `plugin.json` beside the plugin. */
export async function testSamples(file) {
  const url = file instanceof URL ? file : pathToFileURL(file);
  const { samples } = JSON.parse(await readFile(new URL("plugin.json", url), "utf8"));
  const plugin = await load(url);
  for (const sample of samples) {
    test(`sample: ${sample.name}`, () => {
      const { outcome } = plugin.run(sample);
      assert.deepEqual(compared(outcome, sample.expect), sample.expect);
    });
  }
}

function runSample({ transform, source, classifier }, sample) {
  if (transform) return runTransform(transform, sample);
  if (source) return runSource(source, sample);
  if (classifier) return runClassifier(classifier, sample);
  throw new Error("the plugin exports none of `transform`, `source` and `classifier`");
}

function runTransform(transform, sample) {
  const { event, target } = eventAndTarget(sample);
  try {
    const { tag, val } = transform.run(event, target);
    return { [tag]: tag === "deliver" ? val.map(({ made }) => shown(made)) : val };
  } catch (failure) {
    const names = { retryable: "retry", permanent: "fail" };
    if (!(failure?.tag in names)) throw failure;
    return { [names[failure.tag]]: failure.val };
  }
}

function runSource(source, sample) {
  const { method = "POST", path = "", query = "", headers = {}, ...rest } = sample.request;
  const lowered = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  world.request = { contentType: lowered["content-type"] ?? "application/json", bytes: bytesOf(rest) };
  const request = handles.inbound({ method, path, query, headers: lowered, receivedAt: world.nowMs, bytes: bytesOf(rest) });
  const origin = handles.origin({ name: sample.source ?? "sample", settings: sample.settings ?? {} });
  const { tag, val } = source.receive(request, origin);
  if (tag === "accept") return { accept: val.map(({ made }) => shown(made)) };
  return { [tag]: tag === "reply" ? shown(val.made) : val };
}

function runClassifier(classifier, sample) {
  const { status, headers = {}, ...rest } = sample.response;
  const lowered = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const response = handles.response({ status, headers: lowered, bytes: bytesOf(rest) });
  const { event, target } = eventAndTarget({ event: { type: "sample", body: null }, ...sample });
  const { tag, val } = classifier.classify(response, event, target);
  if (response.isLeftToStatus) {
    // A sample that says what a success comes to says it of a classifier, too, that leaves it to the status.
    return "delivered" in sample.expect && status >= 200 && status < 300 ? { delivered: true } : { no_opinion: true };
  }
  return tag === "delivered" ? { delivered: true } : { [tag]: val };
}

function eventAndTarget({ event, settings = {}, url = URL_OF_SAMPLES, attempt = 1 }) {
  const { id = "msg_sample", uid, type, channels = [], content_type: contentType = "application/json" } = event;
  world.event = { id, uid, type, channels, contentType, acceptedAt: world.nowMs, bytes: bytesOf(event) };
  world.target = { url, attempt, settings };
  return { event: handles.event(world.event), target: handles.target(world.target) };
}

function bytesOf({ body, body_text: text }) {
  return new TextEncoder().encode(text ?? (body === undefined ? "" : JSON.stringify(body)));
}

/** A body as a sample shows it: as JSON where it is some. */
function shown({ bytes, ...rest }) {
  const text = Buffer.from(bytes).toString();
  try {
    return { ...rest, body: JSON.parse(text), body_text: text };
  } catch {
    return { ...rest, body_text: text };
  }
}

/** What the expectation speaks of; the rest is not compared. */
function compared(actual, expected) {
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return actual.map((item, index) => compared(item, expected[index]));
  }
  if (!isRequest(expected) || typeof actual !== "object" || actual === null) {
    return isPlain(actual) && isPlain(expected)
      ? Object.fromEntries(Object.entries(actual).map(([key, value]) => [key, compared(value, expected[key])]))
      : actual;
  }
  const kept = Object.entries(actual).filter(([key]) => key in expected);
  return Object.fromEntries(kept.map(([key, value]) => [key, key === "headers" ? namedHeaders(value, expected[key]) : value]));
}

const isPlain = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isRequest = (value) => isPlain(value) && ("body" in value || "body_text" in value || "status" in value);

function namedHeaders(headers, expected) {
  return Object.fromEntries(Object.keys(expected).map((name) => [name, headers[name.toLowerCase()]]));
}
