//! Background tasks: sending again what an endpoint missed.
//!
//! [`Edit::start_task`] notes a task, with the answer to the request that asked for it; [`App::run_tasks`] carries tasks
//! out, a small step at a time: applications take turns, then their endpoints. What a task is and why it sends nothing
//! twice is told in [`hookmill_core::task`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{ApplicationId, EndpointId, EventId, TaskId};
use hookmill_core::limits::{PAGE_ITEMS_MAX, TASK_STEP_ROWS_MAX};
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    Change, DeadLetterQuery, EventQuery, OrderKey, PageFrom, StoreError, TaskQuery, TaskStep, order_key,
    order_key_of,
};
use hookmill_core::route::Routes;
use hookmill_core::task::{BackgroundTask, Period, TaskKind, TaskPosition, TaskStatus};
use tokio::sync::Notify;

use crate::administer::{Edit, conflict};
use crate::history::{Page, PageRequest};
use crate::{App, AppError};

/// How long a step waits for room in the store before it is tried again.
const STEP_AGAIN: Duration = Duration::from_secs(1);

/// The tasks that run.
#[derive(Default)]
pub(crate) struct Tasks {
    running: Mutex<Running>,
    wake: Notify,
}

#[derive(Default)]
struct Running {
    tasks: HashMap<EndpointId, Turn>,
    /// When each application had its last turn.
    applications: HashMap<ApplicationId, u64>,
    turns: u64,
}

struct Turn {
    task: BackgroundTask,
    /// When it had its last turn.
    last: u64,
}

/// What a step looks at, and where it ends.
struct Look {
    events: Vec<(EventId, Option<OrderKey>)>,
    position: Option<TaskPosition>,
    status: TaskStatus,
}

impl Tasks {
    /// The tasks that an earlier process left.
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let tasks = Self::default();
        let mut from = PageFrom::Newest;
        loop {
            let status = Some(TaskStatus::Running);
            let query = TaskQuery { application: None, status, kind: None, from, limit: PAGE_ITEMS_MAX };
            let page = store.tasks(query).await?;
            let Some(last) = page.last() else { return Ok(tasks) };
            from = PageFrom::OlderThan(last.id);
            page.iter().for_each(|task| tasks.put(*task));
        }
    }

    /// Notes what was changed of tasks.
    pub(crate) fn note(&self, changes: &[Change]) {
        for change in changes {
            if let Change::PutTask(task) = change {
                self.put(*task);
            }
        }
    }

    fn put(&self, task: BackgroundTask) {
        let mut running = self.lock();
        match task.status {
            TaskStatus::Running => {
                let last = running.tasks.get(&task.endpoint).map_or(0, |turn| turn.last);
                running.tasks.insert(task.endpoint, Turn { task, last });
            }
            TaskStatus::Finished | TaskStatus::Failed => drop(running.tasks.remove(&task.endpoint)),
        }
        drop(running);
        self.wake.notify_one();
    }

    fn of(&self, endpoint: EndpointId) -> Option<BackgroundTask> {
        self.lock().tasks.get(&endpoint).map(|turn| turn.task)
    }

    /// The task whose turn it is: of the application that has waited longest, the one that has.
    fn next(&self) -> Option<BackgroundTask> {
        let mut running = self.lock();
        let waited = |turn: &&Turn| {
            let application = running.applications.get(&turn.task.application).copied();
            (application.unwrap_or_default(), turn.last, turn.task.id)
        };
        let task = running.tasks.values().min_by_key(waited).map(|turn| turn.task);
        let Some(task) = task else {
            running.applications.clear();
            return None;
        };
        running.turns += 1;
        let now = running.turns;
        running.applications.insert(task.application, now);
        if let Some(turn) = running.tasks.get_mut(&task.endpoint) {
            turn.last = now;
        }
        Some(task)
    }

    /// Notes how far a task came, unless its period grew meanwhile: then it begins again.
    fn advance(&self, task: BackgroundTask) {
        let mut running = self.lock();
        let Some(turn) = running.tasks.get_mut(&task.endpoint) else { return };
        if turn.task.id != task.id || turn.task.period != task.period {
            return;
        }
        match task.status {
            TaskStatus::Running => turn.task = task,
            TaskStatus::Finished | TaskStatus::Failed => drop(running.tasks.remove(&task.endpoint)),
        }
    }

    fn forget(&self, endpoint: EndpointId) {
        self.lock().tasks.remove(&endpoint);
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // Nothing panics while it holds the lock.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edit<'_> {
    /// Has events sent to an endpoint again, in the background. Where such a task runs, that one is answered, and does
    /// what is asked now as well.
    ///
    /// # Errors
    /// No such endpoint, one that takes no events and so has nothing to replay, or a task of the other kind that runs.
    pub fn start_task(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        kind: TaskKind,
        period: Period,
    ) -> Result<BackgroundTask, AppError> {
        let to = self.endpoint(application, endpoint)?;
        if kind == TaskKind::ReplayMissing && !to.state.takes_events() {
            let message =
                "the endpoint is turned off and takes no events: enable it, then replay what it missed";
            return Err(conflict("endpoint_disabled", message));
        }
        let now = self.now();
        // What fails from now on is not what was asked for: a task must not run after its own failures.
        let until = period.until.min(now.after(Duration::from_millis(1)));
        let period = Period { since: period.since.min(until), until };
        let task = match self.app.tasks.of(endpoint) {
            Some(running) if running.kind != kind => {
                let message = format!(
                    "the task {} ({}) runs at this endpoint; wait until it is finished",
                    running.id,
                    running.kind.code()
                );
                return Err(conflict("task_running", message));
            }
            Some(running) if running.period.and(period) == running.period => return Ok(running),
            Some(running) => BackgroundTask {
                period: running.period.and(period),
                position: None,
                updated_at: now,
                ..running
            },
            None => BackgroundTask {
                id: self.app.new_id(now, TaskId::new),
                kind,
                application,
                endpoint,
                period,
                status: TaskStatus::Running,
                position: None,
                sent: 0,
                updated_at: now,
            },
        };
        self.changes.push(Change::PutTask(task));
        Ok(task)
    }
}

