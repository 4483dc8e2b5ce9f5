//! Reading requests: bodies within a size and a time, and JSON that says where it is wrong.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::future::poll_immediate;
use hookmill_core::limits::{API_BODY_BYTES_MAX, DRY_RUN_BODY_BYTES_MAX};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use serde::Deserialize;

use crate::ServerConfig;
use crate::body_budget::BudgetFull;
use crate::context::Context;
use crate::error::ApiError;
use crate::strict::{self, Fault, MemberFault, MemberFaultKind};
use crate::suggestion;
use crate::unsupported_member::Unsupported;

/// The header that makes a request happen once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Bytes of a body over its limit that are read all the same, so that its sender comes to read the answer. Who declares
/// more is answered at once.
const DISCARDED_BYTES_MAX: u64 = 64 << 20;

/// The body of a request, with what makes it a repeat.
pub(crate) struct Input {
    pub(crate) bytes: Bytes,
    /// Method and path with query.
    pub(crate) target: String,
    pub(crate) idempotency_key: Option<String>,
}

/// The body of an operation that says all: none, or an object without members.
#[derive(Deserialize, Default)]
pub(crate) struct Nothing {}

impl FromRequest<Arc<Context>> for Input {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Arc<Context>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_json(&parts.headers)?;
        let idempotency_key = idempotency_key(&parts.headers)?;
        let bytes = read(body, API_BODY_BYTES_MAX, &context.config).await?;
        Ok(Self { bytes, target: format!("{} {}", parts.method, parts.uri), idempotency_key })
    }
}

/// The body of a dry run, which may hold the largest event.
pub(crate) struct DryRunInput(pub(crate) Bytes);

impl FromRequest<Arc<Context>> for DryRunInput {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Arc<Context>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_json(&parts.headers)?;
        Ok(Self(read(body, DRY_RUN_BODY_BYTES_MAX, &context.config).await?))
    }
}

impl Input {
    /// Reads the body as JSON of this shape.
    pub(crate) fn json<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ApiError> {
        json(&self.bytes)
    }

    /// Reads the body as JSON of this shape; no body is the default.
    pub(crate) fn json_or_default<'de, T: Deserialize<'de> + Default>(&'de self) -> Result<T, ApiError> {
        if self.bytes.is_empty() { Ok(T::default()) } else { self.json() }
    }
}

/// Reads a body of at most `bytes_max`, within the configured time.
///
/// What is over the limit is not waited for, whatever `Content-Length` says. Behind the answer it is read and thrown away
/// for a while ([`DISCARDED_BYTES_MAX`]), because many clients read no answer before they have written all: closed at once,
/// they would see a broken pipe and not what was wrong.
pub(crate) async fn read<B>(mut body: B, bytes_max: usize, config: &ServerConfig) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let declared = body.size_hint().lower();
    let read = if declared > bytes_max as u64 {
        Err(too_large(bytes_max))
    } else {
        let stall_max = config.body_stall_timeout;
        let mut reading = pin!(read_frames(&mut body, bytes_max, stall_max));
        // What came with its head needs no timer.
        match poll_immediate(reading.as_mut()).await {
            Some(read) => read,
            None => {
                let reading = tokio::time::timeout(config.body_timeout, reading);
                reading.await.unwrap_or_else(|_| Err(too_slow(config.body_timeout)))
            }
        }
    };
    let is_refused = read.as_ref().is_err_and(|error| {
        [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE]
            .contains(&error.status)
    });
    if is_refused && declared <= DISCARDED_BYTES_MAX {
        tokio::spawn(tokio::time::timeout(config.body_timeout, discard(body)));
    }
    read
}

async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        if left == 0 {
            return;
        }
    }
}

/// What came of a body in several frames. A frame keeps the whole buffer that it was read into, and room for a body that is
/// announced may never be filled: so what came is copied into pieces, and holds little more than was counted.
#[derive(Default)]
struct Pieces {
    whole: Vec<BytesMut>,
    bytes: usize,
}

/// Bytes of a piece.
const PIECE_BYTES: usize = 16 << 10;

impl Pieces {
    fn push(&mut self, mut data: &[u8]) {
        self.bytes += data.len();
        while !data.is_empty() {
            let room = self.whole.last().map_or(0, |last| PIECE_BYTES - last.len());
            if room == 0 {
                self.whole.push(BytesMut::with_capacity(PIECE_BYTES));
                continue;
            }
            let (fits, rest) = data.split_at(room.min(data.len()));
            self.whole.last_mut().expect("there is one with room").extend_from_slice(fits);
            data = rest;
        }
    }

    fn join(self) -> Bytes {
        let mut joined = BytesMut::with_capacity(self.bytes);
        for piece in self.whole {
            joined.extend_from_slice(&piece);
        }
        joined.freeze()
    }
}

