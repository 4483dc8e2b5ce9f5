//! The schema: what OsmoX's clients may ask for. Names and shapes are OsmoX's.

use std::sync::Arc;

use async_graphql::{Context, Error, ErrorExtensions, ID, InputObject, Object, SimpleObject};
use hookmill_app::administer::application::ApplicationInput;
use hookmill_app::administer::{Edit, Text};
use hookmill_core::application::Metadata;
use hookmill_core::id::ApplicationId;
use hookmill_core::limits::PAGE_ITEMS_MAX;
use hookmill_core::route::Routes;
use http::StatusCode;

use super::webhook::{self, ProviderId, Selector, Webhook, WebhookPatch};
use crate::auth::Caller;
use crate::context::{self, detached};
use crate::error::ApiError;
use crate::fields;

/// The application of whoever comes with an admin key.
const APPLICATION_UID: &str = "osmox";
/// Webhooks of a page, where the caller does not say.
const PAGE_DEFAULT: usize = 50;

/// Who asks, and whose webhooks it is about.
pub(super) struct Session {
    context: Arc<context::Context>,
    /// Of an admin key: none, and the one with [`APPLICATION_UID`] is meant.
    application: Option<ApplicationId>,
}

pub(super) struct Query;
pub(super) struct Mutation;

/// A webhook to be registered.
#[derive(InputObject)]
struct CreateWebhookInput {
    /// Whose notifications it receives.
    provider_id: i32,
    /// Where they are posted.
    webhook_url: String,
}

/// What is to change of a webhook, named by `id` or `providerId`; the rest stays.
#[derive(InputObject)]
struct UpdateWebhookInput {
    /// The webhook's own id.
    id: Option<ID>,
    /// The provider whose webhook it is.
    provider_id: Option<i32>,
    /// Where notifications are posted.
    webhook_url: Option<String>,
    /// 1 to receive, 0 to receive nothing.
    status: Option<i32>,
}

/// A page of webhooks, oldest first.
#[derive(SimpleObject)]
struct WebhookResponse {
    webhooks: Vec<Webhook>,
    /// On all pages.
    total: i32,
    offset: i32,
    limit: i32,
}

type Answer<T> = Result<T, Error>;

#[Object]
impl Query {
    /// The webhook of a provider.
    async fn webhook(&self, context: &Context<'_>, provider_id: i32) -> Answer<Webhook> {
        let session = context.data::<Session>()?;
        let provider = ProviderId::new(provider_id).map_err(shown)?;
        let routes = session.routes();
        let found = routes.and_then(|routes| webhook::find(&routes, &Selector::Provider(provider)));
        found.map(|found| found.shown()).ok_or_else(|| shown(webhook::unknown()))
    }

    /// The webhooks, oldest first: `limit` of them, after the first `offset`.
    async fn webhooks(
        &self,
        context: &Context<'_>,
        limit: Option<i32>,
        #[graphql(default)] offset: i32,
    ) -> Answer<WebhookResponse> {
        let session = context.data::<Session>()?;
        let limit = limit.map_or(Ok(PAGE_DEFAULT), page_limit).map_err(shown)?;
        let skipped = usize::try_from(offset)
            .map_err(|_| shown(ApiError::query("offset", "offset_invalid", "an offset is 0 or more")))?;
        let routes = session.routes();
        let all: Vec<Webhook> = routes.iter().flat_map(|routes| webhook::all(routes)).collect();
        Ok(WebhookResponse {
            total: i32::try_from(all.len()).unwrap_or(i32::MAX),
            offset,
            limit: i32::try_from(limit).unwrap_or(i32::MAX),
            webhooks: all.into_iter().skip(skipped).take(limit).collect(),
        })
    }
}

#[Object]
impl Mutation {
    /// Registers a webhook: from now on it receives the notifications of its provider.
    async fn webhook(
        &self,
        context: &Context<'_>,
        create_webhook_input: CreateWebhookInput,
    ) -> Answer<Webhook> {
        let session = context.data::<Session>()?;
        let provider = ProviderId::new(create_webhook_input.provider_id).map_err(shown)?;
        let url = fields::url(&create_webhook_input.webhook_url).map_err(shown)?;
        let application = session.application_or_new().await.map_err(shown)?;
        session.edit(move |edit| webhook::register(edit, application, provider, url)).await
    }

