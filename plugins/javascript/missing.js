//! What scripts of other places may use and can't have here. A clear word is better than `not a function`.

const REASONS = {
  "there are no timers: a run sees one moment": ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval"],
  "there is no network: work with what the event and the settings hold": ["fetch", "XMLHttpRequest", "WebSocket"],
  "there are no modules: paste what the script needs": ["require", "importScripts"],
};

for (const [reason, names] of Object.entries(REASONS)) {
  for (const name of names) {
    globalThis[name] = () => {
      throw new Error(`${name}: ${reason}`);
    };
  }
}
