//! Hookdeck: `addHandler("transform", (request, context) => { ...; return request; })`.
//!
//! `headers` with names in lower case, `body` as a JSON value or a text, `path`, `query` and `parsed_query`. Path and
//! query are those of the endpoint's URL. What is set in `parsed_query` counts for nothing, as with Hookdeck: it is
//! `query` that is sent.

import { fail } from "@hookmill/plugin";

import { Payload, returned } from "./payload.js";

export function hookdeck(handler, event, target) {
  const payload = new Payload(event);
  const place = placeOf(target.url);
  const { contentType } = event;
  const given = {
    method: "POST",
    headers: { "content-type": contentType },
    path: place.path,
    query: place.query,
    parsed_query: parseQuery(place.query),
  };
  const request = returned(handler(payload.lendTo(given, "body"), contextOf(event, target)), "return the request");
  const headers = { ...request.headers };
  if (!Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
    fail("the request has no content-type: keep request.headers, or set one");
  }
  if (headers["content-type"] === contentType) delete headers["content-type"];
  const { path = place.path, query = place.query } = request;
  const isMoved = path !== place.path || query !== place.query;
  return {
    method: request.method,
    url: isMoved ? place.origin + path + (query ? `?${query}` : "") : undefined,
    headers,
    body: payload.bodyIn(request, "body"),
  };
}

/** Parts of an absolute URL, which the router has checked. */
function placeOf(url) {
  const [, origin, path, query = ""] = /^([a-z]+:\/\/[^/?#]*)([^?#]*)(?:\?([^#]*))?/i.exec(url);
  return { origin, path, query };
}

/** Names with their values; a name that comes more than once has a list. */
function parseQuery(query) {
  const parsed = {};
  for (const pair of query.split("&").filter(Boolean)) {
    const [name, value] = pair.split(/=(.*)/s, 2).map(decodePart);
    const before = Object.hasOwn(parsed, name) ? [parsed[name]].flat() : [];
    parsed[name] = before.length > 0 ? [...before, value ?? ""] : (value ?? "");
  }
  return parsed;
}

function decodePart(text) {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

function contextOf(event, target) {
  return {
    connection: {
      source: { name: event.type },
      destination: { name: target.endpointId, config: { url: target.url } },
    },
  };
}
