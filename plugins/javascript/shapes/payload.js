//! The event's body as the services hand it to scripts: a JSON value, or a text where it is none.
//!
//! JavaScript's numbers hold 53 bits, and what is parsed is written in another way. So the body is parsed when the
//! script first looks at it; one that it does not look at keeps its bytes.

export class Payload {
  #event;
  #value;
  #isRead = false;
  #read = () => {
    if (!this.#isRead) {
      this.#isRead = true;
      this.#value = isJson(this.#event.contentType) ? this.#event.json() : this.#event.text();
    }
    return this.#value;
  };

  constructor(event) {
    this.#event = event;
  }

  get value() {
    return this.#read();
  }

  /** Makes it a property of what the script is given. */
  lendTo(object, name) {
    Object.defineProperty(object, name, {
      enumerable: true,
      configurable: true,
      get: this.#read,
      set: (value) => Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true }),
    });
    return object;
  }

  /** The body to send for what the script gave back; undefined where the event's own bytes are it. */
  bodyIn(object, name) {
    const isAsLent = Object.getOwnPropertyDescriptor(object, name)?.get === this.#read;
    return isAsLent && !this.#isRead ? undefined : object[name];
  }
}

/** `application/json`, and what is written in it (RFC 6839). */
export function isJson(contentType) {
  return contentType === "application/json" || /^[^;]*[/+]json\s*(;|$)/i.test(contentType);
}

/** A payload stays JSON where the event was some: a text then is a JSON string. */
export function asPayload(value, event) {
  return typeof value === "string" && isJson(event.contentType) ? JSON.stringify(value) : value;
}

/** The object that a handler has to give back. */
export function returned(value, what) {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  const found = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
  throw new TypeError(`the handler returned ${found}: ${what}`);
}
