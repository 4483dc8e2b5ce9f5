//! The one thread that writes.
//!
//! - `queue`: what waits for it, bounded; a batch is all that waits, up to the bounds of one commit.
//! - `batch`: one batch in one transaction, and what its failure means.
//! - `append`, `finish`, `configure`, `resume`, `retire`, `vacuum`: what is written for each kind of call.
//!
//! No timer delays an append: while one commit is being synchronised the next batch gathers by itself. Completions
//! ride along. Where no append waits they gather for [`COMPLETION_DELAY_MAX`](hookmill_core::limits::COMPLETION_DELAY_MAX) and are committed without a
//! synchronisation of their own, which the next one makes up for: a log is durable up to its last synchronised
//! commit, so a power cut can lose a completion (a duplicate delivery), never what was acknowledged.

mod append;
mod batch;
mod checkpoint;
mod configure;
mod finish;
mod lanes;
mod queue;
mod resume;
mod retire;
mod steady_time;
mod vacuum;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use hookmill_core::id::{ApplicationId, DeliveryId, EventId};
use hookmill_core::port::store::{Appended, Change, Finished, NewDelivery, NewEvent, StoreError, TaskStep};
use hookmill_core::time::UnixMillis;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::error::DbError;
use crate::failure::FailureFlag;
use crate::row::endpoint::Sealer;
use batch::{BatchWriter, Outcome};
use queue::{Queue, Work};
use steady_time::SteadyTime;

/// Where a call's answer goes. Nobody may be waiting any more.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A change that is acknowledged only when it is durable.
#[derive(Debug)]
pub(crate) enum DurableJob {
    Append(Box<NewEvent>, Answer<Appended>),
    Redeliver {
        application: ApplicationId,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        due: UnixMillis,
        answer: Answer<Vec<DeliveryId>>,
    },
    /// Answers how many events got a delivery.
    Resume(Box<TaskStep>, Answer<u64>),
    Apply(Vec<Change>, Answer<()>),
    /// Deletes these events, as far as they are finished; answers how many rows went.
    Retire(Vec<i64>, Answer<u64>),
    /// Deletes what is remembered of old requests; answers how many rows went.
    Forget(Answer<u64>),
    /// Writes all that waits and closes the database.
    Close(Answer<()>),
}

/// What came of deliveries; durable with the next commit that is.
#[derive(Debug)]
pub(crate) struct CompletionJob {
    pub(crate) finished: Vec<Finished>,
    pub(crate) answer: Answer<()>,
}

/// The writing thread, as the store sees it. Dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Arc<Queue>,
    time: Arc<SteadyTime>,
    /// Unfinished deliveries that are committed.
    unfinished: Arc<AtomicI64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn spawn(db: Connection, sealer: Sealer, failure: Arc<FailureFlag>) -> Result<Self, DbError> {
        let queue = Arc::new(Queue::default());
        let time = Arc::new(SteadyTime::default());
        let mut writer = BatchWriter::new(db, sealer, Arc::clone(&time))?;
        let unfinished = Arc::clone(&writer.unfinished);
        let waiting = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("hookmill-writer".into())
            .spawn(move || run(&mut writer, &waiting, &failure))
            .map_err(|error| DbError::row("thread", error))?;
        Ok(Self { queue, time, unfinished, thread: Some(thread) })
    }

    /// Puts a job into the queue and waits for its answer.
    pub(crate) async fn durable<T>(
        &self,
        job: impl FnOnce(Answer<T>) -> DurableJob + Send,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push_durable(job(answer))?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    pub(crate) async fn complete(&self, finished: Vec<Finished>) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push_completion(CompletionJob { finished, answer })?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How many deliveries are unfinished.
    pub(crate) fn unfinished(&self) -> u64 {
        u64::try_from(self.unfinished.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Notes the time for the next commits.
    pub(crate) fn keep_time(&self, steady: UnixMillis) {
        self.time.note(steady);
    }

    /// Lets completions wait no longer.
    pub(crate) fn hurry(&self) {
        self.queue.hurry();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("store writer panicked");
        }
    }
}

/// What a call gets whose answer the thread took to its end.
fn gone() -> StoreError {
    StoreError::Failed { detail: "the writer has ended".into() }
}

fn run(writer: &mut BatchWriter, queue: &Queue, failure: &FailureFlag) {
    // A panic must not leave callers waiting or acknowledge anything later.
    let _guard = FailOnExit { queue, failure };
    loop {
        match queue.next_work() {
            Work::Batch(batch) => match writer.write(batch) {
                Outcome::Written => {}
                Outcome::Passing(completions) => queue.put_back(completions),
                Outcome::Fatal { detail } => {
                    error!(detail, "store failed");
                    failure.raise(detail);
                    break;
                }
            },
            Work::Idle => queue.rested(writer.rest()),
            Work::Closed(answers) => {
                let result = writer.close();
                for answer in answers {
                    let _ = answer.send(result.clone());
                }
                info!("store closed");
                break;
            }
        }
    }
}

/// Ends the queue with the thread, so that no call waits for an answer that can't come.
struct FailOnExit<'a> {
    queue: &'a Queue,
    failure: &'a FailureFlag,
}

impl Drop for FailOnExit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failure.raise("the writer panicked".into());
        }
        let error = self.failure.error().unwrap_or_else(gone);
        self.queue.end(&error);
    }
}
