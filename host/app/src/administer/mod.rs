//! Changes of the configuration.
//!
//! Dramatis personae: an [`Edit`] is one change under way. It holds the lock that puts changes in one order, and the
//! snapshot that it is based on; the use cases are its methods. They are not asynchronous: each checks its rules
//! against the snapshot, notes the [`Change`]s and returns what the caller will see. [`Edit::commit`] then stores
//! them in one transaction. So an answer is known before the commit and, where the request carries an
//! `Idempotency-Key`, is remembered in the same transaction ([`Edit::remember`]): a repeat gets the first answer
//! even if the process died between the commit and the answer.
//!
//! What comes in here was parsed at the edge (names, URLs, patterns, policies); what is checked here are rules
//! between things: uids that are taken, plugins that don't exist, limits on how many there may be.
//!
//! What takes long does not hold the lock: what a plugin says of settings is asked between two attempts at the same change
//! ([`App::change`]), while others make theirs.
//!
//! A commit must not be abandoned half-way, since the store would be ahead of the snapshot: callers run an edit in
//! a task of its own, not in a request that may be dropped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::application::Application;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::limits::{
    APPLICATION_CONFIGURATION_BYTES_MAX, APPLICATION_ENDPOINTS_MAX, IDEMPOTENCY_KEY_KEPT,
};
use hookmill_core::plugin::{PluginBinding, PluginDigest};
use hookmill_core::port::store::{Change, RememberedAnswer};
use hookmill_core::route::{Routes, RoutingTable};
use hookmill_core::time::{Moment, UnixMillis};
use tokio::sync::MutexGuard;

pub mod application;
pub mod binding;
pub mod compose;
pub mod endpoint;
pub mod event_type;
pub mod headers;
pub mod key;
mod once;
pub mod plugin;
#[cfg(test)]
mod plugin_tests;
pub mod policy;
pub mod signing;
pub mod source;
#[cfg(test)]
mod tests;
mod text;
pub mod transformation;
mod verification;
#[cfg(test)]
mod verification_tests;

pub(crate) use once::RememberedBytes;
pub use once::{Begun, Once};
pub use text::{InvalidText, Text};

use self::policy::check_terms;
use crate::{App, AppError, EndpointBreakers, ErrorKind};

/// How often a change begins anew because a plugin or a binding was changed while its settings were checked.
const CHANGE_ATTEMPTS_MAX: usize = 4;
const CHANGE_RETRY_WAIT: Duration = Duration::from_secs(1);

/// A version of a plugin, and a binding whose settings it was asked about.
type Asked = (PluginDigest, PluginBinding);

/// One change of the configuration under way. Dropped without [`commit`](Self::commit) it changes nothing.
#[must_use = "an edit changes nothing until it is committed"]
pub struct Edit<'app> {
    pub(crate) app: &'app App,
    _changing: MutexGuard<'app, ()>,
    table: Arc<RoutingTable>,
    now: UnixMillis,
    /// The same moment in steady time.
    steady: UnixMillis,
    once: Option<Once>,
    /// An answer to be remembered, and how much it counts against its tenant's quota.
    remembered: Option<(Once, usize)>,
    pub(crate) changes: Vec<Change>,
    /// Bindings whose settings the plugin is asked about before the commit.
    unchecked: Vec<PluginBinding>,
}

/// What came of a change that is to happen once.
#[derive(Debug)]
pub enum Changed<T> {
    /// It was made.
    Now(T),
    /// It had been made; this was the answer.
    Before(RememberedAnswer),
}

/// Whether a thing was made or was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<T> {
    /// New.
    Created(T),
    /// Was there before; changed or not.
    Existing(T),
}

impl<T> Written<T> {
    /// The thing.
    pub fn get(&self) -> &T {
        match self {
            Self::Created(value) | Self::Existing(value) => value,
        }
    }
}

