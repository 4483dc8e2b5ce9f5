//! Whether the router lives, and whether it takes requests.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;

use crate::answer;
use crate::context::Context;
use crate::error::{ApiError, Handled};

const RETRY_DRAINING: Duration = Duration::from_secs(5);

/// `/livez`: the process answers.
pub(crate) async fn live() -> Handled {
    Ok(answer::json(StatusCode::OK, &serde_json::json!({"status": "live"})))
}

/// `/readyz`: requests are taken; not any more while the router drains.
pub(crate) async fn ready(State(context): State<Arc<Context>>) -> Handled {
    if context.is_draining() {
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "the router is shutting down");
        return Err(error.retry_after(RETRY_DRAINING));
    }
    Ok(answer::json(StatusCode::OK, &serde_json::json!({"status": "ready"})))
}

/// `/api/v1/health`, as in the Svix API.
pub(crate) async fn svix() -> Handled {
    Ok(answer::no_content())
}
