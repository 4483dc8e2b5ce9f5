//! Work in the background that someone asked for: sending again what an endpoint missed.
//!
//! A task walks what may have to be sent again in small steps, and each step commits what it sends together with how far
//! the task came. So a task that a restart breaks off goes on where it was, and none sends anything twice: a dead letter
//! is taken away by the step that sends its event again, and an event that the endpoint missed is sent only while the
//! store knows of no delivery of it there.
//!
//! There is one task of an endpoint at a time. Who asks for the same again while it runs is told of that one, whose
//! period grows to what both asked for.

use crate::id::{ApplicationId, EndpointId, EventId, TaskId};
use crate::time::UnixMillis;

/// One task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackgroundTask {
    /// Made when it was asked for.
    pub id: TaskId,
    /// What is sent again.
    pub kind: TaskKind,
    /// Of which tenant.
    pub application: ApplicationId,
    /// Where it is sent.
    pub endpoint: EndpointId,
    /// What is concerned.
    pub period: Period,
    /// Whether it goes on.
    pub status: TaskStatus,
    /// The last event or dead letter that was looked at; none before the first.
    pub position: Option<TaskPosition>,
    /// Events that were sent again.
    pub sent: u64,
    /// When it last came further.
    pub updated_at: UnixMillis,
}

/// What a task sends again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Events whose delivery failed for good in the period.
    Recover,
    /// Events that were accepted in the period, pass the endpoint's filter and were never delivered to it, since it was
    /// disabled, did not exist yet or had another filter.
    ReplayMissing,
}

impl TaskKind {
    /// Its name in the API, which is that of the Svix API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Recover => "endpoint.recover",
            Self::ReplayMissing => "endpoint.replay",
        }
    }

    /// The kind with this [`code`](Self::code).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Recover, Self::ReplayMissing].into_iter().find(|kind| kind.code() == code)
    }
}

/// Whether a task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// It goes on, also after a restart.
    Running,
    /// It looked at everything.
    Finished,
    /// It was given up; what it sent until then stays sent.
    Failed,
}

impl TaskStatus {
    /// Its name in the API, which is that of the Svix API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }

    /// The status with this [`code`](Self::code).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Running, Self::Finished, Self::Failed].into_iter().find(|status| status.code() == code)
    }
}

/// From a moment on, and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment in it.
    pub since: UnixMillis,
    /// The first moment behind it.
    pub until: UnixMillis,
}

impl Period {
    /// Whether the moment is in it.
    #[must_use]
    pub fn contains(self, moment: UnixMillis) -> bool {
        self.since <= moment && moment < self.until
    }

    /// The shortest period that has all of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { since: self.since.min(other.since), until: self.until.max(other.until) }
    }
}

/// How far a task came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskPosition {
    /// Of a walk over dead letters: the store's number of one.
    DeadLetter(u64),
    /// Of a walk over events, the newest first.
    Event(EventId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_grows_to_what_both_asked_for() {
        let period = |since, until| Period { since: UnixMillis(since), until: UnixMillis(until) };
        assert_eq!(period(5, 9).and(period(3, 7)), period(3, 9));
        assert_eq!(period(5, 9).and(period(6, 8)), period(5, 9));
        let moments = [4, 5, 8, 9].map(|moment| period(5, 9).contains(UnixMillis(moment)));
        assert_eq!(moments, [false, true, true, false]);
    }

    #[test]
    fn codes_are_read_back() {
        for kind in [TaskKind::Recover, TaskKind::ReplayMissing] {
            assert_eq!(TaskKind::from_code(kind.code()), Some(kind));
        }
        for status in [TaskStatus::Running, TaskStatus::Finished, TaskStatus::Failed] {
            assert_eq!(TaskStatus::from_code(status.code()), Some(status));
        }
        assert_eq!((TaskKind::from_code(""), TaskStatus::from_code("")), (None, None));
    }
}
