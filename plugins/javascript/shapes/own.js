//! Hookmill's own: `export default function (event, target) { return { body, headers }; }`, as in a plugin of one's own.

export function own(handler, event, target, settings) {
  Object.defineProperty(target, "settings", { value: settings });
  return handler(event, target);
}
