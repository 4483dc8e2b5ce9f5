//! The threads that read.
//!
//! Each has a connection of its own that can't write. Two groups, so that a long page of history holds up no
//! delivery: `load` serves the dispatcher, `history` serves people and the start. Each read is one short
//! transaction, since a long one would keep the log from being given back.
//!
//! Within a group applications take turns, however many reads each of them asks for, and none has all threads: whose
//! lists are long, or whose callers are many, waits for itself.

pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod shared;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hookmill_core::id::ApplicationId;
use hookmill_core::port::store::StoreError;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use tracing::error;

use crate::error::{DbError, OpenError};
use crate::failure::FailureFlag;
use crate::priority::step_back;

/// Reads waiting for one group of threads; one more is refused.
const READ_QUEUE_MAX: usize = 8192;
/// Reads of one application waiting for one group of threads; one more is refused.
const READ_QUEUE_SHARE_MAX: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A group of reading threads, as the store sees it. Dropping it lets the reads end that are under way.
#[derive(Debug)]
pub(crate) struct Readers {
    queue: Arc<Queue>,
    failure: Arc<FailureFlag>,
    threads: Vec<JoinHandle<()>>,
}

/// Whose read it is: an application's, or the router's own.
type Share = Option<ApplicationId>;

struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Threads that one application may have at once.
    share_threads_max: usize,
}

#[derive(Default)]
struct Waiting {
    shares: HashMap<Share, Reads>,
    /// Those with reads that wait, in the order of their turns.
    turns: VecDeque<Share>,
    jobs: usize,
    closed: bool,
}

/// The reads of one share. There is an entry while one waits or is under way.
#[derive(Default)]
struct Reads {
    waiting: VecDeque<Job>,
    under_way: usize,
}

impl Readers {
    /// Starts threads that come after others by so much.
    pub(crate) fn spawn(
        name: &str,
        nice: i32,
        count: usize,
        file: &Path,
        failure: &Arc<FailureFlag>,
    ) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::new(count));
        let mut readers = Self { queue, failure: Arc::clone(failure), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let mut db = crate::connection::open_reader(file)?;
            let queue = Arc::clone(&readers.queue);
            let thread = std::thread::Builder::new()
                .name(format!("hookmill-{name}"))
                .spawn(move || {
                    step_back(nice);
                    while let Some((share, job)) = queue.next() {
                        job(&mut db);
                        queue.done(share);
                    }
                })
                .map_err(|error| OpenError::Other { detail: error.to_string() })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs a read of the router's own, in a transaction of its own.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_as(None, read).await
    }

    /// Runs a read of one application, in its turn and in a transaction of its own.
    pub(crate) async fn read_for<T: Send + 'static>(
        &self,
        application: ApplicationId,
        read: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_as(Some(application), read).await
    }

    async fn read_as<T: Send + 'static>(
        &self,
        share: Share,
        read: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Some(error) = self.failure.error() {
            return Err(error);
        }
        let (answer, answered) = oneshot::channel();
        let failure = Arc::clone(&self.failure);
        let job = move |db: &mut Connection| {
            // Who stopped waiting needs no answer.
            if !answer.is_closed() {
                let _ = answer.send(read_once(db, read).map_err(|error| judge(&error, &failure)));
            }
        };
        self.queue.push(share, Box::new(job))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed { detail: "a reader has ended".into() }))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("store reader panicked");
            }
        }
    }
}

impl Queue {
    fn new(threads: usize) -> Self {
        let share_threads_max = threads.saturating_sub(1).max(1);
        Self { waiting: Mutex::default(), wake: Condvar::new(), share_threads_max }
    }

