//! Classifiers: what a receiver's answer means.

import "./runtime.js";
import { Event, Response, Target } from "./message.js";
import { Fail, Retry } from "./verdict.js";

export { fail, retry } from "./verdict.js";

/**
 * The export of a classifier: `export const classifier = defineClassifier((response, event, target) => { ... })`.
 * A handler that calls neither `retry` nor `fail` says that the receiver has the event.
 */
export function defineClassifier(handler) {
  return {
    classify(response, event, target) {
      try {
        handler(new Response(response), new Event(event), new Target(target));
        return { tag: "delivered" };
      } catch (error) {
        if (error instanceof Retry) return { tag: "retry", val: error.message };
        if (error instanceof Fail) return { tag: "fail", val: error.message };
        console.error(error);
        throw error;
      }
    },
  };
}
