//! The adapters are put together here, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookmill_app::dispatch::{Dispatcher, DispatcherParts, channel};
use hookmill_app::{App, AppError, AppParts, Bundle, BundledPlugin};
use hookmill_core::address::{AddressPolicy, OwnAddresses};
use hookmill_core::plugin::ComponentBytes;
use hookmill_core::port::{Clock, Entropy};
use hookmill_core::seal::SealKey;
use hookmill_server::{Server, ServerConfig};
use hookmill_sqlite::{OpenError, SqliteStore};
use hookmill_transport::{HttpTransport, SystemResolver, TransportConfig};
use hookmill_wasm::limits::COMPILE_WALL_MAX;
use hookmill_wasm::{CompileWorker, WasmConfig, WasmHost};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::data_dir::{DataDir, InstallationKey, room_hint};
use super::{network, priority, retention, watch};
use crate::cli::COMPILE_PLUGIN;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::world::{ADMIN_KEY, SystemClock, SystemEntropy, environment};

/// When the plugins that come with the router are compiled: a start has other things to do, and short-lived routers none.
const COMPILE_AHEAD_AFTER: Duration = Duration::from_secs(30);

/// A router that takes requests.
pub(super) struct Running {
    store: Arc<SqliteStore>,
    address: SocketAddr,
    made_admin_key: Option<Zeroizing<String>>,
    server: Task,
    dispatcher: Task,
    compiling_ahead: JoinHandle<()>,
    retention: JoinHandle<()>,
    /// Looks after what changes around the router.
    watching: JoinHandle<()>,
    tasks: JoinHandle<()>,
    data_dir: DataDir,
}

/// A task that runs until it is told to stop.
struct Task {
    handle: JoinHandle<()>,
    stop: CancellationToken,
}

impl Task {
    /// Asks it to stop, and waits until it has.
    async fn stop(&mut self) -> Result<(), JoinError> {
        self.stop.cancel();
        (&mut self.handle).await
    }
}

/// Starts everything.
///
/// # Errors
/// What is in the way.
pub(super) async fn start(config: &Config) -> Result<Running, Failure> {
    let descriptors = network::share_descriptors(network::raise_open_files_limit());
    let data_dir = DataDir::open(&config.data_dir)?;
    // Before anything is written: who finds the port taken should not have spent the one time an admin key is shown.
    let listener = network::listen(config.listen).await?;
    let address = listener.local_addr().map_err(|error| network::not_listening(config.listen, &error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let installation = data_dir.seal_key(&*entropy)?;
    let store = open_store(&data_dir, &installation, &entropy)?;
    let plugins = start_plugin_host(&data_dir, &installation.key)?;
    let address_policy = address_policy(config);
    let own_addresses = address_policy.own_addresses.clone();
    let transport = start_transport(&address_policy, &clock, descriptors.outbound)?;

    let (dispatcher, inbox) = channel();
    let app = App::load(AppParts {
        store: store.clone(),
        plugins: Arc::new(plugins),
        transport: Arc::new(transport),
        clock,
        entropy,
        address_policy,
        request_origin: config.origin.clone(),
        dispatcher,
        bundle: bundle(),
        keep_request_bodies: config.keep_request_bodies,
        step_back: priority::step_back,
    });
    let app = Arc::new(app.await.map_err(|error| not_started(error, &data_dir))?);
    let made_admin_key = app.ensure_admin_key(environment(ADMIN_KEY).as_deref()).await.map_err(|error| {
        let hint = format!("change or unset {ADMIN_KEY} in the environment");
        let is_full = error.code == "storage_full";
        let failure = not_started(error, &data_dir);
        if is_full { failure } else { failure.hint(hint) }
    })?;
    data_dir.started(&installation)?;

    let dispatcher = Dispatcher::new(DispatcherParts { app: Arc::clone(&app), inbox });
    let grace = config.shutdown_grace;
    let dispatcher = spawn(|stop| dispatcher.run(stop, grace));
    let connections_max = config.server.connections_max.min(descriptors.inbound);
    // Where descriptors allow fewer than were asked for, one client still leaves half to others.
    let is_short = connections_max < config.server.connections_max;
    let share = if is_short { connections_max.div_ceil(2) } else { connections_max };
    let per_client_max = config.server.connections_per_client_max.min(share);
    let bounds = ServerConfig {
        drain_timeout: grace,
        connections_max,
        connections_per_client_max: per_client_max,
        ..config.server.clone()
    };
    let server = Server::new(Arc::clone(&app), bounds);
    let server = spawn(|stop| async move {
        if let Err(error) = server.serve(listener, stop).await {
            tracing::error!(%error, "the server ended");
        }
    });
    let watching = tokio::spawn(watch::run(Arc::clone(&app), own_addresses));
    let compiling_ahead = tokio::spawn(compile_ahead(Arc::clone(&app)));
    let tasks = tokio::spawn(Arc::clone(&app).run_tasks());
    let retention = app.retention(config.retention, config.believe_clock).await;
    let retention = retention.map_err(|error| not_started(error, &data_dir))?;
    let retention = tokio::spawn(retention::run(app, retention));
    tracing::info!(%address, data_dir = %config.data_dir.display(), "router started");
    Ok(Running {
        store,
        address,
        made_admin_key,
        server,
        dispatcher,
        compiling_ahead,
        retention,
        watching,
        tasks,
        data_dir,
    })
}

impl Running {
    /// Where requests are taken.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin key that this start made, if it did.
    pub(super) fn made_admin_key(&self) -> Option<&str> {
        self.made_admin_key.as_ref().map(|key| key.as_str())
    }

    /// The store, to hear of its failure.
    pub(super) fn store(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.store)
    }

    /// Waits until a task ends that should not.
    pub(super) async fn ended_early(&mut self) -> Result<(), JoinError> {
        tokio::select! {
            ended = &mut self.server.handle => ended,
            ended = &mut self.dispatcher.handle => ended,
            ended = &mut self.retention => ended,
            ended = &mut self.watching => ended,
            ended = &mut self.tasks => ended,
        }
    }

    /// Stops in order: no new requests, then no new deliveries, then the store, with everything on the disk.
    ///
    /// # Errors
    /// Where the last of it did not become durable.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        self.retention.abort();
        self.watching.abort();
        self.compiling_ahead.abort();
        self.tasks.abort();
        let server = self.server.stop().await;
        let dispatcher = self.dispatcher.stop().await;
        let closed = self.store.close().await;
        server.and(dispatcher).map_err(|error| super::task_failed(Err(error)))?;
        closed.map_err(|error| super::store_failed(&error.to_string()))?;
        self.data_dir.stopped()?;
        tracing::info!("router stopped");
        Ok(())
    }
}