    fn push(&self, share: Share, job: Job) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        let share_waits = waiting.shares.get(&share).map_or(0, |reads| reads.waiting.len());
        let share_is_full = share.is_some() && share_waits >= READ_QUEUE_SHARE_MAX;
        if share_is_full || waiting.jobs >= READ_QUEUE_MAX {
            return Err(StoreError::Busy);
        }
        waiting.jobs += 1;
        waiting.shares.entry(share).or_default().waiting.push_back(job);
        if share_waits == 0 {
            waiting.turns.push_back(share);
        }
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// The next read, of the share whose turn it is among those that may have another thread.
    fn next(&self) -> Option<(Share, Job)> {
        let mut waiting = self.lock();
        loop {
            if let Some(taken) = waiting.take(self.share_threads_max) {
                return Some(taken);
            }
            if waiting.closed && waiting.jobs == 0 {
                return None;
            }
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A read of this share has ended.
    fn done(&self, share: Share) {
        let mut waiting = self.lock();
        if let Some(reads) = waiting.shares.get_mut(&share) {
            reads.under_way -= 1;
            if reads.under_way == 0 && reads.waiting.is_empty() {
                waiting.shares.remove(&share);
            }
        }
        drop(waiting);
        // Another thread may wait because this share had its threads already.
        self.wake.notify_one();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, share_threads_max: usize) -> Option<(Share, Job)> {
        let may_go = |share: &Share| match share {
            None => true,
            Some(_) => self.shares.get(share).is_none_or(|reads| reads.under_way < share_threads_max),
        };
        let turn = self.turns.iter().position(may_go)?;
        let share = self.turns.remove(turn)?;
        let reads = self.shares.get_mut(&share)?;
        let job = reads.waiting.pop_front()?;
        reads.under_way += 1;
        if !reads.waiting.is_empty() {
            self.turns.push_back(share);
        }
        self.jobs -= 1;
        Some((share, job))
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

fn read_once<T>(
    db: &mut Connection,
    read: impl FnOnce(&Connection) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let tx = db.transaction()?;
    let value = read(&tx)?;
    tx.commit()?;
    Ok(value)
}

/// A damaged file stops the store; a row that can't be read, such as a secret of another key, stops the call only.
fn judge(error: &DbError, failure: &FailureFlag) -> StoreError {
    if let DbError::Sqlite(sqlite) = error
        && matches!(
            sqlite.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
        )
    {
        failure.raise(error.to_string());
    }
    error.to_store_error()
}

#[cfg(test)]
mod tests {
    use hookmill_core::time::UnixMillis;

    use super::*;

    fn share(number: u128) -> Share {
        Some(ApplicationId::new(UnixMillis(1), number))
    }

    fn job() -> Job {
        Box::new(|_| {})
    }

    fn next(queue: &Queue) -> Share {
        queue.lock().take(queue.share_threads_max).map(|(share, _)| share).expect("a read may go")
    }

    #[test]
    fn applications_take_turns_however_many_reads_one_of_them_has() {
        let queue = Queue::new(4);
        for reader in [share(1), share(1), share(1), share(2), None] {
            queue.push(reader, job()).unwrap();
        }
        let order: Vec<Share> = (0..5).map(|_| next(&queue)).collect();
        assert_eq!(order, [share(1), share(2), None, share(1), share(1)]);
        order.into_iter().for_each(|share| queue.done(share));
        assert!(queue.lock().shares.is_empty(), "who reads nothing takes no room");
    }

    #[test]
    fn no_application_has_all_threads() {
        let queue = Queue::new(2);
        queue.push(share(1), job()).unwrap();
        queue.push(share(1), job()).unwrap();
        assert_eq!(next(&queue), share(1));
        assert!(queue.lock().take(queue.share_threads_max).is_none(), "one thread is left to others");
        queue.push(share(2), job()).unwrap();
        assert_eq!(next(&queue), share(2));
        queue.done(share(1));
        assert_eq!(next(&queue), share(1));
    }

    #[test]
    fn an_application_that_asks_for_too_much_is_refused_and_others_are_not() {
        let queue = Queue::new(2);
        for _ in 0..READ_QUEUE_SHARE_MAX {
            queue.push(share(1), job()).unwrap();
        }
        assert_eq!(queue.push(share(1), job()), Err(StoreError::Busy));
        queue.push(share(2), job()).unwrap();
        queue.push(None, job()).unwrap();
    }
}
