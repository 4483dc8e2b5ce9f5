//! Gives handles back in time.
//!
//! Exports of every world borrow what they are about: the event, the target. The component model wants borrowed handles
//! back before the export returns; componentize-qjs (0.4.5) gives them back afterwards, in the function that frees the
//! result, which is a trap. So the export is wrapped in a function that gives them back right after the call, and the
//! late release becomes one that does nothing. Nothing else of the component changes.

import { Reader, bytesOf, sections, unsigned, writeSections } from "./binary.js";

const PACKAGE = "hookmill:plugin";
const VERSION = "1.0.0";

/** What each world's export borrows, in the order of its parameters: interface and resource. */
const BORROWED = new Map([
  [`${PACKAGE}/transform@${VERSION}#run`, [["event", "event"], ["event", "target"]]],
  [`${PACKAGE}/source@${VERSION}#receive`, [["inbound", "request"], ["inbound", "origin"]]],
  [`${PACKAGE}/classifier@${VERSION}#classify`, [["answer", "response"], ["event", "event"], ["event", "target"]]],
]);

const CORE = { types: 1, imports: 2, functions: 3, exports: 7, elements: 9, code: 10 };
const COMPONENT = { coreModule: 1, component: 4 };
const FUNCTION = 0x00;
const OP = { end: 0x0b, call: 0x10, localGet: 0x20 };

/**
 * The component with borrowed handles given back before its export returns.
 *
 * @param {Uint8Array} component what componentize-qjs made
 * @returns {Uint8Array}
 */
export function returnBorrows(component) {
  const state = { wrapped: 0 };
  const mended = mendComponent(component, state);
  if (state.wrapped !== 1) {
    throw new Error(`expected one export of a Hookmill world, found ${state.wrapped}: was the world built from wit/?`);
  }
  return mended;
}

function mendComponent(component, state) {
  const mended = sections(component).map(({ id, content }) => {
    if (id === COMPONENT.component) return { id, content: mendComponent(content, state) };
    if (id === COMPONENT.coreModule) return { id, content: mendModule(content, state) };
    return { id, content };
  });
  return writeSections(component.subarray(0, 8), mended);
}

function mendModule(module, state) {
  const parts = sections(module);
  const part = (id) => parts.find((section) => section.id === id);
  const exported = part(CORE.exports) && exportsOf(part(CORE.exports).content);
  const wanted = exported?.find(({ name, kind }) => kind === FUNCTION && BORROWED.has(name));
  const imports = part(CORE.imports) && functionImports(part(CORE.imports).content);
  const drops = wanted && BORROWED.get(wanted.name).map(([iface, resource]) =>
    imports.findIndex(({ module, name }) =>
      module === `${PACKAGE}/${iface}@${VERSION}` && name === `[resource-drop]${resource}`));
  // Other modules of the component pass these functions through under the same names; only one both exports the call
  // and imports what gives the handles back.
  if (!drops || drops.includes(-1)) return module;

  const functions = new Reader(part(CORE.functions).content).vector((reader) => reader.unsigned());
  const wrapper = imports.length + functions.length;
  const nothing = wrapper + 1;
  const typeOfCall = functions[wanted.index - imports.length];
  const typeOfDrop = imports[drops[0]].type;
  part(CORE.functions).content = bytesOf(vector([...functions, typeOfCall, typeOfDrop].map(unsigned)));
  part(CORE.exports).content = bytesOf(vector(exported.map((entry) =>
    entry === wanted ? encodeExport({ ...entry, index: wrapper }) : encodeExport(entry))));
  part(CORE.elements).content = replaceInElements(part(CORE.elements).content, new Set(drops), nothing);
  const bodies = new Reader(part(CORE.code).content).vector((reader) => reader.bytes(reader.unsigned()));
  part(CORE.code).content = bytesOf(vector([...bodies, wrapperBody(wanted.index, drops), [0, OP.end]]
    .map((body) => [unsigned(body.length), body])));
  state.wrapped += 1;
  return writeSections(module.subarray(0, 8), parts);
}

/** Calls the function with its own parameters, then gives each of them back. What the call returned stays the result. */
function wrapperBody(call, drops) {
  const parameters = drops.map((_, index) => [OP.localGet, index]);
  const givenBack = drops.map((drop, index) => [OP.localGet, index, OP.call, ...unsigned(drop)]);
  return [0, ...parameters.flat(), OP.call, ...unsigned(call), ...givenBack.flat(), OP.end];
}

function exportsOf(content) {
  return new Reader(content).vector((reader) => ({
    name: reader.name(),
    kind: reader.byte(),
    index: reader.unsigned(),
  }));
}

function encodeExport({ name, kind, index }) {
  const text = new TextEncoder().encode(name);
  return [unsigned(text.length), text, [kind], unsigned(index)];
}

/** The functions among the imports, in the order of their indices. */
function functionImports(content) {
  const skipLimits = (reader) => {
    const hasMaximum = reader.byte() & 1;
    reader.unsigned();
    if (hasMaximum) reader.unsigned();
  };
  const imports = new Reader(content).vector((reader) => {
    const found = { module: reader.name(), name: reader.name(), kind: reader.byte() };
    switch (found.kind) {
      case FUNCTION: return { ...found, type: reader.unsigned() };
      case 0x01: reader.byte(); skipLimits(reader); return found;
      case 0x02: skipLimits(reader); return found;
      case 0x03: reader.bytes(2); return found;
      default: throw new Error(`an import of unknown kind ${found.kind}`);
    }
  });
  return imports.filter(({ kind }) => kind === FUNCTION);
}

/** Active segments of function indices that name their table, which is all that wit-dylib makes. */
const ACTIVE_WITH_TABLE = 2;

/** Each function of `from` in the element segments becomes `to`. */
function replaceInElements(content, from, to) {
  return bytesOf(vector(new Reader(content).vector((reader) => {
    const flags = reader.unsigned();
    if (flags !== ACTIVE_WITH_TABLE) throw new Error(`an element segment of unknown kind ${flags}`);
    const table = reader.unsigned();
    const offset = reader.constantExpression();
    const elementKind = reader.byte();
    const indices = reader.vector((entry) => unsigned(replace(entry.unsigned())));
    return [[flags], unsigned(table), offset, [elementKind], vector(indices)];
  })));

  function replace(index) {
    return from.has(index) ? to : index;
  }
}

function vector(items) {
  return [unsigned(items.length), ...items];
}
