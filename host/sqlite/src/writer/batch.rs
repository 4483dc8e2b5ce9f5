//! One batch in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use hookmill_core::id::{ApplicationId, DeliveryId, EndpointId};
use hookmill_core::port::store::{Appended, StoreError};
use rusqlite::Connection;
use tracing::warn;

use super::checkpoint::Checkpoints;
use super::finish::KnownAddresses;
use super::queue::Batch;
use super::steady_time::{self, SteadyTime};
use super::{Answer, CompletionJob, DurableJob, append, configure, finish, resume, retire, vacuum};
use crate::error::{DbError, Severity};
use crate::row::endpoint::Sealer;
use crate::schema::NUMBER_STEP;

/// How long before its commit the crash test's negative control acknowledges. A commit by itself is so short that hardly
/// any kill would fall between the two.
const TOO_EARLY: Duration = Duration::from_millis(20);

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Committed and answered, every call in its own way.
    Written,
    /// Nothing of it was stored and its appends were told so; these are to be tried again.
    Passing(Vec<CompletionJob>),
    /// What was stored is in doubt.
    Fatal {
        /// For the operator.
        detail: String,
    },
}

/// The writer's connection and what it knows without asking.
pub(super) struct BatchWriter {
    pub(super) db: Connection,
    pub(super) sealer: Sealer,
    pub(super) known: Known,
    /// Attempts of this transaction that delivered, by endpoint.
    pub(super) delivered: HashMap<EndpointId, i64>,
    pub(super) addresses: KnownAddresses,
    /// Unfinished deliveries that this transaction made, less those that it ended.
    pub(super) unfinished_change: i64,
    /// Unfinished deliveries that are committed: counted once at the start, and kept up since.
    pub(super) unfinished: Arc<AtomicI64>,
    synchronous: Option<Synchronous>,
    checkpoints: Checkpoints,
    time: Arc<SteadyTime>,
    /// What the database has of it.
    kept_time: u64,
}

/// What the database says, kept in memory because every append needs it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) applications: HashSet<ApplicationId>,
    pub(super) endpoints: HashSet<EndpointId>,
    /// The next number of the line of events and deliveries.
    pub(super) next_number: i64,
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Full,
    Normal,
}

/// An answer that may go out once its transaction is durable.
#[derive(Debug)]
enum Answered {
    Append(Answer<Appended>, Result<Appended, StoreError>),
    Redeliver(Answer<Vec<DeliveryId>>, Result<Vec<DeliveryId>, StoreError>),
    Unit(Answer<()>, Result<(), StoreError>),
    Count(Answer<u64>, Result<u64, StoreError>),
}

impl BatchWriter {
    pub(super) fn new(db: Connection, sealer: Sealer, time: Arc<SteadyTime>) -> Result<Self, DbError> {
        let known = Known::read(&db)?;
        let (delivered, checkpoints) = (HashMap::new(), Checkpoints::default());
        let unfinished: i64 =
            db.query_row("/* batch::new */ SELECT count(*) FROM delivery", [], |row| row.get(0))?;
        Ok(Self {
            db,
            sealer,
            known,
            delivered,
            addresses: KnownAddresses::default(),
            unfinished_change: 0,
            unfinished: Arc::new(AtomicI64::new(unfinished)),
            synchronous: None,
            checkpoints,
            time,
            kept_time: 0,
        })
    }

    /// Writes, commits and answers.
    pub(super) fn write(&mut self, batch: Batch) -> Outcome {
        let is_retention =
            batch.durable.iter().any(|job| matches!(job, DurableJob::Retire(..) | DurableJob::Forget(_)));
        let synchronous = if batch.durable.is_empty() { Synchronous::Normal } else { Synchronous::Full };
        let mut unanswered = batch.durable.into_iter();
        let mut answers = Vec::new();
        let result = self.write_transaction(synchronous, &mut unanswered, &batch.completions, &mut answers);
        let Err(error) = result else {
            for answered in answers {
                answered.send();
            }
            for job in batch.completions {
                // Who stopped waiting needs no answer.
                let _ = job.answer.send(Ok(()));
            }
            if is_retention {
                self.give_back();
            }
            return match self.checkpoints.after_commit(&self.db) {
                Err(error) if error.severity() == Severity::Fatal => {
                    Outcome::Fatal { detail: error.to_string() }
                }
                Ok(()) | Err(_) => Outcome::Written,
            };
        };
        let told = error.to_store_error();
        for answered in answers {
            answered.fail(&told);
        }
        for job in unanswered {
            job.fail(&told);
        }
        if error.severity() == Severity::Passing && self.roll_back().is_ok() {
            warn!(%error, "store write failed, nothing of it was stored");
            if told == StoreError::Full
                && let Err(error) = self.checkpoints.make_room(&self.db)
            {
                warn!(%error, "store's log could not be given back");
            }
            return Outcome::Passing(batch.completions);
        }
        for job in batch.completions {
            let _ = job.answer.send(Err(told.clone()));
        }
        Outcome::Fatal { detail: error.to_string() }
    }

