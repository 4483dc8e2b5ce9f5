//! A script's tokens: enough of the language to tell code from texts, comments and regular expressions.

const TOKEN = new RegExp(
  [
    /(?<blank>\s+|\/\/[^\n]*|\/\*[^]*?\*\/)/,
    /(?<word>[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*)/,
    /(?<number>\.?\d[\w.]*)/,
    /(?<string>"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*')/,
    /(?<mark>\?\.|=>|[^])/,
  ].map((part) => part.source).join("|"),
  "uy",
);
const TEMPLATE = /(?:[^`\\$]|\\[^]|\$(?!\{))*(`|\$\{)/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y;
/** Words behind which a `/` begins a regular expression. */
const BEFORE_VALUE = new Set(["return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "instanceof", "yield", "await"]);
const CLOSES = { "}": "{", ")": "(", "]": "[" };

/**
 * The tokens that are code, each with its text, where it begins, and how deep in brackets it is; and, where brackets do not
 * match, what is wrong where.
 *
 * @returns {{ tokens: { text: string, at: number, depth: number, kind: string }[], problem?: { what: string, at: number } }}
 */
export function tokensOf(code) {
  const tokens = [];
  const open = [];
  let problem;
  let at = 0;
  /** The text of a template goes on up to its end or the next value in it. */
  const template = (start) => {
    TEMPLATE.lastIndex = at;
    const found = TEMPLATE.exec(code);
    if (!found) {
      problem ??= { what: "`", at: start };
      at = code.length;
      return;
    }
    at = TEMPLATE.lastIndex;
    if (found[1] === "${") open.push({ text: "${", at: start });
  };
  while (at < code.length) {
    TOKEN.lastIndex = at;
    const { groups, 0: text } = TOKEN.exec(code);
    const start = at;
    at += text.length;
    if (groups.blank !== undefined) continue;
    let kind = groups.word !== undefined ? "word" : groups.mark !== undefined ? "mark" : "value";
    if (text === "`") {
      template(start);
      kind = "value";
    } else if (text === "/" && isValueNext(tokens.at(-1))) {
      REGEX.lastIndex = start;
      if (REGEX.test(code)) {
        at = REGEX.lastIndex;
        kind = "value";
      }
    } else if (text === "{" || text === "(" || text === "[") {
      tokens.push({ text, at: start, depth: open.length, kind });
      open.push({ text, at: start });
      continue;
    } else if (text in CLOSES) {
      const opener = open.pop();
      if (text === "}" && opener?.text === "${") {
        template(opener.at);
        tokens.push({ text: "`", at: start, depth: open.length, kind: "value" });
        continue;
      }
      if (opener?.text !== CLOSES[text]) {
        problem ??= opener ? { what: opener.text, at: opener.at } : { what: text, at: start, isClosing: true };
        if (opener) continue;
      }
    }
    tokens.push({ text, at: start, depth: open.length, kind });
  }
  const last = open.at(-1);
  if (last) problem ??= { what: last.text === "${" ? "`" : last.text, at: last.at };
  return { tokens, problem };
}

function isValueNext(before) {
  if (before === undefined) return true;
  if (before.kind === "value") return false;
  if (before.kind === "word") return BEFORE_VALUE.has(before.text);
  return ![")", "]", "}"].includes(before.text);
}

/** A place in people's words: `script:2:10`. */
export function placeOf(code, at) {
  const before = code.slice(0, at).split("\n");
  return `script:${before.length}:${before.at(-1).length + 1}`;
}

/** What is wrong with a script's brackets, in words; nothing where they match. */
export function unmatched(code) {
  const { problem } = tokensOf(code);
  if (!problem) return undefined;
  const place = placeOf(code, problem.at);
  if (problem.isClosing) return `SyntaxError: \`${problem.what}\` closes nothing\n    at ${place}`;
  return `SyntaxError: \`${problem.what}\` is not closed\n    at ${place}`;
}
