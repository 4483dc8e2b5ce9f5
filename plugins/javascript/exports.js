//! Scripts are evaluated, and only modules may export.

/** The script with exports made into plain declarations. No character moves, so that places stay true. */
export function withoutExports(code) {
  return code
    .replace(/^([ \t]*)export[ \t]+default[ \t]/gm, (found, indent) => `${indent}_default_=`.padEnd(found.length))
    .replace(/^([ \t]*)export[ \t](?=[ \t]*(?:async|class|const|function|let|var)\b)/gm, (found) => " ".repeat(found.length));
}
