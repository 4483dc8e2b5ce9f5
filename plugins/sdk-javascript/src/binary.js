//! The binary format of WebAssembly, as far as it takes to move sections about (core specification, chapter 5).

/** Reads a section's content from its beginning. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get atEnd() {
    return this.#at >= this.#bytes.length;
  }

  byte() {
    if (this.atEnd) throw new Error(`WebAssembly ends in the middle of something, at byte ${this.#at}`);
    return this.#bytes[this.#at++];
  }

  bytes(count) {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new Error(`WebAssembly ends in the middle of something, at byte ${this.#at}`);
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return found;
  }

  /** An unsigned number of up to 32 bits in LEB128. */
  unsigned() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error(`a number of more than 32 bits, at byte ${this.#at}`);
  }

  name() {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes(this.unsigned()));
  }

  vector(item) {
    return Array.from({ length: this.unsigned() }, () => item(this));
  }

  /** `i32.const` or `global.get`, and the end: what a segment's offset is made of. */
  constantExpression() {
    const start = this.#at;
    const instruction = this.byte();
    if (instruction !== 0x41 && instruction !== 0x23) throw new Error(`an offset of unknown kind ${instruction}`);
    while (this.byte() >= 0x80);
    if (this.byte() !== 0x0b) throw new Error("an offset of more than one instruction");
    return this.#bytes.subarray(start, this.#at);
  }
}

/** The sections of a module or a component, after its header of 8 bytes. */
export function sections(binary) {
  const reader = new Reader(binary.subarray(8));
  const found = [];
  while (!reader.atEnd) found.push({ id: reader.byte(), content: reader.bytes(reader.unsigned()) });
  return found;
}

/** A module or component of these sections. */
export function writeSections(header, parts) {
  return bytesOf([header, ...parts.map(({ id, content }) => [[id], unsigned(content.length), content])]);
}

/** LEB128. */
export function unsigned(value) {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  bytes.push(value);
  return bytes;
}

/** Nested lists of bytes as one. */
export function bytesOf(nested) {
  const flat = [];
  const collect = (part) => {
    const isBytes = part instanceof Uint8Array || typeof part[0] !== "object";
    if (isBytes) flat.push(Uint8Array.from(part));
    else part.forEach(collect);
  };
  collect(nested);
  const bytes = new Uint8Array(flat.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of flat) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
