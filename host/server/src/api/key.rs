//! `/key`: who may do what. Ours.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_core::id::KeyId;
use hookmill_core::key::{ApiKey, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::Input;
use crate::list;
use crate::query::{Order, Query};

/// A key to be made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyIn {
    scope: ScopeIn,
    /// Id or uid; with the scopes of one application only.
    application: Option<String>,
    #[serde(default, deserialize_with = "fields::or_default")]
    label: String,
    /// A text that callers already have; without one the router makes a key.
    key: Option<String>,
    /// Whether `key` may have 8 to 15 characters.
    #[serde(default, deserialize_with = "fields::or_default")]
    allow_short: bool,
}

#[derive(Deserialize, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum ScopeIn {
    Admin,
    Application,
    Ingest,
    Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyOut<'a> {
    id: String,
    scope: ScopeIn,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<String>,
    label: &'a str,
    created_at: String,
    /// The key itself, in the answer that made it and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> KeyOut<'a> {
    fn of(key: &'a ApiKey, text: Option<&'a str>) -> Self {
        let (scope, application) = match key.scope {
            Scope::Admin => (ScopeIn::Admin, None),
            Scope::Application(application) => (ScopeIn::Application, Some(application)),
            Scope::Ingest(application) => (ScopeIn::Ingest, Some(application)),
            Scope::Metrics => (ScopeIn::Metrics, None),
        };
        Self {
            id: key.id.to_string(),
            scope,
            application_id: application.map(|application| application.to_string()),
            label: &key.label,
            created_at: key.created_at.to_string(),
            key: text,
        }
    }
}

impl KeyIn {
    fn scope(&self, context: &Context, caller: Caller) -> Result<Scope, ApiError> {
        let application = match (&self.application, self.scope) {
            (None, ScopeIn::Admin) => return Ok(Scope::Admin),
            (None, ScopeIn::Metrics) => return Ok(Scope::Metrics),
            (Some(_), ScopeIn::Admin | ScopeIn::Metrics) => {
                let detail = "an admin key opens every application, and a metrics key none; leave this out";
                return Err(ApiError::field("application", "application_unexpected", detail));
            }
            (None, ScopeIn::Application | ScopeIn::Ingest) => {
                let detail = "this scope is of one application; give its id or uid";
                return Err(ApiError::field("application", "application_missing", detail));
            }
            (Some(application), _) => caller.administered(context, application)?.application.id,
        };
        Ok(match self.scope {
            ScopeIn::Ingest => Scope::Ingest(application),
            ScopeIn::Application | ScopeIn::Admin | ScopeIn::Metrics => Scope::Application(application),
        })
    }
}

pub(crate) async fn list(State(context): State<Arc<Context>>, caller: Caller, query: Query) -> Handled {
    caller.admin()?;
    let table = context.app.table_full();
    let (cursor, order, limit) = (query.cursor()?, query.order(Order::Ascending)?, query.limit()?);
    Ok(list::entries(
        &table.keys_by_id,
        cursor,
        order,
        limit,
        |_| true,
        |key| list::item(&KeyOut::of(key, None)),
    ))
}

/// Makes a key, or takes one that callers already have. A repeat with the same idempotency key is answered without the key itself: what is remembered is
/// stored, and no key's text ever is.
pub(crate) async fn create(State(context): State<Arc<Context>>, caller: Caller, input: Input) -> Handled {
    caller.admin()?;
    let new = input.json::<KeyIn>()?;
    let scope = new.scope(&context, caller)?;
    let label = fields::text("label", new.label)?;
    context
        .edit_once(caller, &input, move |edit| {
            if let Some(text) = new.key {
                let key = edit.import_key(&text, scope, label, new.allow_short).map_err(at_key)?;
                return Ok(Decided::json(StatusCode::CREATED, &KeyOut::of(&key, None)));
            }
            let (key, text) = edit.create_key(scope, label)?;
            let remembered = answer::to_bytes(&KeyOut::of(&key, None));
            let shown = Decided::json(StatusCode::CREATED, &KeyOut::of(&key, Some(&text)));
            Ok(Decided { remembered: Some(remembered), ..shown })
        })
        .await
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Handled {
    caller.admin()?;
    let id: KeyId = id.parse().map_err(|_| ApiError::not_found("key"))?;
    context
        .edit(move |edit| {
            edit.delete_key(id)?;
            Ok(Decided::no_content())
        })
        .await
}

/// What is refused of a chosen key is its text.
fn at_key(error: hookmill_app::AppError) -> ApiError {
    match error.code {
        "key_length_invalid" | "key_characters_invalid" => ApiError::field("key", error.code, error.message),
        _ => ApiError::from(error),
    }
}
