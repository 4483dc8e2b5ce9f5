//! `/background-task`: what goes on in the background, and what came of it.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_core::id::TaskId;
use hookmill_core::task::{BackgroundTask, TaskKind, TaskStatus};
use http::StatusCode;
use serde::Serialize;

use crate::answer;
use crate::auth::Caller;
use crate::context::Context;
use crate::error::{ApiError, Handled};
use crate::list;
use crate::query::Query;

/// `RecoverOut` and `ReplayOut`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskStartedOut {
    id: String,
    status: &'static str,
    task: &'static str,
    updated_at: String,
}

/// `BackgroundTaskOut`.
#[derive(Serialize)]
struct TaskOut {
    #[serde(flatten)]
    started: TaskStartedOut,
    data: DataOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DataOut {
    application_id: String,
    endpoint_id: String,
    since: String,
    until: String,
    /// Messages that were sent again until now.
    sent: u64,
}

impl TaskStartedOut {
    pub(super) fn of(task: &BackgroundTask) -> Self {
        Self {
            id: task.id.to_string(),
            status: task.status.code(),
            task: task.kind.code(),
            updated_at: task.updated_at.to_string(),
        }
    }
}

impl TaskOut {
    fn of(task: &BackgroundTask) -> Self {
        let data = DataOut {
            application_id: task.application.to_string(),
            endpoint_id: task.endpoint.to_string(),
            since: task.period.since.to_string(),
            until: task.period.until.to_string(),
            sent: task.sent,
        };
        Self { started: TaskStartedOut::of(task), data }
    }
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(task): Path<String>,
) -> Handled {
    let task = context.app.task(caller.own_application()?, &task).await?;
    Ok(answer::json(StatusCode::OK, &TaskOut::of(&task)))
}

pub(crate) async fn list(State(context): State<Arc<Context>>, caller: Caller, query: Query) -> Handled {
    let application = caller.own_application()?;
    let status = query.get("status").map(|code| {
        let unknown =
            || ApiError::query("status", "status_unknown", "a status is running, finished or failed");
        TaskStatus::from_code(code).ok_or_else(unknown)
    });
    let kind = query.get("task").map(|code| {
        let unknown =
            || ApiError::query("task", "task_unknown", "a task is endpoint.recover or endpoint.replay");
        TaskKind::from_code(code).ok_or_else(unknown)
    });
    let request = query.page(|moment| TaskId::new(moment, 0))?;
    let page = context.app.tasks(application, status.transpose()?, kind.transpose()?, request).await?;
    Ok(list::page(page.map(|task| TaskOut::of(&task))))
}
