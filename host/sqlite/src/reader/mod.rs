//! The threads that read.
//!
//! Each has a connection of its own that can't write. Two groups, so that a long page of history holds up no
//! delivery: `load` serves the dispatcher, `history` serves people and the start. Each read is one short
//! transaction, since a long one would keep the log from being given back.

pub(crate) mod history;
pub(crate) mod load;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hookmill_core::port::store::StoreError;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use tracing::error;

use crate::error::{DbError, OpenError};
use crate::failure::FailureFlag;

/// Reads waiting for one group of threads; one more is refused.
const READ_QUEUE_MAX: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A group of reading threads, as the store sees it. Dropping it lets the reads end that are under way.
#[derive(Debug)]
pub(crate) struct Readers {
    queue: Arc<Queue>,
    failure: Arc<FailureFlag>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Readers {
    pub(crate) fn spawn(
        name: &str,
        count: usize,
        file: &Path,
        failure: &Arc<FailureFlag>,
    ) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::default());
        let mut readers = Self { queue, failure: Arc::clone(failure), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let mut db = crate::connection::open_reader(file)?;
            let queue = Arc::clone(&readers.queue);
            let thread = std::thread::Builder::new()
                .name(format!("hookmill-{name}"))
                .spawn(move || {
                    while let Some(job) = queue.next() {
                        job(&mut db);
                    }
                })
                .map_err(|error| OpenError::Other { detail: error.to_string() })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs a read in a transaction of its own.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Some(error) = self.failure.error() {
            return Err(error);
        }
        let (answer, answered) = oneshot::channel();
        let failure = Arc::clone(&self.failure);
        self.queue.push(Box::new(move |db| {
            // Who stopped waiting needs no answer.
            if !answer.is_closed() {
                let _ = answer.send(read_once(db, read).map_err(|error| judge(&error, &failure)));
            }
        }))?;
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
    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.jobs.len() >= READ_QUEUE_MAX {
            return Err(StoreError::Busy);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            match waiting.jobs.pop_front() {
                Some(job) => return Some(job),
                None if waiting.closed => return None,
                None => waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
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
