//! Event types: what kinds of events there are, for those who choose among them.

use hookmill_core::application::EventTypeDefinition;
use hookmill_core::event::Name;
use hookmill_core::limits::EVENT_TYPES_MAX;
use hookmill_core::port::store::Change;

use super::{Edit, Text, Written, conflict};
use crate::AppError;

/// Everything that an operator says about a kind of event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeInput {
    /// For people.
    pub description: Text,
    /// JSON Schemas by version, JSON text.
    pub schemas: Option<Box<str>>,
    /// No longer offered to new endpoints.
    pub archived: bool,
    /// A group to list it under.
    pub group: Option<Name>,
}

/// What an operator wants changed of a kind of event; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventTypePatch {
    /// For people.
    pub description: Option<Text>,
    /// JSON Schemas by version, or none.
    pub schemas: Option<Option<Box<str>>>,
    /// No longer offered to new endpoints.
    pub archived: Option<bool>,
    /// A group to list it under, or none.
    pub group: Option<Option<Name>>,
}

impl Edit<'_> {
    /// Creates a kind of event, or takes an archived one into use again with new content.
    ///
    /// # Errors
    /// One of that name exists and is not archived, or there are too many.
    pub fn create_event_type(
        &mut self,
        name: Name,
        input: EventTypeInput,
    ) -> Result<EventTypeDefinition, AppError> {
        if self.table.event_types.get(&name).is_some_and(|known| !known.archived) {
            return Err(conflict(
                "event_type_exists",
                format!("an event type with the name `{name}` exists; update it, or choose another name"),
            ));
        }
        self.write_event_type(name, input).map(|written| written.get().clone())
    }

    /// Gives a kind of event new content, or creates it.
    ///
    /// # Errors
    /// There are too many.
    pub fn write_event_type(
        &mut self,
        name: Name,
        input: EventTypeInput,
    ) -> Result<Written<EventTypeDefinition>, AppError> {
        let known = self.table.event_types.get(&name);
        if known.is_none() && self.table.event_types.len() >= EVENT_TYPES_MAX {
            return Err(conflict(
                "too_many_event_types",
                format!("there are {EVENT_TYPES_MAX} event types, the most there may be; expunge one first"),
            ));
        }
        let created_at = known.map(|known| known.created_at);
        let definition = EventTypeDefinition {
            name,
            description: input.description.into_string(),
            schemas: input.schemas,
            archived: input.archived,
            group: input.group,
            created_at: created_at.unwrap_or(self.now),
            updated_at: self.now,
        };
        self.changes.push(Change::PutEventType(definition.clone()));
        Ok(match created_at {
            Some(_) => Written::Existing(definition),
            None => Written::Created(definition),
        })
    }

    /// Changes some of a kind of event.
    ///
    /// # Errors
    /// No such kind.
    pub fn patch_event_type(
        &mut self,
        name: &Name,
        patch: EventTypePatch,
    ) -> Result<EventTypeDefinition, AppError> {
        let mut definition = self.event_type(name)?;
        if let Some(description) = patch.description {
            definition.description = description.into_string();
        }
        if let Some(schemas) = patch.schemas {
            definition.schemas = schemas;
        }
        if let Some(archived) = patch.archived {
            definition.archived = archived;
        }
        if let Some(group) = patch.group {
            definition.group = group;
        }
        definition.updated_at = self.now;
        self.changes.push(Change::PutEventType(definition.clone()));
        Ok(definition)
    }

    /// Archives a kind of event, or deletes it where it is to be `expunged`. Events of it are accepted either way.
    ///
    /// # Errors
    /// No such kind.
    pub fn delete_event_type(&mut self, name: &Name, expunged: bool) -> Result<(), AppError> {
        if expunged {
            self.event_type(name)?;
            self.changes.push(Change::DeleteEventType(name.clone()));
            return Ok(());
        }
        self.patch_event_type(name, EventTypePatch { archived: Some(true), ..EventTypePatch::default() })?;
        Ok(())
    }

    fn event_type(&self, name: &Name) -> Result<EventTypeDefinition, AppError> {
        let known = self.table.event_types.get(name);
        known.map(|known| EventTypeDefinition::clone(known)).ok_or_else(|| AppError::not_found("event type"))
    }
}
