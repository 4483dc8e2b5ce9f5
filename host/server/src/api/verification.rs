//! `/app/{app}/endpoint/{endpoint}/verify`: asking an endpoint whether it wants events. Ours.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::verify::HandshakeReport;
use hookmill_core::policy::Rate;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::diagnosis::DiagnosisOut;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, detached};
use crate::error::Handled;
use crate::fields;
use crate::input::Input;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct VerifyIn {
    method: Option<String>,
}

/// What came of a handshake; the fields of a failure are those of an attempt.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyOut {
    verified: bool,
    method: &'static str,
    state: &'static str,
    response_status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<DiagnosisOut>,
    /// Deliveries a minute, where the endpoint allowed fewer than its terms had.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_rate: Option<u16>,
}

impl From<HandshakeReport> for VerifyOut {
    fn from(report: HandshakeReport) -> Self {
        let HandshakeReport { endpoint, method, status, result } = report;
        let refusal = result.as_ref().err();
        Self {
            verified: result.is_ok(),
            method: method.code(),
            state: endpoint.state.code(),
            response_status_code: status.unwrap_or_default(),
            failure_code: refusal.map(|refusal| refusal.code()),
            detail: refusal.map(ToString::to_string),
            diagnosis: refusal.map(|refusal| DiagnosisOut::of(refusal.diagnosis())),
            allowed_rate: result.ok().and_then(|consent| consent.rate).map(Rate::deliveries),
        }
    }
}

/// Sends the handshake now and answers what came of it, passed or not.
pub(crate) async fn verify(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    let VerifyIn { method } = input.json_or_default()?;
    let method = method.map(|code| fields::handshake("method", &code)).transpose()?;
    let app = Arc::clone(&context.app);
    detached(async move {
        let report = app.verify_endpoint(application, id, method).await?;
        Ok(answer::json(StatusCode::OK, &VerifyOut::from(report)))
    })
    .await
}
