//! `/event-type`: what kinds of events there are.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::event_type::{EventTypeInput, EventTypePatch};
use hookmill_core::application::EventTypeDefinition;
use hookmill_core::event::Name;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::application::status;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, or_default, patched};
use crate::input::Input;
use crate::list;
use crate::query::{Order, Query};

/// `EventTypeIn`, and `EventTypeUpdate`, which has no name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventTypeIn<'a> {
    name: Option<String>,
    description: String,
    #[serde(default, deserialize_with = "or_default")]
    archived: bool,
    group_name: Option<String>,
    #[serde(borrow)]
    schemas: Option<&'a RawValue>,
}

/// `EventTypePatch`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchIn<'a> {
    description: Option<String>,
    archived: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    group_name: Option<Option<String>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    schemas: Option<Option<&'a RawValue>>,
}

/// `EventTypeOut`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventTypeOut<'a> {
    name: &'a str,
    description: &'a str,
    archived: bool,
    deprecated: bool,
    schemas: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    created_at: String,
    updated_at: String,
    feature_flag: Option<&'a str>,
}

impl<'a> EventTypeOut<'a> {
    fn of(definition: &'a EventTypeDefinition, with_content: bool) -> Self {
        let schemas = definition.schemas.as_deref().filter(|_| with_content);
        Self {
            name: definition.name.as_str(),
            description: &definition.description,
            archived: definition.archived,
            deprecated: false,
            schemas: schemas.and_then(|schemas| RawValue::from_string(schemas.to_owned()).ok()),
            group_name: definition.group.as_ref().map(Name::as_str),
            created_at: definition.created_at.to_string(),
            updated_at: definition.updated_at.to_string(),
            feature_flag: None,
        }
    }
}

impl EventTypeIn<'_> {
    fn parse(self) -> Result<EventTypeInput, ApiError> {
        Ok(EventTypeInput {
            description: fields::text("description", self.description)?,
            schemas: self.schemas.map(schemas).transpose()?,
            archived: self.archived,
            group: self.group_name.map(|group| fields::name("groupName", &group)).transpose()?,
        })
    }
}

impl PatchIn<'_> {
    fn parse(self) -> Result<EventTypePatch, ApiError> {
        Ok(EventTypePatch {
            description: self.description.map(|text| fields::text("description", text)).transpose()?,
            schemas: patched(self.schemas, schemas)?,
            archived: self.archived,
            group: patched(self.group_name, |group| fields::name("groupName", &group))?,
        })
    }
}

/// Schemas by version; they are kept as they came.
fn schemas(json: &RawValue) -> Result<Box<str>, ApiError> {
    if json.get().starts_with('{') {
        return Ok(json.get().into());
    }
    Err(ApiError::field("schemas", "schemas_invalid", "schemas are an object of JSON Schemas by version"))
}

fn parse_name(name: &str) -> Result<Name, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("event type"))
}

pub(crate) async fn list(State(context): State<Arc<Context>>, caller: Caller, query: Query) -> Handled {
    caller.reads_shared()?;
    let table = context.app.table_full();
    let archived = query.flag("include_archived", false)?;
    let with_content = query.flag("with_content", false)?;
    let (cursor, order, limit) = (query.cursor()?, query.order(Order::Ascending)?, query.limit()?);
    let admits = |definition: &Arc<EventTypeDefinition>| archived || !definition.archived;
    Ok(list::entries(&table.event_types, cursor, order, limit, admits, |definition| {
        list::item(&EventTypeOut::of(definition, with_content))
    }))
}

pub(crate) async fn create(State(context): State<Arc<Context>>, caller: Caller, input: Input) -> Handled {
    caller.admin()?;
    let mut new = input.json::<EventTypeIn>()?;
    let name = new.name.take();
    let name = name.ok_or_else(|| ApiError::field("name", "value_error", "an event type needs a name"))?;
    let name = fields::name("name", &name)?;
    let new = new.parse()?;
    context
        .edit_once(caller, &input, move |edit| {
            let definition = edit.create_event_type(name, new)?;
            Ok(Decided::json(StatusCode::CREATED, &EventTypeOut::of(&definition, true)))
        })
        .await
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Handled {
    caller.reads_shared()?;
    let table = context.app.table_full();
    let definition = table.event_types.get(&parse_name(&name)?);
    let definition = definition.ok_or_else(|| ApiError::not_found("event type"))?;
    Ok(answer::json(StatusCode::OK, &EventTypeOut::of(definition, true)))
}

pub(crate) async fn replace(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    input: Input,
) -> Handled {
    caller.admin()?;
    let name = fields::name("name", &name)?;
    let mut new = input.json::<EventTypeIn>()?;
    if new.name.take().is_some_and(|given| given != name.as_str()) {
        let detail = "an event type keeps its name; make another one";
        return Err(ApiError::field("name", "field_fixed", detail));
    }
    let new = new.parse()?;
    context
        .edit(move |edit| {
            let written = edit.write_event_type(name, new)?;
            Ok(Decided::json(status(&written), &EventTypeOut::of(written.get(), true)))
        })
        .await
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    input: Input,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    let patch = input.json::<PatchIn>()?.parse()?;
    context
        .edit(move |edit| {
            let definition = edit.patch_event_type(&name, patch)?;
            Ok(Decided::json(StatusCode::OK, &EventTypeOut::of(&definition, true)))
        })
        .await
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    query: Query,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    let expunged = query.flag("expunge", false)?;
    context
        .edit(move |edit| {
            edit.delete_event_type(&name, expunged)?;
            Ok(Decided::no_content())
        })
        .await
}