    /// Does what is left to do when nothing has come for a while.
    /// Answers whether there is more of it.
    pub(super) fn rest(&mut self) -> bool {
        let more = self.give_back();
        if !more && let Err(error) = self.checkpoints.truncate(&self.db) {
            warn!(%error, "store checkpoint failed, it is tried again later");
        }
        more
    }

    /// Gives some free space back; answers whether there is more.
    fn give_back(&mut self) -> bool {
        match vacuum::step(&self.db) {
            Ok(more) => {
                self.checkpoints.wrote();
                more
            }
            Err(error) => {
                warn!(%error, "store could not give space back, it is tried again later");
                false
            }
        }
    }

    /// Makes every commit durable, also those that did not wait for the disk.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        if let Err(error) = steady_time::keep(&self.db, self.time.latest()) {
            // A full disk, for example: waits are then longer by what passed since the last commit.
            warn!(%error, "the time of the close could not be kept");
        }
        self.checkpoints.wrote();
        let closed =
            self.set_synchronous(Synchronous::Full).and_then(|()| self.checkpoints.truncate(&self.db));
        closed.map_err(|error| error.to_store_error())
    }

    fn write_transaction(
        &mut self,
        synchronous: Synchronous,
        durable: &mut impl Iterator<Item = DurableJob>,
        completions: &[CompletionJob],
        answers: &mut Vec<Answered>,
    ) -> Result<(), DbError> {
        self.set_synchronous(synchronous)?;
        self.db.prepare_cached("/* batch::write_transaction */ BEGIN IMMEDIATE")?.execute([])?;
        self.delivered.clear();
        self.unfinished_change = 0;
        for job in completions {
            for finished in &job.finished {
                finish::finish(self, finished)?;
            }
        }
        for job in durable {
            let (answered, fatal) = self.write_job(job);
            answers.push(answered);
            if let Some(error) = fatal {
                return Err(error);
            }
        }
        finish::count_delivered(self)?;
        let time = self.time.to_keep(self.kept_time);
        if let Some(at) = time {
            steady_time::keep(&self.db, at)?;
        }
        if cfg!(feature = "acknowledge-before-commit") {
            for answered in answers.drain(..) {
                answered.send();
            }
            std::thread::park_timeout(TOO_EARLY);
        }
        self.db.prepare_cached("/* batch::write_transaction */ COMMIT")?.execute([])?;
        self.kept_time = time.unwrap_or(self.kept_time);
        self.unfinished.fetch_add(self.unfinished_change, Ordering::Relaxed);
        Ok(())
    }

    /// Writes one job; an error that concerns more than this job is given besides its answer.
    fn write_job(&mut self, job: DurableJob) -> (Answered, Option<DbError>) {
        match job {
            DurableJob::Append(new, answer) => {
                let (result, fatal) = apart(append::append(self, &new));
                (Answered::Append(answer, result), fatal)
            }
            DurableJob::Redeliver { application, event, deliveries, due, answer } => {
                let (result, fatal) = apart(append::redeliver(self, application, event, &deliveries, due));
                (Answered::Redeliver(answer, result), fatal)
            }
            DurableJob::Resume(step, answer) => {
                let (result, fatal) = apart(resume::resume(self, &step));
                (Answered::Count(answer, result), fatal)
            }
            DurableJob::Apply(changes, answer) => {
                let (result, fatal) = apart(configure::apply(self, &changes));
                (Answered::Unit(answer, result), fatal)
            }
            DurableJob::Retire(events, answer) => {
                let (result, fatal) = apart(retire::retire(&self.db, &events));
                (Answered::Count(answer, result), fatal)
            }
            DurableJob::Forget(answer) => {
                let (result, fatal) = apart(retire::forget(self));
                (Answered::Count(answer, result), fatal)
            }
            DurableJob::Close(answer) => (Answered::Unit(answer, Ok(())), None),
        }
    }

    /// Undoes the transaction, here and in memory.
    fn roll_back(&mut self) -> Result<(), DbError> {
        // SQLite may have rolled back by itself.
        if !self.db.is_autocommit() {
            self.db.prepare_cached("/* batch::roll_back */ ROLLBACK")?.execute([])?;
        }
        self.addresses.forget();
        self.known.reload(&self.db)
    }

    fn set_synchronous(&mut self, synchronous: Synchronous) -> Result<(), DbError> {
        if self.synchronous == Some(synchronous) {
            return Ok(());
        }
        // Takes effect when it is compiled, so it must not come from the statement cache.
        self.db.execute_batch(match synchronous {
            Synchronous::Full => "PRAGMA synchronous = FULL",
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
        })?;
        self.synchronous = Some(synchronous);
        Ok(())
    }
}

