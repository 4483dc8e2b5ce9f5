//! What scripts know from browsers and Node.js and what the engine lacks. Imported for its effect.

import { structuredClone } from "./clone.js";
import { crypto } from "./crypto.js";
import { installLocale } from "./locale.js";
import { TextDecoder, TextEncoder, atob, btoa } from "./text.js";
import { URL, URLSearchParams } from "./url.js";

/** Modules of Node.js of which there is enough to `require` them. */
export const MODULES = { crypto, url: { URL, URLSearchParams }, util: { TextDecoder, TextEncoder } };

const OFFERED = { TextDecoder, TextEncoder, URL, URLSearchParams, atob, btoa, crypto, structuredClone };

/** Puts all of it where scripts look for it; what the surroundings have already is replaced, so that it is the same everywhere. */
export function install(into) {
  for (const [name, value] of Object.entries(OFFERED)) {
    Object.defineProperty(into, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

export { installLocale };