impl App {
    /// Begins a change; waits for the one under way.
    pub async fn edit(&self) -> Edit<'_> {
        let changing = self.changing.lock().await;
        Edit {
            app: self,
            _changing: changing,
            table: self.table.load_full(),
            now: self.now(),
            steady: self.steady(),
            once: None,
            remembered: None,
            changes: Vec::new(),
            unchecked: Vec::new(),
        }
    }

    /// Makes a change. `change` may be called several times, since what a plugin says of settings is asked in between.
    ///
    /// # Errors
    /// Those of `change` and of [`Edit::commit`], settings that a plugin refuses, and a plugin that is changed all the time.
    pub async fn change<T, E: From<AppError>>(
        &self,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T, E> + Clone,
    ) -> Result<T, E> {
        match self.change_once(None, change).await? {
            Changed::Now(made) => Ok(made),
            Changed::Before(_) => unreachable!("nothing is remembered without a key"),
        }
    }

    /// Makes a change that is to happen once, however often it is asked for.
    ///
    /// # Errors
    /// As [`change`](Self::change); when the same idempotency key came with another request before.
    pub async fn change_once<T, E: From<AppError>>(
        &self,
        once: Option<Once>,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T, E> + Clone,
    ) -> Result<Changed<T>, E> {
        let mut answered: Vec<Asked> = Vec::new();
        for _ in 0..CHANGE_ATTEMPTS_MAX {
            let mut edit = match self.edit_once(once).await? {
                Begun::Fresh(edit) => edit,
                Begun::Repeat(answer) => return Ok(Changed::Before(answer)),
            };
            let made = change.clone()(&mut edit)?;
            let asked = edit.questions();
            if asked.iter().all(|question| answered.contains(question)) {
                edit.store().await?;
                return Ok(Changed::Now(made));
            }
            let owner = edit.owner();
            // Others make their changes meanwhile.
            drop(edit);
            for (version, binding) in &asked {
                self.check_settings(owner, *version, binding).await?;
            }
            answered.extend(asked);
        }
        let message =
            "the plugin was changed again and again while it was asked about these settings; try once more";
        Err(AppError::new(ErrorKind::Busy(CHANGE_RETRY_WAIT), "overloaded", message).into())
    }

    /// Begins a change that is to happen once, however often it is asked for.
    ///
    /// # Errors
    /// When the same idempotency key came with another request before, or the store fails.
    pub async fn edit_once(&self, once: Option<Once>) -> Result<Begun<'_>, AppError> {
        let mut edit = self.edit().await;
        if let Some(once) = once {
            // Read under the lock, so that two repeats at the same moment can't both be the first.
            let remembered = self.store.remembered(once.key()).await?;
            let oldest = edit.steady.before(IDEMPOTENCY_KEY_KEPT);
            if let Some(answer) = remembered.filter(|answer| answer.at > oldest) {
                return once.repeat(answer).map(Begun::Repeat);
            }
            edit.once = Some(once);
        }
        Ok(Begun::Fresh(Box::new(edit)))
    }
}

