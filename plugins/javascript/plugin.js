//! Runs the endpoint's own script over each event.
//!
//! The engine and this program start from a snapshot made when the plugin was built; what is left for a run is to read
//! the script (`script.js`) and to call its handler in the way of the service that it was written for (`shapes/`).

import { SETTINGS_CHECK, defineTransform, drop } from "@hookmill/plugin";

import { installMissing } from "./missing.js";
import { check, handlerOf } from "./script.js";
import { convoy } from "./shapes/convoy.js";
import { hookdeck } from "./shapes/hookdeck.js";
import { own } from "./shapes/own.js";
import { svix } from "./shapes/svix.js";
import { install, installLocale } from "./web/index.js";

installMissing(globalThis);
install(globalThis);
installLocale();

const SHAPES = { hookdeck, own, svix, convoy };

/** The script that was read last: an instance that is used again need not read it again. */
let known;

export const transform = defineTransform((event, target) => {
  const { code, settings = {} } = target.settings;
  if (known?.code !== code) known = { code, ...handlerOf(code, settings) };
  if (event.type === SETTINGS_CHECK) {
    check(code, known.handler);
    return drop("the script can be read");
  }
  return SHAPES[known.shape](known.handler, event, target, settings);
});
