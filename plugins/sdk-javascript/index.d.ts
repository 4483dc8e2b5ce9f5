/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What has a body. What is read is asked of the router when it is read, and copied then. */
export interface Message {
  /** The body as text. Throws where it is not UTF-8. */
  text(): string;
  bytes(): Uint8Array;
  /** The body as a JSON value. Throws where it is none. */
  json<T = any>(): T;
  /** One node of the body by its JSON pointer (RFC 6901): `json("/data/to")`. Nothing else of the body is copied. */
  json<T = any>(pointer: string): T | undefined;
}

/** One accepted event. */
export interface Event extends Message {
  /** The router's id, for example `msg_01k...`. */
  readonly id: string;
  /** The sender's own id, where it gave one. */
  readonly uid?: string;
  /** What happened, for example `invoice.paid`. */
  readonly type: string;
  readonly channels: string[];
  readonly acceptedAt: Date;
  readonly contentType: string;
  /** Bytes of the body. */
  readonly size: number;
}

/** The endpoint that the event goes to. */
export interface Target<Settings = any> {
  /** The router's id, for example `ep_01k...`. */
  readonly endpointId: string;
  readonly url: string;
  /** 1 for the first attempt of this delivery. */
  readonly attempt: number;
  /** The endpoint's settings for this plugin. */
  readonly settings: Settings;
  /** One node of the settings by its JSON pointer. */
  setting<T = any>(pointer: string): T | undefined;
}

/** A header's value with a secret in it; made by {@link secret}. */
export interface SecretValue {
  readonly name: string;
  readonly prefix: string;
  readonly suffix: string;
}

/** A request to send. What is left out is as it would be without a plugin. */
export interface Request {
  /** `POST` where it is left out. */
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Within the origins that the endpoint allows; its own URL where it is left out. */
  url?: string;
  headers?: Record<string, string | number | string[] | SecretValue | undefined>;
  /** A text or bytes as they are, anything else as JSON; the event's own bytes where it is left out. */
  body?: string | Uint8Array | object | number | boolean | null;
  /** In the place of `body`: a JSON merge patch (RFC 7396) of the event's body, whose other values keep their text. */
  patch?: object;
  /** Names this request among several. */
  partKey?: string;
}

/** Nothing is sent; made by {@link drop}. */
export interface Drop {
  readonly reason: string;
}

/**
 * The type of the event that a plugin with `"checks_settings": true` in its manifest is shown when settings are set:
 * `fail` refuses them, anything else takes them.
 */
export const SETTINGS_CHECK: "hookmill.settings.check";

/** The export of a transform, under the name `transform`. */
export interface Transform {
  run(event: unknown, target: unknown): unknown;
}

/** Makes the export of a transform of a function. An error that it throws fails the delivery for good. */
export function defineTransform<Settings = any>(
  handler: (event: Event, target: Target<Settings>) => Request | Request[] | Drop,
): Transform;

/** Send nothing, on purpose: `return drop("a test event")`. */
export function drop(reason: string): Drop;

/** A header's value with a secret in it, which the router writes: `secret("token", { prefix: "Bearer " })`. */
export function secret(name: string, around?: { prefix?: string; suffix?: string }): SecretValue;

/** Ends the run: try again later, on the endpoint's retry schedule. */
export function retry(message: string): never;

/** Ends the run: never try again. */
export function fail(message: string): never;
