//! What waits for the writer.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::id::ApplicationId;
use hookmill_core::limits::{
    APPEND_QUEUE_MAX, APPEND_QUEUE_NEWCOMER, APPEND_QUEUE_RESERVE, COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX,
    COMMIT_ROWS_MAX, COMMIT_ROWS_SHARED_MAX, COMPLETION_DELAY_MAX,
};
use hookmill_core::port::store::StoreError;
use hookmill_core::share::Shares;

use super::lanes::Lanes;
use super::{Answer, CompletionJob, DurableJob, gone};

/// Completions of one commit; as many gather without waiting for an append.
const COMMIT_COMPLETIONS_MAX: usize = 2 * COMMIT_EVENTS_MAX;
/// The same where more than one application waits for something durable.
const COMMIT_COMPLETIONS_SHARED_MAX: usize = 256;
/// Bytes of a body that take as long to write as a row.
const ROW_BYTES: usize = 512;
/// After so long without work the writer tidies up.
const IDLE: Duration = Duration::from_secs(1);
/// After so long a writer that has more to tidy up goes on.
const TIDY_AGAIN: Duration = Duration::from_millis(20);
/// After so long what found no room is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Debug)]
struct Waiting {
    durable: Lanes<Owner, DurableJob>,
    /// Places in line.
    places: Shares<Owner>,
    completions: VecDeque<CompletionJob>,
    /// Whether the completions that wait, or come next, need not gather.
    is_hurried: bool,
    /// Completions that found no room wait for a while.
    is_retry: bool,
    /// Whether the writer has tidied up since its last batch.
    is_tidy: bool,
    /// Whether it has begun to.
    is_tidying: bool,
    /// Whether the writer waits for work. Only then need it be woken: a wake-up is a call of the kernel, whoever hears it.
    is_asleep: bool,
    close_answers: Vec<Answer<()>>,
    state: QueueState,
}

/// Who something is written for; none where it is for the installation.
type Owner = Option<ApplicationId>;

impl Default for Waiting {
    fn default() -> Self {
        Self {
            durable: Lanes::default(),
            places: Shares::new(APPEND_QUEUE_MAX, APPEND_QUEUE_RESERVE, APPEND_QUEUE_NEWCOMER),
            completions: VecDeque::new(),
            is_hurried: false,
            is_retry: false,
            is_tidy: false,
            is_tidying: false,
            is_asleep: false,
            close_answers: Vec::new(),
            state: QueueState::default(),
        }
    }
}

#[derive(Debug, Default)]
enum QueueState {
    #[default]
    Open,
    /// What waits is still written.
    Closing,
    /// The writer has ended.
    Ended(StoreError),
}

/// One batch: one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) durable: Vec<DurableJob>,
    pub(super) completions: Vec<CompletionJob>,
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Work {
    Batch(Batch),
    /// Nothing has come for a while.
    Idle,
    /// All is written; these wait for the close.
    Closed(Vec<Answer<()>>),
}

