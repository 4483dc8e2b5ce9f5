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

/** Ends the run: the receiver has the event, whatever the status says. */
export function delivered(): never;

/**
 * Makes the export of a classifier of a function. One that calls none of `retry`, `fail` and `delivered` has no opinion:
 * the answer means what its status says.
 */
export function defineClassifier<Settings = any>(
  handler: (response: Response, event: Event, target: Target<Settings>) => void,
): Classifier;
