//! `POST /app/{app}/endpoint/{endpoint}/send-example`: a test call.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::AppError;
use http::StatusCode;
use serde::Deserialize;

use super::message::{MessageOut, PayloadOut};
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, detached};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::Input;

/// `EventExampleIn`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExampleIn {
    event_type: String,
}

/// Sends the endpoint an example of an event; answers the message, whose attempts are read like any other's.
pub(crate) async fn send(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let event_type = fields::name("eventType", &input.json::<ExampleIn>()?.event_type)?;
    detached(async move {
        let sent = context.app.send_example(&routes, &endpoint, event_type, input.idempotency_key).await;
        let event = sent.map_err(at_event_type)?.event;
        let message = MessageOut::of(&event, PayloadOut::of(&event, true));
        Ok(answer::json(StatusCode::ACCEPTED, &message))
    })
    .await
}

fn at_event_type(error: AppError) -> ApiError {
    match error.code {
        "example_missing" => ApiError::field("eventType", error.code, error.message),
        _ => ApiError::from(error),
    }
}
