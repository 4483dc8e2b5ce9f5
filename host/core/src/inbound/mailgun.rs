//! Mailgun signs a time and a token, and puts both with the signature into the body: into `signature` of a JSON body,
//! or into fields of a form, which is `multipart/form-data` where a message has attachments. The rest of the body is not covered, so the token must be taken once only: it is what
//! makes a request a repeat ([`Dedupe`](super::Dedupe)).

use std::borrow::Cow;
use std::time::Duration;

use http::header::CONTENT_TYPE;

use super::hmac::{Algorithm, Encoding};
use super::{Refusal, SignedRequest, form};
use crate::plugin::Secret;
use crate::signature::verification::{check_age, whole_number};
use crate::time::UnixMillis;

const PLACE: &str = "`signature` of the body";

pub(super) fn verify(
    secrets: &[&Secret],
    request: &SignedRequest<'_>,
    now: UnixMillis,
    tolerance: Duration,
) -> Result<(), Refusal> {
    let field = |name| field(request, name).ok_or_else(|| Refusal::missing(PLACE));
    let (timestamp, token, signature) = (field("timestamp")?, field("token")?, field("signature")?);
    let given = Encoding::Hex.decode(&signature).ok_or_else(|| Refusal::malformed(PLACE))?;
    check_age(whole_number(&timestamp)?, now, tolerance)?;
    Algorithm::Sha256.check(secrets, &[timestamp.as_bytes(), token.as_bytes()], &[given])
}

/// What makes a request a repeat.
pub(super) fn token(request: &SignedRequest<'_>) -> Option<String> {
    field(request, "token").map(Cow::into_owned)
}

fn field<'a>(request: &SignedRequest<'a>, name: &str) -> Option<Cow<'a, str>> {
    if request.is_form() {
        return form::field(request.body, name);
    }
    let content_type = request.header(&CONTENT_TYPE).unwrap_or_default();
    if form::is_multipart(content_type) {
        return form::multipart_field(content_type, request.body, name);
    }
    request.json_text(&format!("/signature/{name}")).map(Cow::Owned)
}