async fn read_frames<B>(body: &mut B, bytes_max: usize, stall_max: Duration) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    // Most bodies come in one frame, whose bytes are kept as they are.
    let mut first = Bytes::new();
    let mut pieces = Pieces::default();
    loop {
        let mut next = body.frame();
        let frame = match poll_immediate(&mut next).await {
            Some(frame) => frame,
            None => {
                let waited = tokio::time::timeout(stall_max, next).await;
                waited.map_err(|_| too_slow(stall_max))?
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| ended_early(&*error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + pieces.bytes + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if pieces.bytes == 0 && first.is_empty() {
            first = data;
        } else {
            pieces.push(&std::mem::take(&mut first));
            pieces.push(&data);
        }
    }
    Ok(if pieces.bytes == 0 { first } else { pieces.join() })
}

/// How long a caller waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(2);

/// The body ended before its time: because its sender went, or because there is no room for it.
fn ended_early(error: &(dyn Error + 'static)) -> ApiError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(full) = error.downcast_ref::<BudgetFull>() {
            let (status, code) = match full {
                BudgetFull::All(_) => (StatusCode::SERVICE_UNAVAILABLE, "unfinished_requests_full"),
                BudgetFull::Client(_) => {
                    (StatusCode::TOO_MANY_REQUESTS, "unfinished_requests_of_client_full")
                }
                BudgetFull::Owner(_) => {
                    (StatusCode::SERVICE_UNAVAILABLE, "unfinished_requests_of_owner_full")
                }
            };
            let detail = format!("{full}; try again after a moment");
            return ApiError::new(status, code, detail).retry_after(ROOM_WAIT);
        }
        cause = error.source();
    }
    ApiError::new(StatusCode::BAD_REQUEST, "body_truncated", "the connection ended within the body")
}

fn too_slow(waited: Duration) -> ApiError {
    let waited = waited.as_secs_f64();
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_timeout",
        format!("the body, or its next part, did not arrive within {waited} s"),
    )
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!("the body is larger than {bytes_max} bytes, the most that is taken here"),
    )
}

/// Refuses bodies that say they are something else; a body that says nothing is taken as JSON.
pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let media_type =
        content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let json = media_type.eq_ignore_ascii_case(b"application/json")
        || (media_type.len() > 5 && media_type[media_type.len() - 5..].eq_ignore_ascii_case(b"+json"));
    if json || media_type.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "this takes JSON; send it with `Content-Type: application/json`",
    ))
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_invalid",
            "the request has two idempotency keys; send one",
        ));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_invalid",
            "an idempotency key is visible ASCII characters",
        )),
    }
}

/// Reads JSON of this shape. The place of a fault is found by reading again, so that good input is read fast.
pub(crate) fn json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ApiError> {
    strict::from_slice(bytes).map_err(|fault| match fault {
        Fault::Member(fault) => refused_member(&fault),
        Fault::Json(error) => json_fault::<T>(bytes, &error),
    })
}

/// Names the member, and what was probably meant.
#[cold]
fn refused_member(fault: &MemberFault) -> ApiError {
    let MemberFault { place, kind } = fault;
    let name = suggestion::shown(place.last().map_or("", String::as_str));
    let (code, detail) = match kind {
        MemberFaultKind::Unknown { known } => {
            let hint = suggestion::hint(&name, known);
            ("member_unknown", format!("there is no `{name}` here: {hint}"))
        }
        MemberFaultKind::Unsupported(unsupported) => (Unsupported::CODE, unsupported.detail()),
        MemberFaultKind::Repeated => ("member_repeated", format!("`{name}` stands twice; give it once")),
    };
    ApiError::place(place.iter().map(|segment| suggestion::shown(segment)), None, code, detail)
}

#[cold]
fn json_fault<'de, T: Deserialize<'de>>(bytes: &'de [u8], error: &serde_json::Error) -> ApiError {
    if bytes.is_empty() {
        return ApiError::new(StatusCode::BAD_REQUEST, "body_empty", "this needs a body of JSON");
    }
    if !error.is_data() {
        return ApiError::new(
            StatusCode::BAD_REQUEST,
            "json_invalid",
            format!("the body is not JSON: {error}"),
        );
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let path =
        serde_path_to_error::deserialize::<_, T>(&mut reader).err().map(|error| error.path().to_string());
    let path = path.filter(|path| path != ".").unwrap_or_default();
    // Of shapes that serde reads into a buffer first, which have no members of their own to look at.
    let code = if error.to_string().starts_with("unknown field") { "member_unknown" } else { "value_error" };
    ApiError::field(&path, code, error.to_string())
}