fn spawn<F>(work: impl FnOnce(CancellationToken) -> F) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = CancellationToken::new();
    Task { handle: tokio::spawn(work(stop.clone())), stop }
}

fn open_store(
    data_dir: &DataDir,
    installation: &InstallationKey,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<SqliteStore>, Failure> {
    let (file, key, entropy) = (data_dir.database(), installation.key.clone(), Arc::clone(entropy));
    let opened = match installation.is_new {
        true => SqliteStore::open(&file, key, entropy),
        false => SqliteStore::open_existing(&file, key, entropy),
    };
    opened.map(Arc::new).map_err(|error| {
        let failure = Failure::new(Exit::NotStarted, error.code(), error.to_string());
        match error {
            OpenError::Full => failure.hint(room_hint(&file)),
            _ => failure,
        }
    })
}

fn start_plugin_host(data_dir: &DataDir, seal_key: &SealKey) -> Result<WasmHost, Failure> {
    let compile_worker = CompileWorker {
        // Not `current_exe`: an upgrade may have put another program there.
        program: "/proc/self/exe".into(),
        arguments: vec![COMPILE_PLUGIN.into()],
        wall_max: COMPILE_WALL_MAX,
    };
    let config = WasmConfig {
        compile_worker: Some(compile_worker),
        ..WasmConfig::new(data_dir.plugin_cache(), seal_key.derive("compiled plugins"))
    };
    WasmHost::new(config).map_err(|error| Failure::new(Exit::NotStarted, error.code(), error.to_string()))
}

/// Compiles the plugins that come with the router, one after the other, so that the first to use one does not wait for it.
/// The compiler is a process of its own with the lowest priority, and what it made is kept: the next start finds it.
async fn compile_ahead(app: Arc<App>) {
    tokio::time::sleep(COMPILE_AHEAD_AFTER).await;
    for name in app.bundle().keys() {
        if let Err(error) = app.compile_bundled_plugin(name).await {
            tracing::warn!(plugin = %name, code = error.code, %error, "bundled plugin could not be compiled ahead");
        }
    }
}

fn start_transport(
    policy: &AddressPolicy,
    clock: &Arc<dyn Clock>,
    connections_max: usize,
) -> Result<HttpTransport, Failure> {
    let resolver = SystemResolver::new().map_err(|error| {
        Failure::new(Exit::NotStarted, "resolver_failed", format!("names can't be resolved: {error}"))
            .hint("check /etc/resolv.conf")
    })?;
    let config = TransportConfig::new(policy.clone(), Arc::new(resolver), Arc::clone(clock));
    let connections_max = connections_max.min(config.connections_max);
    HttpTransport::new(TransportConfig { connections_max, ..config })
        .map_err(|error| Failure::new(Exit::NotStarted, "transport_failed", error.to_string()))
}

fn address_policy(config: &Config) -> AddressPolicy {
    if config.allow_private_network {
        tracing::warn!("deliveries may go to this machine and its private network");
    }
    AddressPolicy {
        allow_private_network: config.allow_private_network,
        allow: config.allow_addresses.clone(),
        deny: config.deny_addresses.clone(),
        own_addresses: OwnAddresses::new(network::own_addresses().unwrap_or_default()),
    }
}

fn not_started(error: AppError, data_dir: &DataDir) -> Failure {
    let is_full = error.code == "storage_full";
    let failure = Failure::new(Exit::NotStarted, error.code, error.message);
    if is_full { failure.hint(room_hint(&data_dir.database())) } else { failure }
}

/// The plugins that this program carries.
fn bundle() -> Bundle {
    let described = |plugin: &hookmill_bundle::BundledPlugin| {
        let (Ok(name), Ok(world)) = (plugin.name.parse(), plugin.world.parse()) else {
            tracing::error!(plugin = plugin.name, "bundled plugin has no manifest and is left out");
            return None;
        };
        let component = ComponentBytes::from_static(plugin.component);
        Some((name, BundledPlugin { component, world, description: plugin.description.into() }))
    };
    hookmill_bundle::plugins().iter().filter_map(described).collect()
}