impl Queue {
    pub(super) fn push_durable(&self, job: DurableJob) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        waiting.check_open()?;
        if let DurableJob::Close(answer) = job {
            waiting.close_answers.push(answer);
            waiting.state = QueueState::Closing;
        } else {
            let owner = job.owner();
            if !waiting.places.try_take(owner, 1) {
                return Err(StoreError::Busy);
            }
            waiting.durable.push(owner, job.rows(), job);
        }
        self.wake(waiting);
        Ok(())
    }

    /// Completions are bounded by the deliveries under way, each of which waits for its own.
    pub(super) fn push_completion(&self, job: CompletionJob) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        waiting.check_open()?;
        waiting.completions.push_back(job);
        // The first starts the delay, the last that fits ends it; the writer need not hear of the others.
        if matches!(waiting.completions.len(), 1 | COMMIT_COMPLETIONS_MAX) {
            self.wake(waiting);
        }
        Ok(())
    }

    /// Ends the delay of the completions that wait, or that come next.
    pub(super) fn hurry(&self) {
        let mut waiting = self.lock();
        waiting.is_hurried = true;
        if !waiting.completions.is_empty() {
            self.wake(waiting);
        }
    }

    /// Keeps completions that found no room, in front of those that came since.
    pub(super) fn put_back(&self, completions: Vec<CompletionJob>) {
        let mut waiting = self.lock();
        waiting.is_retry = true;
        for job in completions.into_iter().rev() {
            waiting.completions.push_front(job);
        }
    }

    /// The writer has tidied up; with `more` it goes on soon, where nothing else comes.
    pub(super) fn rested(&self, more: bool) {
        let mut waiting = self.lock();
        waiting.is_tidying = more;
        waiting.is_tidy = !more;
    }

    /// Writes what waits, then ends.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        if matches!(waiting.state, QueueState::Open) {
            waiting.state = QueueState::Closing;
        }
        self.wake(waiting);
    }

    /// Answers all that waits with an error, and all that comes later.
    pub(super) fn end(&self, error: &StoreError) {
        let mut waiting = self.lock();
        waiting.state = QueueState::Ended(error.clone());
        let durable = waiting.durable.take_all();
        let completions = mem::take(&mut waiting.completions);
        let close_answers = mem::take(&mut waiting.close_answers);
        drop(waiting);
        for job in durable {
            job.fail(error);
        }
        for job in completions {
            let _ = job.answer.send(Err(error.clone()));
        }
        for answer in close_answers {
            let _ = answer.send(Err(error.clone()));
        }
    }

    /// Waits for work.
    pub(super) fn next_work(&self) -> Work {
        let mut waiting = self.lock();
        loop {
            let gathered_min = if waiting.is_hurried { 1 } else { COMMIT_COMPLETIONS_MAX };
            let gathered = waiting.completions.len() >= gathered_min && !waiting.is_retry;
            if !waiting.durable.is_empty() || gathered {
                return Work::Batch(waiting.take_batch());
            }
            match waiting.state {
                QueueState::Open => {}
                QueueState::Closing | QueueState::Ended(_) => {
                    if waiting.completions.is_empty() || waiting.is_retry {
                        return Work::Closed(mem::take(&mut waiting.close_answers));
                    }
                    return Work::Batch(waiting.take_batch());
                }
            }
            let timeout = match (waiting.completions.is_empty(), waiting.is_retry, waiting.is_tidy) {
                (false, false, _) => COMPLETION_DELAY_MAX,
                (false, true, _) => RETRY_DELAY,
                (true, _, false) if waiting.is_tidying => TIDY_AGAIN,
                (true, _, false) => IDLE,
                (true, _, true) => {
                    waiting.is_asleep = true;
                    waiting = self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                    waiting.is_asleep = false;
                    continue;
                }
            };
            let had_completions = !waiting.completions.is_empty();
            waiting.is_asleep = true;
            let (guard, waited) =
                self.bell.wait_timeout(waiting, timeout).unwrap_or_else(PoisonError::into_inner);
            waiting = guard;
            waiting.is_asleep = false;
            if !waited.timed_out() || !waiting.durable.is_empty() {
                continue;
            }
            if had_completions {
                return Work::Batch(waiting.take_batch());
            }
            if waiting.completions.is_empty() {
                return Work::Idle;
            }
        }
    }

    /// Wakes the writer, if it sleeps, to look at what has changed.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        // Once: until it has the lock again, it need not be told twice.
        let is_asleep = mem::take(&mut waiting.is_asleep);
        drop(waiting);
        if is_asleep {
            self.bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and a queue is whole after every line above.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn check_open(&self) -> Result<(), StoreError> {
        match &self.state {
            QueueState::Open => Ok(()),
            QueueState::Closing => Err(gone()),
            QueueState::Ended(error) => Err(error.clone()),
        }
    }

    fn take_batch(&mut self) -> Batch {
        self.is_tidy = false;
        self.is_tidying = false;
        let mut batch = Batch::default();
        let is_shared = self.durable.owners() > 1;
        let (rows_max, completions_max) = if is_shared {
            (COMMIT_ROWS_SHARED_MAX, COMMIT_COMPLETIONS_SHARED_MAX)
        } else {
            (COMMIT_ROWS_MAX, COMMIT_COMPLETIONS_MAX)
        };
        let (mut rows, mut bytes) = (0, 0);
        while batch.durable.len() < COMMIT_EVENTS_MAX {
            let is_first = batch.durable.is_empty();
            let fits = |cost: usize, job: &DurableJob| {
                is_first
                    || !job.makes_room() && rows + cost <= rows_max && bytes + job.bytes() <= COMMIT_BYTES_MAX
            };
            let Some((owner, cost, job)) = self.durable.pop_if(fits) else { break };
            self.places.give_back(owner, 1);
            (rows, bytes) = (rows + cost, bytes + job.bytes());
            let is_alone = job.makes_room();
            batch.durable.push(job);
            if is_alone {
                // It must not fail with what finds no room, nor make an event wait.
                return batch;
            }
        }
        self.is_retry = false;
        self.is_hurried = false;
        let mut finished = 0;
        while finished < completions_max {
            let Some(job) = self.completions.pop_front() else { break };
            finished += job.finished.len();
            batch.completions.push(job);
        }
        batch
    }
}

impl DurableJob {
    /// How much of a commit's room it takes.
    fn bytes(&self) -> usize {
        match self {
            Self::Append(new, _) => new.event.body.len(),
            Self::Redeliver { .. }
            | Self::Resume(..)
            | Self::Apply(..)
            | Self::Retire(..)
            | Self::Forget(_)
            | Self::Close(_) => 0,
        }
    }

    /// Who it is written for.
    fn owner(&self) -> Owner {
        match self {
            Self::Append(new, _) => Some(new.event.application),
            Self::Redeliver { application, .. } => Some(*application),
            Self::Resume(..) | Self::Apply(..) | Self::Retire(..) | Self::Forget(_) | Self::Close(_) => None,
        }
    }

    /// Rows that it writes, about.
    fn rows(&self) -> usize {
        1 + match self {
            Self::Append(new, _) => new.deliveries.len() + new.event.body.len() / ROW_BYTES,
            Self::Redeliver { deliveries, .. } => deliveries.len(),
            Self::Resume(step, _) => step.events.len(),
            Self::Apply(changes, _) => changes.len(),
            Self::Retire(..) | Self::Forget(_) | Self::Close(_) => 0,
        }
    }

    /// Whether it only deletes what is old.
    fn makes_room(&self) -> bool {
        match self {
            Self::Retire(..) | Self::Forget(_) => true,
            Self::Append(..)
            | Self::Redeliver { .. }
            | Self::Resume(..)
            | Self::Apply(..)
            | Self::Close(_) => false,
        }
    }

    /// Answers with an error.
    pub(super) fn fail(self, error: &StoreError) {
        let error = error.clone();
        // Who stopped waiting needs no answer.
        match self {
            Self::Append(_, answer) => drop(answer.send(Err(error))),
            Self::Redeliver { answer, .. } => drop(answer.send(Err(error))),
            Self::Resume(_, answer) | Self::Retire(_, answer) | Self::Forget(answer) => {
                drop(answer.send(Err(error)));
            }
            Self::Apply(_, answer) | Self::Close(answer) => drop(answer.send(Err(error))),
        }
    }
}
