//! What every handler knows, and how handlers change the configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hookmill_app::App;
use hookmill_app::administer::{Changed, Edit, Once};
use http::StatusCode;
use serde::Serialize;

use crate::ServerConfig;
use crate::answer;
use crate::auth::Caller;
use crate::body_budget::{BodyBudget, UnfinishedLimits};
use crate::error::{ApiError, Handled};
use crate::input::Input;
use crate::wrong_keys::WrongKeys;

/// Bytes of answers that wait for their clients to read them; no client and no tenant takes more than half.
const ANSWERS_BYTES_MAX: usize = 16 << 20;

/// What every handler knows.
pub(crate) struct Context {
    pub(crate) app: Arc<App>,
    pub(crate) config: ServerConfig,
    pub(crate) unfinished: Arc<BodyBudget>,
    /// Of answers that wait to be read.
    pub(crate) answers: Arc<BodyBudget>,
    pub(crate) wrong_keys: WrongKeys,
    /// Set once the server stops accepting connections.
    draining: AtomicBool,
}

/// A status and a body that are decided before the change they answer is committed.
pub(crate) struct Decided {
    pub(crate) status: StatusCode,
    /// What is answered.
    pub(crate) body: Bytes,
    /// What a repeat is answered, where that is less.
    pub(crate) remembered: Option<Bytes>,
}

impl Decided {
    pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        Self { status, body: answer::to_bytes(value), remembered: None }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Bytes::new(), remembered: None }
    }
}

impl Context {
    pub(crate) fn new(app: Arc<App>, config: ServerConfig) -> Arc<Self> {
        let unfinished = BodyBudget::new(config.unfinished);
        let answers = BodyBudget::new(UnfinishedLimits::of(ANSWERS_BYTES_MAX));
        let wrong_keys = WrongKeys::new(config.wrong_keys_per_minute_max);
        Arc::new(Self { app, config, unfinished, answers, wrong_keys, draining: AtomicBool::new(false) })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Makes one change of the configuration and answers it.
    pub(crate) async fn edit(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Edit<'_>) -> Result<Decided, ApiError> + Clone + Send + 'static,
    ) -> Handled {
        self.edit_with(None, change).await
    }

    /// Makes one change once, however often this request is sent with its idempotency key.
    pub(crate) async fn edit_once(
        self: &Arc<Self>,
        caller: Caller,
        input: &Input,
        change: impl FnOnce(&mut Edit<'_>) -> Result<Decided, ApiError> + Clone + Send + 'static,
    ) -> Handled {
        self.edit_with(once(caller, input)?, change).await
    }

    /// In a task of its own: a caller that hangs up must not leave the store ahead of the snapshot.
    async fn edit_with(
        self: &Arc<Self>,
        once: Option<Once>,
        change: impl FnOnce(&mut Edit<'_>) -> Result<Decided, ApiError> + Clone + Send + 'static,
    ) -> Handled {
        let context = Arc::clone(self);
        detached(async move {
            let changed = context.app.change_once(once, |edit| {
                let mut decided = change(edit)?;
                let remembered = decided.remembered.take().unwrap_or_else(|| decided.body.clone());
                edit.remember(decided.status.as_u16(), remembered);
                Ok::<_, ApiError>(decided)
            });
            match changed.await? {
                Changed::Now(decided) => Ok(answer::bytes(decided.status, decided.body)),
                Changed::Before(first) => repeated(first.status, first.body),
            }
        })
        .await
    }
}

/// What makes this request a repeat, if it carries an idempotency key.
pub(crate) fn once(caller: Caller, input: &Input) -> Result<Option<Once>, ApiError> {
    let Some(key) = &input.idempotency_key else { return Ok(None) };
    let once = Once::new(&caller.name(), &input.target, key, &input.bytes)?;
    Ok(Some(once.of_tenant(caller.tenant())))
}

/// The first answer, again.
pub(crate) fn repeated(status: u16, body: Bytes) -> Handled {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok(answer::bytes(status, body))
}

/// Runs to the end, whether or not the caller waits for it.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a request's task failed");
            Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "the router failed to handle this request; see its log",
            ))
        }
    }
}
