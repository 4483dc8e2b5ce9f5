//! `/in/{source}`: what providers send. There is no key; the source's verification decides who is believed.
//!
//! The path after the source's name and the query stay as they came, since signatures may cover them. Refusals are
//! problems of RFC 9457. Whatever a plugin answers, no browser makes a page of this origin of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hookmill_core::limits::EVENT_BODY_BYTES_MAX;
use hookmill_core::plugin::{InboundRequest, SourceReply};
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Method, StatusCode};

use crate::content_encoding;
use crate::context::{Context, detached};
use crate::error::{ApiError, Handled};
use crate::input;

/// What every source's path begins with.
pub(crate) const PREFIX: &str = "/in/";

const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Answers one request of a provider, after all that it became is durable.
pub(crate) async fn receive(State(context): State<Arc<Context>>, request: Request) -> Response {
    let accepted = accept(&context, request).await;
    let mut response = accepted.unwrap_or_else(|error| {
        context.app.metrics().event_refused(error.code);
        error.into_problem()
    });
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, NO_PAGE);
    response
}

async fn accept(context: &Arc<Context>, request: Request) -> Handled {
    let (parts, body) = request.into_parts();
    // A handshake of CloudEvents names who asks; an OPTIONS of a browser is none.
    let is_handshake =
        parts.method == Method::OPTIONS && parts.headers.contains_key("webhook-request-origin");
    if !matches!(parts.method, Method::POST | Method::PUT | Method::GET | Method::HEAD) && !is_handshake {
        let detail = "a source takes POST, PUT, GET and HEAD";
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
    }
    let (name, path) = source_and_path(parts.uri.path());
    // Strangers that know no source are refused before their body is read.
    if context.app.table().source_named(name).is_none() {
        return Err(ApiError::not_found("source"));
    }
    let mut headers = parts.headers;
    let sent = input::read(body, EVENT_BODY_BYTES_MAX, &context.config).await?;
    let decoded = content_encoding::decode(&mut headers, &sent, EVENT_BODY_BYTES_MAX)?;
    let (body, as_sent) = match decoded {
        Some(decoded) => (decoded, Some(sent)),
        None => (sent, None),
    };
    let request = InboundRequest {
        method: parts.method,
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    };
    let (app, name) = (Arc::clone(&context.app), name.to_owned());
    detached(async move { Ok(response(app.receive_encoded(&name, request, as_sent).await?)) }).await
}

/// The source's name and what follows it, empty or beginning with a slash.
fn source_and_path(path: &str) -> (&str, &str) {
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

fn response(reply: SourceReply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_name_and_the_rest_as_it_came() {
        let check = |path: &str, expect: (&str, &str)| assert_eq!(source_and_path(path), expect, "{path}");
        check("/in/github", ("github", ""));
        check("/in/github/", ("github", "/"));
        check("/in/twilio/a%20b//c", ("twilio", "/a%20b//c"));
        check("/in/", ("", ""));
    }
}
