import type { Message } from "./index.js";

/** What a provider posted. Its signature was verified by the router where the source asks for that. */
export interface InboundRequest extends Message {
  /** In capitals. */
  readonly method: string;
  /** After the source's own path, empty or beginning with `/`. */
  readonly path: string;
  /** What follows the `?`, not decoded. */
  readonly query: string;
  readonly receivedAt: Date;
  /** All headers, by their names in lower case. */
  readonly headers: Record<string, string>;
  /** A header by name, whatever its case. */
  header(name: string): string | undefined;
}

/** The source that the request came in by. */
export interface Origin<Settings = any> {
  readonly name: string;
  readonly settings: Settings;
  /** One node of the settings by its JSON pointer. */
  setting<T = any>(pointer: string): T | undefined;
}

/** An event to store. */
export interface NewEvent {
  /** What happened, for example `invoice.paid`. */
  type: string;
  /** The provider's own id: one that was seen before is not stored again. */
  uid?: string;
  /** At most five. */
  channels?: string[];
  /** The request's own where it is left out; JSON where the body is an object. */
  contentType?: string;
  /** The request's own where it is left out. */
  body?: string | Uint8Array | object | number | boolean | null;
}

/** An answer; made by {@link reply}. */
export interface Reply {
  readonly parts: object;
}

/** The export of a source, under the name `source`. */
export interface Source {
  receive(request: unknown, origin: unknown): unknown;
}

/** Makes the export of a source of a function. An empty list is understood and ignored. */
export function defineSource<Settings = any>(
  handler: (request: InboundRequest, origin: Origin<Settings>) => NewEvent | NewEvent[] | Reply,
): Source;

/** Answer so and store nothing: a handshake. */
export function reply(parts: {
  status?: number;
  headers?: Record<string, string>;
  body?: NewEvent["body"];
}): Reply;

/** Ends the run: not authentic, or not understood. */
export function reject(reason: string): never;
