//! Memory for unfinished requests: one budget for all, and shares of it that no client, and no source or application,
//! takes more of.
//!
//! Bytes are counted as they come, not as they are announced: whoever announces a mebibyte and sends nothing holds
//! nothing. They are given back when the request is answered; what became of it then counts elsewhere.
//!
//! Answers that wait to be read have a budget of the same kind ([`HeldAnswer`]): what a client asks for by the hundred, in
//! as many streams of one connection, and never reads.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

use crate::client::Client;
use crate::connection::InProgress;

/// How much unfinished requests may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedLimits {
    /// Bytes of all of them together.
    pub bytes_max: usize,
    /// Bytes of one client's.
    pub bytes_per_client_max: usize,
    /// Bytes of what is sent to one source or application.
    pub bytes_per_owner_max: usize,
}

impl UnfinishedLimits {
    /// Shares of a half, so that no client and no tenant has all.
    #[must_use]
    pub fn of(bytes_max: usize) -> Self {
        Self { bytes_max, bytes_per_client_max: bytes_max / 2, bytes_per_owner_max: bytes_max / 2 }
    }
}

/// Bytes of an answer that are given to its connection at once. A connection takes the next ones when it has sent those.
const ANSWER_PIECE_BYTES: usize = 16 << 10;
/// Answers up to so many bytes are not counted.
pub(crate) const ANSWER_SMALL_BYTES: usize = 2 << 10;

/// What is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BudgetFull {
    #[error("unfinished requests hold as many bytes as they may ({0} together)")]
    All(usize),
    #[error("unfinished requests from your address hold as many bytes as they may ({0} together)")]
    Client(usize),
    #[error(
        "unfinished requests to this source or application hold as many bytes as they may ({0} together)"
    )]
    Owner(usize),
}

/// What unfinished requests hold.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    limits: UnfinishedLimits,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    all: usize,
    by_client: HashMap<Client, usize>,
    by_owner: HashMap<u64, usize>,
}

/// What one request, or one connection within a head, holds. Dropped, it gives that back.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<BodyBudget>,
    client: Option<Client>,
    /// A hash of the source's or application's name.
    owner: Option<u64>,
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

impl BodyBudget {
    pub(crate) fn new(limits: UnfinishedLimits) -> Arc<Self> {
        Arc::new(Self { limits, used: Mutex::default() })
    }

    /// For one request; nothing is held yet.
    pub(crate) fn held(self: &Arc<Self>, client: Option<Client>, owner: Option<u64>) -> Arc<Held> {
        let (budget, bytes) = (Arc::clone(self), AtomicUsize::new(0));
        Arc::new(Held { budget, client, owner, bytes, is_over: AtomicBool::new(false) })
    }

    fn take(&self, client: Option<Client>, owner: Option<u64>, bytes: usize) -> Result<(), BudgetFull> {
        let UnfinishedLimits { bytes_max, bytes_per_client_max, bytes_per_owner_max } = self.limits;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |used: Option<&usize>| used.copied().unwrap_or_default() + bytes;
        if client.is_some_and(|client| of(used.by_client.get(&client)) > bytes_per_client_max) {
            return Err(BudgetFull::Client(bytes_per_client_max));
        }
        if owner.is_some_and(|owner| of(used.by_owner.get(&owner)) > bytes_per_owner_max) {
            return Err(BudgetFull::Owner(bytes_per_owner_max));
        }
        if used.all + bytes > bytes_max {
            return Err(BudgetFull::All(bytes_max));
        }
        used.all += bytes;
        if let Some(client) = client {
            *used.by_client.entry(client).or_default() += bytes;
        }
        if let Some(owner) = owner {
            *used.by_owner.entry(owner).or_default() += bytes;
        }
        Ok(())
    }

    fn give_back(&self, client: Option<Client>, owner: Option<u64>, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.all -= bytes;
        if let Some(client) = client {
            less(&mut used.by_client, &client, bytes);
        }
        if let Some(owner) = owner {
            less(&mut used.by_owner, &owner, bytes);
        }
    }
}

fn less<K: Hash + Eq>(used: &mut HashMap<K, usize>, key: &K, bytes: usize) {
    let Some(left) = used.get_mut(key) else { return };
    *left -= bytes;
    if *left == 0 {
        used.remove(key);
    }
}

impl Held {
    /// Holds so many more; nothing once it was [released](Self::release).
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), BudgetFull> {
        if bytes == 0 || self.is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.budget.take(self.client, self.owner, bytes)?;
        // What is added while it is released is given back when it is dropped.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Whether nothing is held now.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0
    }

    /// Gives all of it back; more may be held again.
    pub(crate) fn shrink(&self) {
        if self.is_empty() {
            return;
        }
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.budget.give_back(self.client, self.owner, bytes);
    }

    /// Gives all of it back for good: what still comes is thrown away.
    pub(crate) fn release(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.shrink();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink();
    }
}

/// A request's body whose bytes are counted, and whose progress its connection is told of.
pub(crate) struct CountedBody<B> {
    pub(crate) body: B,
    pub(crate) held: Arc<Held>,
    pub(crate) progress: Option<InProgress>,
}

impl<B> Body for CountedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(progress) = &self.progress {
            match frame {
                Some(Ok(_)) if !self.body.is_end_stream() => progress.received(),
                Some(_) | None => progress.is_handled(),
            }
        }
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            if let Err(full) = self.held.grow(frame.data_ref().map_or(0, Bytes::len)) {
                // The request is refused; what still comes of it is thrown away, so that its sender reads the answer.
                self.held.release();
                return Err(full.into());
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body whose bytes are counted until its connection has taken them.
pub(crate) struct HeldAnswer {
    rest: Bytes,
    _held: Arc<Held>,
}

impl HeldAnswer {
    pub(crate) fn new(body: Bytes, held: Arc<Held>) -> Self {
        Self { rest: body, _held: held }
    }
}

impl Body for HeldAnswer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.rest.len().min(ANSWER_PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UnfinishedLimits =
        UnfinishedLimits { bytes_max: 100, bytes_per_client_max: 60, bytes_per_owner_max: 70 };

    fn client(number: u32) -> Option<Client> {
        Some(Client::new(std::net::Ipv4Addr::from_bits(number).into()))
    }

    #[test]
    fn nobody_takes_more_than_a_share_and_all_no_more_than_there_is() {
        let budget = BodyBudget::new(LIMITS);
        let first = budget.held(client(1), Some(7));
        assert_eq!(first.grow(60), Ok(()));
        assert_eq!(first.grow(1), Err(BudgetFull::Client(60)));
        let second = budget.held(client(2), Some(7));
        assert_eq!(second.grow(11), Err(BudgetFull::Owner(70)));
        let third = budget.held(client(2), Some(8));
        assert_eq!(third.grow(41), Err(BudgetFull::All(100)));
        assert_eq!(third.grow(40), Ok(()));
        first.release();
        assert_eq!((first.grow(1000), second.grow(20)), (Ok(()), Ok(())));
        drop((first, second, third));
        let used = budget.used.lock().unwrap();
        assert_eq!((used.all, used.by_client.len(), used.by_owner.len()), (0, 0, 0));
    }

    #[test]
    fn a_head_is_held_until_it_is_whole() {
        let budget = BodyBudget::new(LIMITS);
        let head = budget.held(client(1), None);
        for _ in 0..5 {
            assert_eq!(head.grow(50), Ok(()));
            head.shrink();
        }
        assert_eq!(budget.used.lock().unwrap().all, 0);
    }
}
