//! Events, endpoints, requests and answers as plain objects over the router's handles. What is read is asked for once.

/** JSON text of the router's, as a value. */
function parsed(text) {
  return text === null || text === undefined ? undefined : JSON.parse(text);
}

/** What the router hands to a handler, which is to be read and is no result. */
class Handed {
  /** What its author calls it. */
  static called = "what it was given";
}

/** What has a body: an event, a posted request, an answer. */
class Message extends Handed {
  /** The router's handle. */
  _host;

  constructor(host) {
    super();
    this._host = host;
  }

  /** The body as text. Fails where it is not UTF-8. */
  text() {
    const text = this._host.text();
    if (text === null || text === undefined) throw new Error("the body is not UTF-8: read its bytes()");
    return text;
  }

  bytes() {
    return this._host.bytes();
  }

  /** The body as a JSON value, or one node of it: `json("/data/to")`. A node that is not there is undefined. */
  json(pointer) {
    if (pointer !== undefined) return parsed(asError(() => this._host.json(pointer)));
    try {
      return JSON.parse(this.text());
    } catch (error) {
      throw new Error(`the body is not JSON: ${error.message}`);
    }
  }
}

export class Event extends Message {
  static called = "the event";
  get id() { return this._host.id(); }
  get uid() { return this._host.uid() ?? undefined; }
  get type() { return this._host.eventType(); }
  get channels() { return this._host.channels(); }
  get acceptedAt() { return new Date(Number(this._host.acceptedAt())); }
  get contentType() { return this._host.contentType(); }
  get size() { return Number(this._host.size()); }
}

/** What has settings: an endpoint, a source. */
class Configured extends Handed {
  _host;
  #settings;

  constructor(host) {
    super();
    this._host = host;
  }

  get settings() {
    this.#settings ??= JSON.parse(this._host.settings());
    return this.#settings;
  }

  /** One node of the settings: `setting("/team/channel")`. A node that is not there is undefined. */
  setting(pointer) {
    return parsed(asError(() => this._host.setting(pointer)));
  }
}

export class Target extends Configured {
  static called = "the endpoint";
  get endpointId() { return this._host.endpointId(); }
  get url() { return this._host.url(); }
  get attempt() { return this._host.attempt(); }
}

export class Origin extends Configured {
  static called = "the source";
  get name() { return this._host.name(); }
}

export class InboundRequest extends Message {
  static called = "the request that came in";
  get method() { return this._host.method(); }
  get path() { return this._host.path(); }
  get query() { return this._host.query(); }
  get receivedAt() { return new Date(Number(this._host.receivedAt())); }
  get headers() {
    return Object.fromEntries(this._host.headerNames().map((name) => [name, this.header(name)]));
  }

  /** A header by name, whatever its case. */
  header(name) { return this._host.header(name) ?? undefined; }
}

export class Response extends Message {
  static called = "the answer";
  get status() { return this._host.status(); }

  /** A header by name, whatever its case. */
  header(name) { return this._host.header(name) ?? undefined; }
}

/** The router's refusals come as `{ payload }`; authors expect errors. */
export function asError(call) {
  try {
    return call();
  } catch (error) {
    throw typeof error?.payload === "string" ? new Error(error.payload) : error;
  }
}

/** Sets a body on a request, an event or a reply of the router's: text, bytes, or anything else as JSON. */
export function setBody(host, body) {
  if (body instanceof Handed) {
    throw new TypeError(`a body can't be ${body.constructor.called} itself: take what you need of it, such as its json()`);
  }
  if (typeof body === "string") host.setBodyText(body);
  else if (body instanceof Uint8Array) host.setBody(body);
  else host.setBodyText(jsonText(body));
}

function jsonText(value) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`a body can't be ${typeof value}: JSON has no such value`);
  return text;
}

/** Refuses keys that would be overlooked otherwise. */
export function onlyKeys(object, what, known) {
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    throw new TypeError(`${what} is an object, not ${describe(object)}`);
  }
  if (object instanceof Handed) {
    const instead = known.includes("body") ? ": return a new object, such as one whose `body` is its json()" : "";
    throw new TypeError(`${what} can't be ${object.constructor.called} itself${instead}`);
  }
  const unknown = Object.keys(object).filter((key) => !known.includes(key));
  if (unknown.length > 0) {
    throw new TypeError(`${what} has no \`${unknown[0]}\`; it has ${known.join(", ")}`);
  }
}

export function describe(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value;
}
