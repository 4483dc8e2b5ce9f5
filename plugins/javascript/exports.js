//! Scripts are evaluated, and only modules may export.

import { placeOf, tokensOf } from "./code.js";

const DECLARES = ["async", "class", "const", "function", "let", "var"];

/**
 * The script with exports made into plain declarations, and the name of what it exports as its default. No character moves,
 * so that places stay true.
 *
 * @returns {{ code: string, name?: string }}
 */
export function withoutExports(code) {
  const { tokens } = tokensOf(code);
  const pieces = [];
  let [done, name] = [0, undefined];
  const replace = (from, to, by) => {
    pieces.push(code.slice(done, from), by + code.slice(from + by.length, to).replace(/[^\n]/g, " "));
    done = to;
  };
  tokens.forEach((token, place) => {
    if (token.text !== "export" || token.depth !== 0 || token.kind !== "word" || isProperty(tokens, place)) return;
    const [next, after, further] = tokens.slice(place + 1, place + 4);
    if (next?.text === "default") {
      // A declaration stays one, since the rest of the script may call it by its name.
      const declared = after?.text === "async" && further?.text === "function" ? tokens[place + 4] : further;
      const isDeclaration = ["async", "class", "function"].includes(after?.text) && declared?.kind === "word" && !DECLARES.includes(declared.text);
      if (isDeclaration) {
        name = declared.text;
        replace(token.at, after.at, "");
      } else {
        name = "_default_";
        replace(token.at, next.at + next.text.length, "_default_=");
      }
    } else if (next?.text === "{") {
      const end = tokens.findIndex(({ text, at }) => text === "}" && at > next.at);
      const listed = tokens.slice(place + 2, end);
      const asDefault = listed.findIndex(({ text }, at) => text === "as" && listed[at + 1]?.text === "default");
      if (asDefault > 0) name = listed[asDefault - 1].text;
      replace(token.at, tokens[end].at + 1, ";");
    } else if (DECLARES.includes(next?.text)) {
      replace(token.at, token.at + token.text.length, "");
    }
  });
  return { code: pieces.join("") + code.slice(done), name };
}

/** `import` of a module, where there is one. */
export function importIn(code) {
  const { tokens } = tokensOf(code);
  const found = tokens.find((token, place) => {
    const next = tokens[place + 1]?.text;
    return token.text === "import" && token.depth === 0 && token.kind === "word" && next !== "(" && next !== "." && !isProperty(tokens, place);
  });
  return found && placeOf(code, found.at);
}

function isProperty(tokens, place) {
  return [".", "?."].includes(tokens[place - 1]?.text) || tokens[place + 1]?.text === ":";
}