impl Edit<'_> {
    /// The snapshot that this change is based on.
    #[must_use]
    pub fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// The moment of this change.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.now
    }

    /// Where the breakers of an endpoint and of its plugin stand.
    #[must_use]
    pub fn breakers_of(&self, endpoint: EndpointId) -> EndpointBreakers {
        self.app.breakers_of(endpoint)
    }

    /// The moment of this change on both clocks.
    fn moment(&self) -> Moment {
        Moment { wall: self.now, steady: self.steady }
    }

    /// Remembers the answer to this request with the change, where it carries an idempotency key.
    pub fn remember(&mut self, status: u16, body: Bytes) {
        if let Some(once) = self.once.take() {
            self.remembered = Some((once, body.len()));
            let answer = RememberedAnswer { fingerprint: once.fingerprint(), status, body, at: self.steady };
            self.changes.push(Change::Remember(once.key(), answer));
        }
    }

    /// Stores what was noted, in one transaction; then it is in force. A change that binds plugins is made by
    /// [`App::change`] instead.
    ///
    /// # Errors
    /// A value that is taken, more than is remembered for one application, a full disk, a store that fails; nothing has
    /// changed then.
    pub async fn commit(self) -> Result<(), AppError> {
        debug_assert!(self.unchecked.is_empty(), "settings are checked by `App::change`");
        self.store().await
    }

    async fn store(self) -> Result<(), AppError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        if let Some((once, bytes)) = self.remembered {
            once.count(&self.app.remembered, bytes, self.steady)?;
        }
        self.app.apply(self.changes).await
    }

    /// What plugins are to be asked before this is committed.
    fn questions(&self) -> Vec<Asked> {
        let version =
            |binding: &PluginBinding| binding.pinned.or_else(|| self.table.current_version(&binding.plugin));
        self.unchecked.iter().filter_map(|binding| Some((version(binding)?, binding.clone()))).collect()
    }

    /// Whose plugins these are, so that their runs take turns with those of others.
    fn owner(&self) -> Option<ApplicationId> {
        self.changes.iter().find_map(|change| match change {
            Change::PutEndpoint(endpoint) => Some(endpoint.application),
            Change::PutSource(source) => Some(source.application),
            _ => None,
        })
    }

    fn routes(&self, id: ApplicationId) -> Result<Arc<Routes>, AppError> {
        self.table.applications.get(&id).cloned().ok_or_else(|| AppError::not_found("application"))
    }

    fn application(&self, id: ApplicationId) -> Result<Application, AppError> {
        Ok(Application::clone(&self.routes(id)?.application))
    }

    /// The endpoint as it is, to be changed.
    pub(crate) fn endpoint(&self, application: ApplicationId, id: EndpointId) -> Result<Endpoint, AppError> {
        let endpoint = self.table.endpoints.get(&id).filter(|endpoint| endpoint.application == application);
        endpoint.map(|endpoint| Endpoint::clone(endpoint)).ok_or_else(|| AppError::not_found("endpoint"))
    }

    /// Whether an application's endpoints together are configured with no more than they may; one that shrinks always may.
    fn check_configuration_bytes(
        &self,
        endpoint: &Endpoint,
        before: Option<&Arc<Endpoint>>,
    ) -> Result<(), AppError> {
        let bytes = endpoint.configuration_bytes();
        // Endpoints within their equal share are not summed up, since most are: all of them together are as much again.
        let share = APPLICATION_CONFIGURATION_BYTES_MAX / APPLICATION_ENDPOINTS_MAX;
        if bytes <= share || before.is_some_and(|before| bytes <= before.configuration_bytes()) {
            return Ok(());
        }
        let routes = self.routes(endpoint.application)?;
        let others = routes.endpoints.values().filter(|other| other.id != endpoint.id);
        let sum = others.map(|other| other.configuration_bytes()).sum::<usize>() + bytes;
        if sum <= APPLICATION_CONFIGURATION_BYTES_MAX {
            return Ok(());
        }
        let message = format!(
            "the endpoints of the application are configured with {sum} bytes (patterns, settings, compositions, headers), \
             they may have {APPLICATION_CONFIGURATION_BYTES_MAX}; make some smaller, or delete some"
        );
        Err(conflict("configuration_too_large", message))
    }

    /// Notes a new or changed endpoint. Every change of one comes by here, so the rules between its parts are checked here,
    /// and here it is seen whether a consent that was given is still one.
    fn put_endpoint(&mut self, mut endpoint: Endpoint) -> Result<Endpoint, AppError> {
        let before = self.table.endpoints.get(&endpoint.id);
        self.check_configuration_bytes(&endpoint, before)?;
        if before.is_none_or(|before| before.origins() != endpoint.origins()) {
            for origin in endpoint.origins() {
                self.check_url(&origin.root())?;
            }
        }
        check_terms(&endpoint)?;
        if before.is_none_or(|before| !endpoint.is_asked_as(before)) {
            self.want_verification(&mut endpoint);
        }
        endpoint.updated_at = self.now;
        self.changes.push(Change::PutEndpoint(Box::new(endpoint.clone())));
        Ok(endpoint)
    }
}

pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> AppError {
    AppError::new(ErrorKind::Conflict, code, message)
}
