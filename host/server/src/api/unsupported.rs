//! Operations of the Svix API that this router does not have. They say so, and what to do instead.

use std::sync::Arc;

use axum::extract::State;

use crate::auth::Caller;
use crate::context::Context;
use crate::error::{ApiError, Handled};

pub(crate) async fn portal(State(_): State<Arc<Context>>, caller: Caller) -> Handled {
    caller.reads_shared()?;
    Err(ApiError::not_implemented("there is no portal yet; make an application key with POST /api/v1/key"))
}

pub(crate) async fn expunge(State(_): State<Arc<Context>>, caller: Caller) -> Handled {
    caller.reads_shared()?;
    Err(ApiError::not_implemented("content is not deleted one by one yet; it goes after the retention time"))
}
