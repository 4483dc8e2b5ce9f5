import type { Event, Message, Target } from "./index.js";

export { fail, retry } from "./index.js";

/** What a receiver answered. */
export interface Response extends Message {
  readonly status: number;
  /** A header by name, whatever its case. */
  header(name: string): string | undefined;
}

/** The export of a classifier, under the name `classifier`. */
export interface Classifier {
  classify(response: unknown, event: unknown, target: unknown): unknown;
}

/** Makes the export of a classifier of a function: one that calls neither `retry` nor `fail` says: delivered. */
export function defineClassifier<Settings = any>(
  handler: (response: Response, event: Event, target: Target<Settings>) => void,
): Classifier;
