//! Background tasks.

use hookmill_core::id::TaskId;
use hookmill_core::limits::ENDPOINT_TASKS_KEPT_MAX;
use hookmill_core::port::store::{
    AttemptTrigger, DeadLetter, DeadLetterQuery, NewDelivery, PageFrom, StoreError, TaskQuery, TaskStep,
};
use hookmill_core::task::{BackgroundTask, TaskKind, TaskStatus};

use super::State;
use super::configure::conflict_if;

impl State {
    pub(super) fn dead_letters(&self, query: &DeadLetterQuery) -> Vec<DeadLetter> {
        let letters = self.dead.iter().filter_map(|(id, dead)| {
            let event = &self.events.get(&dead.event)?.event;
            let is_wanted = event.application == query.application
                && dead.endpoint == query.endpoint
                && id.0 > query.after;
            is_wanted.then(|| DeadLetter {
                number: id.0,
                event: dead.event,
                ordering_key: event.ordering_key.clone(),
                died_at: dead.died_at,
            })
        });
        letters.take(query.limit).collect()
    }

    pub(super) fn put_task(&mut self, task: BackgroundTask) -> Result<(), StoreError> {
        if !self.endpoints.contains_key(&task.endpoint) {
            return Err(StoreError::NotFound { what: "the endpoint" });
        }
        let mut of_endpoint: Vec<TaskId> = Vec::new();
        for (id, other) in self.tasks.iter().filter(|(_, other)| other.endpoint == task.endpoint) {
            let both_run = other.status == TaskStatus::Running && task.status == TaskStatus::Running;
            conflict_if(both_run && *id != task.id, "the endpoint's background task")?;
            of_endpoint.push(*id);
        }
        let sent = self.tasks.get(&task.id).map_or(task.sent, |known| known.sent);
        if self.tasks.insert(task.id, BackgroundTask { sent, ..task }).is_none() {
            of_endpoint.push(task.id);
        }
        of_endpoint.sort_unstable();
        let over = of_endpoint.len().saturating_sub(ENDPOINT_TASKS_KEPT_MAX);
        for id in &of_endpoint[..over] {
            self.tasks.remove(id);
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, step: &TaskStep) -> u64 {
        let endpoint = step.task.endpoint;
        let mut sent = 0;
        for (event, order_key) in &step.events {
            let is_stored = self
                .events
                .get(event)
                .is_some_and(|stored| stored.event.application == step.task.application);
            let waits =
                self.unfinished.values().any(|row| row.event.id == *event && row.endpoint == endpoint);
            if !is_stored || waits || !self.endpoints.contains_key(&endpoint) {
                continue;
            }
            let letters = self.dead.len();
            let is_dead = self.dead.values().any(|dead| dead.event == *event && dead.endpoint == endpoint);
            let was_tried =
                self.attempts.values().any(|attempt| attempt.event == *event && attempt.endpoint == endpoint);
            let is_wanted = match step.task.kind {
                TaskKind::Recover => {
                    self.dead.retain(|_, dead| dead.event != *event || dead.endpoint != endpoint);
                    self.dead.len() < letters
                }
                TaskKind::ReplayMissing => !is_dead && !was_tried,
            };
            if is_wanted {
                let delivery = NewDelivery { endpoint, order_key: *order_key };
                self.insert(*event, &[delivery], step.due, AttemptTrigger::Manual);
                sent += 1;
            }
        }
        if let Some(known) = self.tasks.get_mut(&step.task.id) {
            known.sent += sent;
            known.updated_at = step.task.updated_at;
            if known.status == TaskStatus::Running && known.period == step.task.period {
                known.status = step.task.status;
                known.position = step.task.position;
            }
        }
        sent
    }

    pub(super) fn task_page(&self, query: &TaskQuery) -> Vec<BackgroundTask> {
        let is_wanted = |task: &&BackgroundTask| {
            query.application.is_none_or(|application| task.application == application)
                && query.status.is_none_or(|status| task.status == status)
                && query.kind.is_none_or(|kind| task.kind == kind)
        };
        let tasks = self.tasks.values().filter(is_wanted).copied();
        match query.from {
            PageFrom::Newest => tasks.rev().take(query.limit).collect(),
            PageFrom::OlderThan(id) => tasks.rev().filter(|task| task.id < id).take(query.limit).collect(),
            PageFrom::NewerThan(id) => {
                let mut page: Vec<_> = tasks.filter(|task| task.id > id).take(query.limit).collect();
                page.reverse();
                page
            }
        }
    }
}
