//! Whether the store has failed for good.

use hookmill_core::port::store::StoreError;
use tokio::sync::watch;

/// Raised once, by whoever saw the failure; everyone else reads it.
#[derive(Debug)]
pub(crate) struct FailureFlag(watch::Sender<Option<String>>);

impl Default for FailureFlag {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl FailureFlag {
    /// The first failure stays.
    pub(crate) fn raise(&self, detail: String) {
        self.0.send_if_modified(|current| {
            let is_first = current.is_none();
            if is_first {
                *current = Some(detail);
            }
            is_first
        });
    }

    pub(crate) fn error(&self) -> Option<StoreError> {
        self.0.borrow().as_ref().map(|detail| StoreError::Failed { detail: detail.clone() })
    }

    /// Waits until it is raised.
    pub(crate) async fn raised(&self) -> StoreError {
        let mut watched = self.0.subscribe();
        let detail = match watched.wait_for(Option::is_some).await {
            Ok(detail) => detail.clone().unwrap_or_default(),
            Err(_) => "the store is gone".into(),
        };
        StoreError::Failed { detail }
    }
}
