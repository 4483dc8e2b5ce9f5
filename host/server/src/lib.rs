//! Inbound HTTP: the API, health, and the graceful drain.
//!
//! Dramatis personae: [`Server`] is what the binary starts. `serve` accepts connections, `connection` is one
//! of them, with its limits and its end. `front` is what every request passes. `ingest` is the way of an event, `receive` that of what a provider sends, `router` leads
//! every other request to one of the resources in `api`, or to `graphql`. Handlers read bodies and queries into validated values (`input`, `query`, `fields`), ask
//! the use cases of `hookmill-app`, and write shapes of the Svix API. No handler decides anything about deliveries.
//!
//! The in-process tests drive the same `front` that connections do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hookmill_app::App;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod answer;
mod api;
mod auth;
mod body_budget;
mod client;
mod connection;
mod content_encoding;
mod context;
mod error;
mod fields;
mod front;
mod graphql;
mod ingest;
mod input;
mod list;
mod pairs;
mod parameters;
mod query;
mod rate_limit;
mod receive;
mod router;
mod serve;
mod strict;
mod suggestion;
#[cfg(test)]
mod tests;
mod unsupported_member;
mod wrong_keys;

use crate::context::Context;
use crate::front::Front;

pub use crate::body_budget::UnfinishedLimits;
pub use crate::graphql::GraphqlConfig;

/// Bounds on connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// For how long a connection may have no request in progress, whatever else it does; a head that is not whole is none.
    pub idle_timeout: Duration,
    /// From the end of a request's head to the end of its body.
    pub body_timeout: Duration,
    /// Between two parts of a body.
    pub body_stall_timeout: Duration,
    /// For how long a client may leave an answer, or the rest of one, where it is.
    pub write_timeout: Duration,
    /// From the shutdown to the end of the last request.
    pub drain_timeout: Duration,
    /// Connections at once. For one more the one makes way that has been idle for longest.
    pub connections_max: usize,
    /// Connections of one client at once: an IPv4 address, or the first half of an IPv6 address.
    pub connections_per_client_max: usize,
    /// What unfinished requests may hold.
    pub unfinished: UnfinishedLimits,
    /// Wrong keys of one client that are answered in a minute; beyond, it is told to wait.
    pub wrong_keys_per_minute_max: u32,
    /// Proxies whose `X-Forwarded-For` is believed, and to which limits by client do not apply.
    pub trusted_proxies: Vec<IpNet>,
    /// Bounds on requests in GraphQL.
    pub graphql: GraphqlConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            body_stall_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            connections_max: 10_000,
            connections_per_client_max: 5000,
            unfinished: UnfinishedLimits::of(48 << 20),
            wrong_keys_per_minute_max: 30,
            trusted_proxies: Vec::new(),
            graphql: GraphqlConfig::default(),
        }
    }
}

/// The HTTP face of an [`App`].
pub struct Server {
    context: Arc<Context>,
    front: Arc<Front>,
}

impl Server {
    /// Prepares to serve; nothing happens yet.
    #[must_use]
    pub fn new(app: Arc<App>, config: ServerConfig) -> Self {
        let context = Context::new(app, config);
        let front = Arc::new(Front::new(Arc::clone(&context)));
        Self { context, front }
    }

    /// Serves until `shutdown`, then stops accepting, finishes the requests under way and returns, at the latest
    /// after [`drain_timeout`](ServerConfig::drain_timeout).
    ///
    /// # Errors
    /// When the listener can't be used.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let context = Arc::clone(&self.context);
        serve::serve(self.front, &self.context.config, listener, &shutdown, || context.drain()).await
    }
}
