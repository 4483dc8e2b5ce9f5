//! Classifiers: what a receiver's answer means.

import "./runtime.js";
import { Event, Response, Target } from "./message.js";
import { Delivered, Fail, Retry } from "./verdict.js";

export { delivered, fail, retry } from "./verdict.js";

/**
 * The export of a classifier: `export const classifier = defineClassifier((response, event, target) => { ... })`.
 * A handler that calls none of `retry`, `fail` and `delivered` has no opinion: the answer means what its status says.
 */
export function defineClassifier(handler) {
  return {
    classify(response, event, target) {
      try {
        handler(new Response(response), new Event(event), new Target(target));
        response.noOpinion();
        return { tag: "delivered" };
      } catch (error) {
        if (error instanceof Delivered) return { tag: "delivered" };
        if (error instanceof Retry) return { tag: "retry", val: error.message };
        if (error instanceof Fail) return { tag: "fail", val: error.message };
        console.error(error);
        throw error;
      }
    },
  };
}
