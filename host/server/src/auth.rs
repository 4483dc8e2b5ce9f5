//! Who calls, and what the key opens.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use hookmill_app::App;
use hookmill_app::administer::application::Authority;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{ApplicationId, KeyId};
use hookmill_core::key::Scope;
use hookmill_core::route::Routes;
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::client::Client;
use crate::context::Context;
use crate::error::ApiError;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    scope: Scope,
    key: KeyId,
}

impl Caller {
    /// Reads `Authorization: Bearer` or `x-api-key`, or both with the same key.
    ///
    /// A client that presents many wrong keys is told to wait; the right one opens even then.
    pub(crate) fn from_headers(
        context: &Context,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Self, ApiError> {
        let key = context.app.authenticate(presented(headers)?).map_err(|wrong| {
            let client = extensions.get::<Client>();
            match client.map_or(Ok(()), |client| context.wrong_keys.count(*client, Instant::now())) {
                Ok(()) => ApiError::from(wrong),
                Err(wait) => too_many_wrong(wait),
            }
        })?;
        Ok(Self { scope: key.scope, key: key.id })
    }

    /// The key that was presented.
    pub(crate) fn key(self) -> KeyId {
        self.key
    }

    /// Who this is within an idempotency key: two callers' equal keys are not the same request.
    pub(crate) fn name(self) -> String {
        match self.scope {
            Scope::Admin => "admin".to_owned(),
            Scope::Application(application) => format!("application {application}"),
            Scope::Ingest(application) => format!("ingest {application}"),
            Scope::Metrics => "metrics".to_owned(),
        }
    }

    /// The application that this key belongs to; none for an admin key, which opens all of them.
    pub(crate) fn own_application(self) -> Result<Option<ApplicationId>, ApiError> {
        match self.scope {
            Scope::Admin => Ok(None),
            Scope::Application(application) => Ok(Some(application)),
            Scope::Ingest(_) => Err(ApiError::forbidden("an ingest key only sends events")),
            Scope::Metrics => Err(ApiError::forbidden("a metrics key only reads metrics")),
        }
    }

    /// The application whose own key this is; none for a key of the operator.
    pub(crate) fn tenant(self) -> Option<ApplicationId> {
        match self.scope {
            Scope::Admin | Scope::Metrics => None,
            Scope::Application(application) | Scope::Ingest(application) => Some(application),
        }
    }

    /// Whether this caller speaks for the operator or for one application.
    pub(crate) fn authority(self) -> Authority {
        match self.admin() {
            Ok(()) => Authority::Operator,
            Err(_) => Authority::Tenant,
        }
    }

    /// Whether this caller may change the installation.
    pub(crate) fn admin(self) -> Result<(), ApiError> {
        match self.scope {
            Scope::Admin => Ok(()),
            Scope::Application(_) | Scope::Ingest(_) | Scope::Metrics => {
                Err(ApiError::forbidden("this needs an admin key"))
            }
        }
    }

    /// Whether this caller may read the router's metrics.
    pub(crate) fn reads_metrics(self) -> Result<(), ApiError> {
        match self.scope.reads_metrics() {
            true => Ok(()),
            false => Err(ApiError::forbidden("this needs a metrics key or an admin key")),
        }
    }

    /// Whether this caller may read what all applications share: event types and plugins.
    pub(crate) fn reads_shared(self) -> Result<(), ApiError> {
        match self.scope {
            Scope::Admin | Scope::Application(_) => Ok(()),
            Scope::Ingest(_) => Err(ApiError::forbidden("an ingest key only sends events")),
            Scope::Metrics => Err(ApiError::forbidden("a metrics key only reads metrics")),
        }
    }

    /// Whether this caller may read and change what belongs to this application.
    pub(crate) fn administers(self, application: ApplicationId) -> bool {
        self.scope.administers(application)
    }

    /// The application that the path names, if this caller may administer it.
    pub(crate) fn administered(self, context: &Context, id_or_uid: &str) -> Result<Arc<Routes>, ApiError> {
        self.find(&context.app, id_or_uid, Scope::administers)
    }

    /// The application that the path names, if this caller may send events to it.
    pub(crate) fn sending(self, app: &App, id_or_uid: &str) -> Result<Arc<Routes>, ApiError> {
        self.find(app, id_or_uid, Scope::sends_to)
    }

    /// The endpoint that the path names, with its application.
    pub(crate) fn endpoint(
        self,
        context: &Context,
        application: &str,
        endpoint: &str,
    ) -> Result<(Arc<Routes>, Arc<Endpoint>), ApiError> {
        let routes = self.administered(context, application)?;
        let endpoint = routes.endpoint(endpoint).cloned().ok_or_else(|| ApiError::not_found("endpoint"))?;
        Ok((routes, endpoint))
    }

    /// A key of one application gets the same answer for every other, whether that exists or not.
    fn find(
        self,
        app: &App,
        id_or_uid: &str,
        opens: impl Fn(Scope, ApplicationId) -> bool,
    ) -> Result<Arc<Routes>, ApiError> {
        let found = app.table().application(id_or_uid).cloned();
        match found {
            Some(routes) if opens(self.scope, routes.application.id) => Ok(routes),
            None if self.scope == Scope::Admin => Err(ApiError::not_found("application")),
            Some(_) | None => {
                Err(ApiError::forbidden("this key does not open this application or operation"))
            }
        }
    }
}

impl FromRequestParts<Arc<Context>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, ApiError> {
        Self::from_headers(context, &parts.headers, &parts.extensions)
    }
}

fn too_many_wrong(wait: Duration) -> ApiError {
    let detail = "too many wrong keys came from your address; a right one is taken at once";
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "authentication_throttled", detail).retry_after(wait)
}

/// The one key that the headers name, however often they do.
fn presented(headers: &HeaderMap) -> Result<&str, ApiError> {
    let bearers = headers.get_all(AUTHORIZATION).into_iter().map(bearer);
    let api_keys = headers.get_all(API_KEY).into_iter().map(|value| value.to_str().ok());
    let mut keys = bearers.chain(api_keys);
    let Some(Some(key)) = keys.next() else {
        return Err(unauthenticated(
            "authentication_missing",
            "this needs a key; send one as `Authorization: Bearer <key>` or `x-api-key: <key>`",
        ));
    };
    if keys.all(|other| other == Some(key)) {
        return Ok(key);
    }
    Err(unauthenticated(
        "authentication_ambiguous",
        "`Authorization: Bearer` and `x-api-key` name different keys; send one of them, or the same key in both",
    ))
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn unauthenticated(code: &'static str, detail: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, code, detail)
}