    /// Changes a webhook's URL or status.
    async fn update_webhook(
        &self,
        context: &Context<'_>,
        update_webhook_input: UpdateWebhookInput,
    ) -> Answer<Webhook> {
        let session = context.data::<Session>()?;
        let UpdateWebhookInput { id, provider_id, webhook_url, status } = update_webhook_input;
        let patch = WebhookPatch {
            url: webhook_url.as_deref().map(fields::url).transpose().map_err(shown)?,
            active: status.map(active).transpose().map_err(shown)?,
        };
        session.change(id, provider_id, move |edit, found| found.patch(edit, patch)).await
    }

    /// Deletes a webhook with what it is still owed; answers what it was.
    async fn delete_webhook(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        provider_id: Option<i32>,
    ) -> Answer<Webhook> {
        let session = context.data::<Session>()?;
        session.change(id, provider_id, |edit, found| found.delete(edit)).await
    }

    /// Lets a webhook that failed or was switched off receive again, what waits for it first.
    async fn reactivate_webhook(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        provider_id: Option<i32>,
    ) -> Answer<Webhook> {
        let session = context.data::<Session>()?;
        session.change(id, provider_id, |edit, found| found.reactivate(edit)).await
    }
}

impl Session {
    pub(super) fn new(context: Arc<context::Context>, caller: Caller) -> Result<Self, ApiError> {
        Ok(Self { context, application: caller.own_application()? })
    }

    /// The webhooks' application with its endpoints, if it is there.
    fn routes(&self) -> Option<Arc<Routes>> {
        let table = self.context.app.table();
        match self.application {
            Some(application) => table.applications.get(&application).cloned(),
            None => table.application(APPLICATION_UID).cloned(),
        }
    }

    /// The webhooks' application; that of admin keys is made when it is first needed.
    async fn application_or_new(&self) -> Result<ApplicationId, ApiError> {
        if let Some(application) = self.application {
            return Ok(application);
        }
        if let Some(routes) = self.routes() {
            return Ok(routes.application.id);
        }
        let new = ApplicationInput {
            name: Text::not_empty("OsmoX".to_owned()).expect("a constant that says something"),
            uid: Some(fields::name("uid", APPLICATION_UID)?),
            rate_limit: None,
            metadata: Metadata::default(),
        };
        let app = Arc::clone(&self.context.app);
        detached(async move {
            let mut edit = app.edit().await;
            let id = edit.create_application(new, true)?.get().id;
            edit.commit().await?;
            Ok(id)
        })
        .await
    }

    /// Makes one change of the webhook that `id` or `provider_id` names.
    async fn change(
        &self,
        id: Option<ID>,
        provider_id: Option<i32>,
        change: impl FnOnce(&mut Edit<'_>, webhook::Found) -> Result<Webhook, ApiError> + Send + 'static,
    ) -> Answer<Webhook> {
        let selector = Selector::new(id.as_deref().map(String::as_str), provider_id).map_err(shown)?;
        let application = self.routes().ok_or_else(|| shown(webhook::unknown()))?.application.id;
        self.edit(move |edit| {
            let found = webhook::found(edit, application, &selector)?;
            change(edit, found)
        })
        .await
    }

    /// Makes one change, whether or not the caller waits for it.
    async fn edit(
        &self,
        change: impl FnOnce(&mut Edit<'_>) -> Result<Webhook, ApiError> + Send + 'static,
    ) -> Answer<Webhook> {
        let app = Arc::clone(&self.context.app);
        let changed = detached(async move {
            let mut edit = app.edit().await;
            let webhook = change(&mut edit)?;
            edit.commit().await?;
            Ok(webhook)
        });
        changed.await.map_err(shown)
    }
}

fn page_limit(limit: i32) -> Result<usize, ApiError> {
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit));
    limit
        .ok_or_else(|| ApiError::query("limit", "limit_invalid", format!("a limit is 1 to {PAGE_ITEMS_MAX}")))
}

fn active(status: i32) -> Result<bool, ApiError> {
    match status {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "status_invalid", "a status is 1 or 0")),
    }
}

fn shown(error: ApiError) -> Error {
    let code = error.code;
    Error::new(error.detail).extend_with(|_, extensions| extensions.set("code", code))
}
