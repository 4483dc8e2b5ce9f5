//! `/app`: the tenants.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::Written;
use hookmill_app::administer::application::{ApplicationInput, ApplicationPatch};
use hookmill_core::application::Application;
use hookmill_core::id::ApplicationId;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, or_default, patched};
use crate::input::Input;
use crate::list;
use crate::query::{Order, Query};

/// `ApplicationIn`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationIn {
    name: String,
    uid: Option<String>,
    rate_limit: Option<u16>,
    throttle_rate: Option<u16>,
    #[serde(default, deserialize_with = "or_default")]
    metadata: BTreeMap<String, String>,
}

/// `ApplicationPatch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchIn {
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    uid: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    rate_limit: Option<Option<u16>>,
    #[serde(default, deserialize_with = "nullable")]
    throttle_rate: Option<Option<u16>>,
    metadata: Option<BTreeMap<String, String>>,
}

/// `ApplicationOut`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<u16>,
    throttle_rate: Option<u16>,
    id: String,
    created_at: String,
    updated_at: String,
    metadata: &'a BTreeMap<String, String>,
}

impl<'a> ApplicationOut<'a> {
    fn of(application: &'a Application) -> Self {
        Self {
            uid: application.uid.as_ref().map(|uid| uid.as_str()),
            name: &application.name,
            rate_limit: application.rate_limit,
            throttle_rate: application.rate_limit,
            id: application.id.to_string(),
            created_at: application.created_at.to_string(),
            updated_at: application.updated_at.to_string(),
            metadata: application.metadata.entries(),
        }
    }
}

impl ApplicationIn {
    pub(crate) fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    pub(crate) fn parse(self) -> Result<ApplicationInput, ApiError> {
        Ok(ApplicationInput {
            name: fields::label("name", self.name)?,
            uid: self.uid.map(|uid| fields::name("uid", &uid)).transpose()?,
            rate_limit: rate(self.throttle_rate, self.rate_limit)?.map(rate_limit).transpose()?,
            metadata: fields::metadata(self.metadata)?,
        })
    }
}

impl PatchIn {
    fn parse(self) -> Result<ApplicationPatch, ApiError> {
        Ok(ApplicationPatch {
            name: self.name.map(|name| fields::label("name", name)).transpose()?,
            uid: patched(self.uid, |uid| fields::name("uid", &uid))?,
            rate_limit: patched(rate(self.throttle_rate, self.rate_limit)?, rate_limit)?,
            metadata: self.metadata.map(fields::metadata).transpose()?,
        })
    }
}

/// One rate of the two names that it has.
fn rate<T: PartialEq>(rate: Option<T>, older: Option<T>) -> Result<Option<T>, ApiError> {
    fields::either(("throttleRate", rate), ("rateLimit", older))
}

fn rate_limit(per_second: u16) -> Result<u16, ApiError> {
    fields::per_second("throttleRate", per_second).map(|rate| rate.deliveries())
}

pub(crate) async fn list(State(context): State<Arc<Context>>, caller: Caller, query: Query) -> Handled {
    caller.admin()?;
    let table = context.app.table_full();
    let (cursor, order, limit) = (query.cursor()?, query.order(Order::Ascending)?, query.limit()?);
    // What is shown borrows from the table, so it is made into JSON value by value.
    Ok(list::entries(
        &table.applications,
        cursor,
        order,
        limit,
        |_| true,
        |routes| list::item(&ApplicationOut::of(&routes.application)),
    ))
}

pub(crate) async fn create(
    State(context): State<Arc<Context>>,
    caller: Caller,
    query: Query,
    input: Input,
) -> Handled {
    caller.admin()?;
    let get_if_exists = query.flag("get_if_exists", false)?;
    let new = input.json::<ApplicationIn>()?.parse()?;
    context
        .edit_once(caller, &input, move |edit| {
            let written = edit.create_application(new, get_if_exists)?;
            Ok(Decided::json(status(&written), &ApplicationOut::of(written.get())))
        })
        .await
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
) -> Handled {
    let routes = caller.administered(&context, &application)?;
    Ok(answer::json(StatusCode::OK, &ApplicationOut::of(&routes.application)))
}

/// Gives an application new content; an operator may so create one.
pub(crate) async fn replace(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    input: Input,
) -> Handled {
    match caller.administered(&context, &application) {
        Err(error) if error.status != StatusCode::NOT_FOUND => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let authority = caller.authority();
    let mut new = input.json::<ApplicationIn>()?;
    let uid = fields::uid_put_to::<ApplicationId>(&application, new.uid.take())?;
    let new = ApplicationInput { uid, ..new.parse()? };
    context
        .edit(move |edit| {
            // Looked up within the change, so that two at once make one.
            let known = edit.table().application(&application).map(|routes| routes.application.id);
            let written = match known {
                Some(id) => Written::Existing(edit.replace_application(id, new, authority)?),
                None => {
                    fields::check_made_at::<ApplicationId>("application", &application, new.uid.as_ref())?;
                    edit.create_application(new, false)?
                }
            };
            Ok(Decided::json(status(&written), &ApplicationOut::of(written.get())))
        })
        .await
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    input: Input,
) -> Handled {
    let id = caller.administered(&context, &application)?.application.id;
    let patch = input.json::<PatchIn>()?.parse()?;
    let authority = caller.authority();
    context
        .edit(move |edit| {
            let application = edit.patch_application(id, patch, authority)?;
            Ok(Decided::json(StatusCode::OK, &ApplicationOut::of(&application)))
        })
        .await
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
) -> Handled {
    caller.admin()?;
    let id = caller.administered(&context, &application)?.application.id;
    context
        .edit(move |edit| {
            edit.delete_application(id)?;
            Ok(Decided::no_content())
        })
        .await
}

/// 201 for what was made, 200 for what was there.
pub(crate) fn status<T>(written: &Written<T>) -> StatusCode {
    match written {
        Written::Created(_) => StatusCode::CREATED,
        Written::Existing(_) => StatusCode::OK,
    }
}
