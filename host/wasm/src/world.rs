//! The three worlds: what a run of each is given, which export it calls, and what comes back.

use std::sync::Arc;

use hookmill_core::delivery::TransformFailure;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::limits::PLUGIN_FAILURE_BYTES_MAX;
use hookmill_core::plugin::{
    ClassifierVerdict, InstancePolicy, PluginDigest, SourceVerdict, TransformOutcome, World,
};
use hookmill_core::port::plugins::{ClassifierRun, RunReport, SourceRun, TransformReport, TransformRun};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, Resource};

use crate::bindings::exports::hookmill::plugin::{classifier, source, transform};
use crate::fault::{Breach, fault_of_breach};
use crate::guest::RunState;
use crate::limits::RunLimits;
use crate::run::Runner;
use crate::run_log::printable;

/// The one event, request, answer, target or origin of a run has no other number.
const ONLY: u32 = 0;

/// Whose runs take turns with whose, within one application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    Endpoint(EndpointId),
    Source(Arc<str>),
}

/// The export of a linked plugin, found once.
pub(crate) enum Export {
    Transform(transform::GuestIndices),
    Source(source::GuestIndices),
    Classifier(classifier::GuestIndices),
}

impl Export {
    /// The export of a plugin of this world.
    pub(crate) fn find(world: World, plugin: &InstancePre<RunState>) -> wasmtime::Result<Self> {
        Ok(match world {
            World::Transform => Self::Transform(transform::GuestIndices::new(plugin)?),
            World::Source => Self::Source(source::GuestIndices::new(plugin)?),
            World::Classifier => Self::Classifier(classifier::GuestIndices::new(plugin)?),
        })
    }

    pub(crate) fn world(&self) -> World {
        match self {
            Self::Transform(_) => World::Transform,
            Self::Source(_) => World::Source,
            Self::Classifier(_) => World::Classifier,
        }
    }
}

/// What a plugin answered, unless the engine or the host ended it.
pub(crate) type Answered<T> = wasmtime::Result<Result<T, TransformFailure>>;

/// One run of a plugin of one world.
pub(crate) trait WorldRun: Clone + Send + 'static {
    /// What comes back.
    type Answer: Send + 'static;
    /// The export, in an instance.
    type Guest;

    fn digest(&self) -> PluginDigest;

    /// Bytes of the body that it is given.
    fn body_bytes(&self) -> usize;

    /// Bytes of the settings that it is given.
    fn settings_bytes(&self) -> usize;

    /// Bytes that wait with it for a thread and that nobody else counts.
    fn queued_bytes(&self) -> usize;

    /// The tenant whose runs take turns with those of others.
    fn application(&self) -> ApplicationId;

    fn owner(&self) -> Owner;

    fn into_state(self, limits: RunLimits) -> RunState;

    /// The export in this instance; fails where the plugin is of another world.
    fn load(
        export: &Export,
        store: &mut Store<RunState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Guest>;

    fn call(guest: &Self::Guest, store: &mut Store<RunState>) -> Answered<Self::Answer>;

    /// Runs it: in a fresh instance, unless the world has others.
    fn run_by(self, runner: &Runner) -> RunReport<Self::Answer> {
        runner.run_fresh(self)
    }
}

impl WorldRun for TransformRun {
    type Answer = TransformOutcome;
    type Guest = transform::Guest;

    fn digest(&self) -> PluginDigest {
        self.digest
    }

    fn settings_bytes(&self) -> usize {
        self.settings.len()
    }

    fn body_bytes(&self) -> usize {
        self.event.body.len()
    }

    fn queued_bytes(&self) -> usize {
        0
    }

    fn application(&self) -> ApplicationId {
        self.endpoint.application
    }

    fn owner(&self) -> Owner {
        Owner::Endpoint(self.endpoint.id)
    }

    fn into_state(self, limits: RunLimits) -> RunState {
        RunState::of_transform(self, limits)
    }

