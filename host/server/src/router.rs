//! Which path leads where.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};
use http::{Method, StatusCode, Uri};

use crate::api::{
    application, attempt, classifier, compose, conversation, destination, dry_run, endpoint, event_type,
    example, headers, health, key, message, metrics, plugin, policy, secret, source, task, transformation,
    unsupported, verification,
};
use crate::context::Context;
use crate::error::{ApiError, Handled};
use crate::graphql;
use crate::ingest;
use crate::parameters;
use crate::receive::receive;

pub(crate) fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::get))
        .nest("/api/v1", api())
        .route("/graphql", graphql::route(&context.config.graphql))
        .route("/in/{source}", any(receive))
        .route("/in/{source}/", any(receive))
        .route("/in/{source}/{*path}", any(receive))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(Arc::clone(&context), parameters::check))
        .with_state(context)
}

fn api() -> Router<Arc<Context>> {
    Router::new()
        .route("/health", get(health::svix))
        .route("/health/ping", get(health::svix))
        .route("/app", get(application::list).post(application::create))
        .route(
            "/app/{app}",
            get(application::get)
                .put(application::replace)
                .patch(application::patch)
                .delete(application::delete),
        )
        .route("/event-type", get(event_type::list).post(event_type::create))
        .route(
            "/event-type/{name}",
            get(event_type::get).put(event_type::replace).patch(event_type::patch).delete(event_type::delete),
        )
        .route("/key", get(key::list).post(key::create))
        .route("/key/{key}", delete(key::delete))
        .route("/background-task", get(task::list))
        .route("/background-task/{task}", get(task::get))
        .route("/source", get(source::list).post(source::create))
        .route("/source/{source}", get(source::get).patch(source::patch).delete(source::delete))
        .route("/source/{source}/secret/rotate", post(source::rotate))
        .route("/plugin", get(plugin::list))
        .route("/plugin/run", post(dry_run::run))
        .route("/plugin/{name}", get(plugin::get).put(plugin::upload).delete(plugin::delete))
        .route("/plugin/{name}/rollback", post(plugin::roll_back))
        .route("/plugin/{name}/promote", post(plugin::promote))
        .route("/plugin/{name}/version/{version}", get(plugin::get_version).delete(plugin::delete_version))
        .route("/auth/app-portal-access/{app}", post(unsupported::portal))
        .route("/auth/logout", post(unsupported::portal))
        .merge(endpoints())
        .merge(messages())
}

fn endpoints() -> Router<Arc<Context>> {
    Router::new()
        .route("/app/{app}/conversation-webhook", post(conversation::configure))
        .route("/app/{app}/endpoint", get(endpoint::list).post(endpoint::create))
        .route(
            "/app/{app}/endpoint/{endpoint}",
            get(endpoint::get).put(endpoint::replace).patch(endpoint::patch).delete(endpoint::delete),
        )
        .route(
            "/app/{app}/endpoint/{endpoint}/headers",
            get(headers::get).put(headers::replace).patch(headers::patch),
        )
        .route("/app/{app}/endpoint/{endpoint}/secret", get(secret::get))
        .route("/app/{app}/endpoint/{endpoint}/secret/rotate", post(secret::rotate))
        .route(
            "/app/{app}/endpoint/{endpoint}/transformation",
            get(transformation::get).patch(transformation::patch),
        )
        .route("/app/{app}/endpoint/{endpoint}/classifier", get(classifier::get).patch(classifier::patch))
        .route("/app/{app}/compose", post(compose::create))
        .route(
            "/app/{app}/endpoint/{endpoint}/compose",
            get(compose::get).put(compose::replace).delete(compose::delete),
        )
        .route("/app/{app}/endpoint/{endpoint}/compose/preview", post(compose::preview))
        .route("/app/{app}/endpoint/{endpoint}/policy", get(policy::get).patch(policy::patch))
        .route("/app/{app}/endpoint/{endpoint}/reactivate", post(endpoint::reactivate))
        .route("/app/{app}/endpoint/{endpoint}/verify", post(verification::verify))
        .route("/app/{app}/endpoint/{endpoint}/stats", get(endpoint::stats))
        .route("/app/{app}/endpoint/{endpoint}/recover", post(destination::recover))
        .route("/app/{app}/endpoint/{endpoint}/replay-missing", post(destination::replay_missing))
        .route("/app/{app}/endpoint/{endpoint}/send-example", post(example::send))
        .route("/app/{app}/endpoint/{endpoint}/msg", get(destination::list_messages))
        .route("/app/{app}/attempt/endpoint/{endpoint}", get(attempt::list_by_endpoint))
        .route("/app/{app}/attempt/msg/{message}", get(attempt::list_by_message))
}

fn messages() -> Router<Arc<Context>> {
    Router::new()
        .route("/app/{app}/msg", get(message::list).post(send))
        .route("/app/{app}/msg/{message}", get(message::get))
        .route("/app/{app}/msg/{message}/content", delete(unsupported::expunge))
        .route("/app/{app}/msg/{message}/endpoint", get(destination::list_endpoints))
        .route("/app/{app}/msg/{message}/endpoint/{endpoint}/resend", post(destination::resend))
        .route("/app/{app}/msg/{message}/attempt/{attempt}", get(attempt::get))
        .route("/app/{app}/msg/{message}/attempt/{attempt}/content", delete(unsupported::expunge))
        .route("/app/{app}/msg/{message}/attempt", get(attempt::list_by_message))
}

/// Sending, where the path needed decoding; else [`Front`](crate::front::Front) has it before the router.
async fn send(
    State(context): State<Arc<Context>>,
    Path(application): Path<String>,
    request: Request,
) -> Handled {
    let (parts, body) = request.into_parts();
    ingest::accept(&context, &application, &parts, body).await
}

async fn unknown_path(uri: Uri) -> Handled {
    let detail = format!("there is nothing at `{}`", shortened(uri.path()));
    Err(ApiError::new(StatusCode::NOT_FOUND, "path_unknown", detail))
}

async fn wrong_method(method: Method, uri: Uri) -> Handled {
    let detail = format!("`{}` does not take {method}", shortened(uri.path()));
    Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail))
}

/// Keeps a hostile path from filling an answer.
fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(200)]
}
