/** What came of one run, in the form of a sample's `expect`. */
export type Report = { outcome: Record<string, unknown>; logs: { level: string; message: string }[] };

/** Loads a plugin in Node.js, with a router of doubles around it. */
export function load(file: string | URL): Promise<Plugin>;

export interface Plugin {
  /** Runs the plugin over one sample's input. */
  run(sample: object): Report;
}

/** Runs each sample of `plugin.json` beside the plugin as a test of `node:test`. */
export function testSamples(file: string | URL): Promise<void>;