    fn load(
        export: &Export,
        store: &mut Store<RunState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Guest> {
        match export {
            Export::Transform(export) => export.load(store, instance),
            Export::Source(_) | Export::Classifier(_) => Err(other_world(World::Transform, export)),
        }
    }

    fn call(guest: &Self::Guest, store: &mut Store<RunState>) -> Answered<Self::Answer> {
        let answer = guest.call_run(&mut *store, Resource::new_borrow(ONLY), Resource::new_borrow(ONLY))?;
        let bounded = |message: String| printable(&message, PLUGIN_FAILURE_BYTES_MAX);
        Ok(match answer {
            Ok(outcome) => {
                store.data_mut().finish_transform(outcome).map_err(|breach| fault_of_breach(&breach))
            }
            Err(transform::Failure::Retryable(message)) => {
                Err(TransformFailure::Retryable { message: bounded(message) })
            }
            Err(transform::Failure::Permanent(message)) => {
                Err(TransformFailure::Permanent { message: bounded(message) })
            }
        })
    }

    fn run_by(self, runner: &Runner) -> TransformReport {
        match self.instance {
            InstancePolicy::Fresh => runner.run_fresh(self),
            InstancePolicy::Reused => runner.run_reused(self),
        }
    }
}

impl WorldRun for SourceRun {
    type Answer = SourceVerdict;
    type Guest = source::Guest;

    fn digest(&self) -> PluginDigest {
        self.digest
    }

    fn settings_bytes(&self) -> usize {
        self.settings.len()
    }

    fn body_bytes(&self) -> usize {
        self.request.body.len()
    }

    fn queued_bytes(&self) -> usize {
        self.request.body.len()
    }

    fn application(&self) -> ApplicationId {
        self.application
    }

    fn owner(&self) -> Owner {
        Owner::Source(Arc::clone(&self.source))
    }

    fn into_state(self, limits: RunLimits) -> RunState {
        RunState::of_source(self, limits)
    }

    fn load(
        export: &Export,
        store: &mut Store<RunState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Guest> {
        match export {
            Export::Source(export) => export.load(store, instance),
            Export::Transform(_) | Export::Classifier(_) => Err(other_world(World::Source, export)),
        }
    }

    fn call(guest: &Self::Guest, store: &mut Store<RunState>) -> Answered<Self::Answer> {
        let verdict =
            guest.call_receive(&mut *store, Resource::new_borrow(ONLY), Resource::new_borrow(ONLY))?;
        Ok(store.data_mut().finish_source(verdict).map_err(|breach| fault_of_breach(&breach)))
    }
}

impl WorldRun for ClassifierRun {
    type Answer = ClassifierVerdict;
    type Guest = classifier::Guest;

    fn digest(&self) -> PluginDigest {
        self.digest
    }

    fn settings_bytes(&self) -> usize {
        self.settings.len()
    }

    fn body_bytes(&self) -> usize {
        self.event.body.len() + self.response.body.len()
    }

    fn queued_bytes(&self) -> usize {
        self.response.body.len()
    }

    fn application(&self) -> ApplicationId {
        self.endpoint.application
    }

    fn owner(&self) -> Owner {
        Owner::Endpoint(self.endpoint.id)
    }

    fn into_state(self, limits: RunLimits) -> RunState {
        RunState::of_classifier(self, limits)
    }

    fn load(
        export: &Export,
        store: &mut Store<RunState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Guest> {
        match export {
            Export::Classifier(export) => export.load(store, instance),
            Export::Transform(_) | Export::Source(_) => Err(other_world(World::Classifier, export)),
        }
    }

    fn call(guest: &Self::Guest, store: &mut Store<RunState>) -> Answered<Self::Answer> {
        let verdict = guest.call_classify(
            &mut *store,
            Resource::new_borrow(ONLY),
            Resource::new_borrow(ONLY),
            Resource::new_borrow(ONLY),
        )?;
        Ok(Ok(store.data_mut().finish_classifier(verdict)))
    }
}

fn other_world(wanted: World, found: &Export) -> wasmtime::Error {
    Breach::World { wanted, found: found.world() }.into()
}