impl Known {
    fn read(db: &Connection) -> Result<Self, DbError> {
        let mut known =
            Self { applications: HashSet::new(), endpoints: HashSet::new(), next_number: NUMBER_STEP };
        known.reload(db)?;
        Ok(known)
    }

    /// Reads what a rollback may have changed. Numbers that were given go on: none is given twice.
    pub(super) fn reload(&mut self, db: &Connection) -> Result<(), DbError> {
        self.applications =
            ids(db, "/* batch::reload */ SELECT id FROM application", ApplicationId::from_bytes)?;
        self.endpoints = ids(db, "/* batch::reload */ SELECT id FROM endpoint", EndpointId::from_bytes)?;
        let last: i64 = db
            .prepare_cached(
                "/* batch::reload */
                 SELECT max(
                     ifnull((SELECT number + deliveries * ?1 FROM event ORDER BY number DESC LIMIT 1), 0),
                     ifnull((SELECT max(number) FROM delivery), 0),
                     ifnull((SELECT max(number) FROM dead_letter), 0)
                 )",
            )?
            .query_row([NUMBER_STEP], |row| row.get(0))?;
        self.next_number = self.next_number.max((last / NUMBER_STEP + 1) * NUMBER_STEP);
        Ok(())
    }

    /// Takes a place in the line of events and deliveries.
    pub(super) fn take_number(&mut self) -> i64 {
        let number = self.next_number;
        self.next_number += NUMBER_STEP;
        number
    }
}

impl Answered {
    fn send(self) {
        // Who stopped waiting needs no answer.
        match self {
            Self::Append(answer, result) => drop(answer.send(result)),
            Self::Redeliver(answer, result) => drop(answer.send(result)),
            Self::Unit(answer, result) => drop(answer.send(result)),
            Self::Count(answer, result) => drop(answer.send(result)),
        }
    }

    /// The transaction failed: what went well in it did not happen.
    fn fail(self, error: &StoreError) {
        match self {
            Self::Append(answer, result) => drop(answer.send(result.and(Err(error.clone())))),
            Self::Redeliver(answer, result) => drop(answer.send(result.and(Err(error.clone())))),
            Self::Unit(answer, result) => drop(answer.send(result.and(Err(error.clone())))),
            Self::Count(answer, result) => drop(answer.send(result.and(Err(error.clone())))),
        }
    }
}

/// Tells what concerns one call from what concerns the whole transaction.
fn apart<T>(result: Result<T, DbError>) -> (Result<T, StoreError>, Option<DbError>) {
    match result {
        Ok(value) => (Ok(value), None),
        Err(error) => {
            let told = Err(error.to_store_error());
            let fatal = (error.severity() != Severity::Refused).then_some(error);
            (told, fatal)
        }
    }
}

fn ids<T: Eq + std::hash::Hash>(
    db: &Connection,
    sql: &str,
    from_bytes: fn([u8; 16]) -> T,
) -> Result<HashSet<T>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| row.get(0).map(from_bytes))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