impl App {
    /// Reads one background task of one application, or of any.
    ///
    /// # Errors
    /// No such task.
    pub async fn task(
        &self,
        application: Option<ApplicationId>,
        id: &str,
    ) -> Result<BackgroundTask, AppError> {
        let missing = || AppError::not_found("background task");
        let task = self.store.task(id.parse().map_err(|_| missing())?).await?;
        let task = task.filter(|task| application.is_none_or(|application| task.application == application));
        task.ok_or_else(missing)
    }

    /// Reads a page of background tasks.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn tasks(
        &self,
        application: Option<ApplicationId>,
        status: Option<TaskStatus>,
        kind: Option<TaskKind>,
        request: PageRequest<TaskId>,
    ) -> Result<Page<TaskId, BackgroundTask>, AppError> {
        // One more than asked for tells whether there is more.
        let limit = request.limit + 1;
        let query = TaskQuery { application, status, kind, from: request.from, limit };
        let mut items = self.store.tasks(query).await?;
        let done = items.len() <= request.limit;
        match request.from {
            // Reading towards the newer, what is over is the newest.
            PageFrom::NewerThan(_) if !done => drop(items.remove(0)),
            PageFrom::NewerThan(_) | PageFrom::Newest | PageFrom::OlderThan(_) => {
                items.truncate(request.limit);
            }
        }
        let (previous, next) = (items.first().map(|task| task.id), items.last().map(|task| task.id));
        Ok(Page { items, previous, next, done })
    }

    /// Carries out background tasks. Never ends.
    pub async fn run_tasks(self: Arc<Self>) {
        loop {
            match self.step_task().await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => self.tasks.wake.notified().await,
                Err(error) => {
                    tracing::warn!(code = error.code, %error, "a background task waits for the store");
                    tokio::time::sleep(STEP_AGAIN).await;
                }
            }
        }
    }

    /// Carries out one step of the task whose turn it is; answers whether there was one.
    ///
    /// # Errors
    /// When the store fails, or its queue or disk is full; the step is repeated then.
    pub async fn step_task(&self) -> Result<bool, AppError> {
        let Some(task) = self.tasks.next() else { return Ok(false) };
        let routes = self.table().applications.get(&task.application).cloned();
        let endpoint = routes.as_ref().and_then(|routes| routes.endpoints.get(&task.endpoint)).cloned();
        let (Some(routes), Some(endpoint)) = (routes, endpoint) else {
            self.tasks.forget(task.endpoint);
            return Ok(true);
        };
        let look = match task.kind {
            TaskKind::Recover => self.look_at_dead_letters(&task, &endpoint).await?,
            TaskKind::ReplayMissing => self.look_at_events(&task, &routes, &endpoint).await?,
        };
        let now = self.now();
        let after = BackgroundTask { status: look.status, position: look.position, updated_at: now, ..task };
        let due = self.steady();
        let sent = self.store.resume(TaskStep { task: after, events: look.events, due }).await?;
        if sent > 0 {
            self.dispatcher.requested(task.endpoint, due);
        }
        let after = BackgroundTask { sent: task.sent + sent, ..after };
        self.tasks.advance(after);
        if after.status != TaskStatus::Running {
            let (id, sent, status) = (after.id, after.sent, after.status.code());
            tracing::info!(task = %id, endpoint = %after.endpoint, sent, status, "background task ended");
        }
        Ok(true)
    }

    async fn look_at_dead_letters(
        &self,
        task: &BackgroundTask,
        endpoint: &Endpoint,
    ) -> Result<Look, AppError> {
        let after = match task.position {
            Some(TaskPosition::DeadLetter(number)) => number,
            Some(TaskPosition::Event(_)) | None => 0,
        };
        let (application, limit) = (task.application, TASK_STEP_ROWS_MAX);
        let query = DeadLetterQuery { application, endpoint: task.endpoint, after, limit };
        let letters = self.store.dead_letters(query).await?;
        let ordering = endpoint.policy.effective().ordering;
        let wanted = letters.iter().filter(|letter| task.period.contains(letter.died_at));
        let events =
            wanted.map(|letter| (letter.event, order_key_of(ordering, letter.ordering_key.as_ref())));
        Ok(Look {
            events: events.collect(),
            position: letters.last().map(|letter| TaskPosition::DeadLetter(letter.number)).or(task.position),
            status: if letters.len() < limit { TaskStatus::Finished } else { TaskStatus::Running },
        })
    }

    async fn look_at_events(
        &self,
        task: &BackgroundTask,
        routes: &Routes,
        endpoint: &Endpoint,
    ) -> Result<Look, AppError> {
        if !endpoint.state.takes_events() {
            // It was turned off meanwhile: nothing passes, and that must not look like nothing was missed.
            return Ok(Look { events: Vec::new(), position: task.position, status: TaskStatus::Failed });
        }
        let query = EventQuery {
            application: task.application,
            from: match task.position {
                Some(TaskPosition::Event(event)) => PageFrom::OlderThan(event),
                Some(TaskPosition::DeadLetter(_)) | None => PageFrom::Newest,
            },
            limit: TASK_STEP_ROWS_MAX,
            event_types: Vec::new(),
            channel: None,
            before: Some(task.period.until),
            // The period has its first moment, and a query has not.
            after: task.period.since.0.checked_sub(1).map(hookmill_core::time::UnixMillis),
        };
        let found = self.store.events(query).await?;
        let ordering = endpoint.policy.effective().ordering;
        let mut events = Vec::new();
        for event in &found.items {
            match self.route(event, routes, Some(task.endpoint)).await {
                Ok(wanting) if wanting.is_empty() => {}
                Ok(_) => events.push((event.id, order_key(ordering, event))),
                // The patterns are others than when it was accepted.
                Err(error) => tracing::warn!(event = %event.id, %error, "an event was not replayed"),
            }
            tokio::task::yield_now().await;
        }
        let is_end = found.items.len() < TASK_STEP_ROWS_MAX && found.stopped_at.is_none();
        let last = found.stopped_at.or_else(|| found.items.last().map(|event| event.id));
        Ok(Look {
            events,
            position: last.map(TaskPosition::Event).or(task.position),
            status: if is_end { TaskStatus::Finished } else { TaskStatus::Running },
        })
    }
}
