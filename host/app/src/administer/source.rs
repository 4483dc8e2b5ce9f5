//! Sources: the inbound addresses of an application.

use std::time::Duration;

use hookmill_core::id::{ApplicationId, SourceId};
use hookmill_core::inbound::{Dedupe, Verifier};
use hookmill_core::limits::{APPLICATION_SOURCES_MAX, SOURCES_MAX};
use hookmill_core::plugin::{Secret, World};
use hookmill_core::port::store::Change;
use hookmill_core::signature::RotatingKeys;
use hookmill_core::source::{
    EventTypeFrom, Intake, PublicUrl, ReplayWindow, Source, SourceName, SourceState, SuccessStatus,
    Verification,
};

use super::application::Authority;
use super::binding::BindingPatch;
use super::{Edit, Text, conflict};
use crate::AppError;

/// Everything that an operator says about a new source.
#[derive(Debug, Clone)]
pub struct SourceInput {
    /// What its address ends with.
    pub name: SourceName,
    /// How its requests are signed, or not at all.
    pub verifier: Option<Verifier>,
    /// All else.
    pub details: SourcePatch,
}

/// What an operator wants changed of a source; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct SourcePatch {
    /// For people.
    pub description: Option<Text>,
    /// Whether it refuses requests.
    pub disabled: Option<bool>,
    /// How its requests are signed, or not at all.
    pub verifier: Option<Option<Verifier>>,
    /// The only secret from now on.
    pub secret: Option<Secret>,
    /// What Meta has to know when it asks whether anybody is there, or nothing.
    pub verify_token: Option<Option<Secret>>,
    /// Its address as the provider calls it, or unknown.
    pub public_url: Option<Option<PublicUrl>>,
    /// How far a signed time may lie from now.
    pub replay_window: Option<ReplayWindow>,
    /// What makes a request a repeat.
    pub dedupe: Option<Dedupe>,
    /// What a request is answered whose events are stored.
    pub success: Option<SuccessStatus>,
    /// Where the type of an event comes from that is a request's body.
    pub event_type: Option<EventTypeFrom>,
    /// What makes the events, or nothing: the body is the event.
    pub plugin: Option<Option<BindingPatch>>,
}

impl Edit<'_> {
    /// Creates a source that feeds an application. One that the application makes for itself has a name with the
    /// application's id in it.
    ///
    /// # Errors
    /// A name that is taken, too many sources, or parts that do not fit together. Settings that the plugin's schema refuses
    /// are found by the commit.
    pub fn create_source(
        &mut self,
        application: ApplicationId,
        mut input: SourceInput,
        by: Authority,
    ) -> Result<Source, AppError> {
        self.routes(application)?;
        if by == Authority::Tenant {
            self.check_source_quota(application)?;
            input.name = SourceName::of_application(application, &input.name).map_err(|error| {
                let message = format!("{error}, of which an application's id and a `-` are the first 27");
                AppError::invalid("source_name_invalid", message)
            })?;
        }
        if self.table.source_names.contains_key(&input.name) {
            let message = format!("a source with the name `{}` exists; choose another", input.name);
            return Err(conflict("source_name_taken", message));
        }
        if self.table.sources.len() >= SOURCES_MAX {
            return Err(conflict(
                "too_many_sources",
                format!("there are {SOURCES_MAX} sources, the most there may be; delete one first"),
            ));
        }
        let mut source = Source {
            id: self.app.new_id(self.now, SourceId::new),
            name: input.name,
            application,
            description: String::new(),
            state: SourceState::Enabled,
            verification: Verification::None,
            verify_token: None,
            public_url: None,
            replay_window: ReplayWindow::default(),
            dedupe: Dedupe::default(),
            success: SuccessStatus::usual(&Verification::None),
            intake: Intake::AsItIs(EventTypeFrom::default()),
            created_at: self.now,
            updated_at: self.now,
        };
        self.change_source(&mut source, SourcePatch { verifier: Some(input.verifier), ..input.details })?;
        Ok(self.put_source(source))
    }

    /// Changes some of a source.
    ///
    /// # Errors
    /// No such source, or parts that do not fit together.
    pub fn patch_source(&mut self, id: SourceId, patch: SourcePatch) -> Result<Source, AppError> {
        let mut source = self.source(id)?;
        self.change_source(&mut source, patch)?;
        Ok(self.put_source(source))
    }

    /// Puts a new secret in front; the one it replaces verifies on for the overlap.
    ///
    /// # Errors
    /// No such source, one that verifies nothing, a secret that is not the provider's, or too many at once.
    pub fn rotate_source_secret(
        &mut self,
        id: SourceId,
        new: Secret,
        overlap: Duration,
    ) -> Result<Source, AppError> {
        let mut source = self.source(id)?;
        let Verification::Signed { verifier, secrets } = &mut source.verification else {
            return Err(AppError::invalid(
                "source_unsigned",
                "this source verifies nothing and has no secret",
            ));
        };
        check_secret(verifier, &new)?;
        secrets.rotate(new, self.steady, overlap).map_err(|error| {
            conflict("too_many_source_secrets", error.shown_at(self.moment()).to_string())
        })?;
        Ok(self.put_source(source))
    }

    /// Deletes a source; its events stay.
    ///
    /// # Errors
    /// No such source.
    pub fn delete_source(&mut self, id: SourceId) -> Result<(), AppError> {
        self.source(id)?;
        self.changes.push(Change::DeleteSource(id));
        Ok(())
    }

    fn check_source_quota(&self, application: ApplicationId) -> Result<(), AppError> {
        let own = self.table.sources.values().filter(|source| source.application == application);
        if own.count() < APPLICATION_SOURCES_MAX {
            return Ok(());
        }
        let message = format!(
            "the application has {APPLICATION_SOURCES_MAX} sources, the most that it may make; delete one first"
        );
        Err(conflict("too_many_sources", message))
    }

    fn source(&self, id: SourceId) -> Result<Source, AppError> {
        let source = self.table.sources.get(&id);
        source.map(|source| Source::clone(source)).ok_or_else(|| AppError::not_found("source"))
    }

    fn put_source(&mut self, mut source: Source) -> Source {
        source.updated_at = self.now;
        self.changes.push(Change::PutSource(Box::new(source.clone())));
        source
    }

    fn change_source(&mut self, source: &mut Source, patch: SourcePatch) -> Result<(), AppError> {
        if let Some(description) = patch.description {
            source.description = description.into_string();
        }
        if let Some(disabled) = patch.disabled {
            source.state = if disabled { SourceState::Disabled } else { SourceState::Enabled };
        }
        let usual = SuccessStatus::usual(&source.verification);
        source.verification = verification(&source.verification, patch.verifier, patch.secret)?;
        if source.success == usual {
            source.success = SuccessStatus::usual(&source.verification);
        }
        if let Some(verify_token) = patch.verify_token {
            source.verify_token = verify_token;
        }
        if let Some(public_url) = patch.public_url {
            source.public_url = public_url;
        }
        if let Some(replay_window) = patch.replay_window {
            source.replay_window = replay_window;
        }
        if let Some(dedupe) = patch.dedupe {
            source.dedupe = dedupe;
        }
        if let Some(success) = patch.success {
            source.success = success;
        }
        source.intake = self.intake(&source.intake, patch.event_type, patch.plugin)?;
        if source.verification.covers_url() && source.public_url.is_none() {
            return Err(AppError::invalid(
                "public_url_missing",
                "the signature covers the address: say what the provider calls, \
                 such as https://hooks.example.com/in/twilio",
            ));
        }
        Ok(())
    }

    fn intake(
        &mut self,
        current: &Intake,
        event_type: Option<EventTypeFrom>,
        plugin: Option<Option<BindingPatch>>,
    ) -> Result<Intake, AppError> {
        let kept = match (plugin, current) {
            (Some(Some(patch)), current) => {
                let used = match current {
                    Intake::Plugin(used) => Some(used),
                    Intake::AsItIs(_) => None,
                };
                let bound = self.bound(used, patch, World::Source)?;
                Intake::Plugin(bound.ok_or_else(plugin_missing)?)
            }
            (Some(None), Intake::Plugin(_)) => Intake::AsItIs(EventTypeFrom::default()),
            (Some(None) | None, current) => current.clone(),
        };
        match (kept, event_type) {
            (kept, None) => Ok(kept),
            (Intake::AsItIs(_), Some(from)) => Ok(Intake::AsItIs(from)),
            (Intake::Plugin(_), Some(_)) => Err(AppError::invalid(
                "event_type_unused",
                "the source's plugin names the types of its events; leave this out, or set `plugin` to null",
            )),
        }
    }
}

/// Who may send, after a change. A new secret is the only one at once; a verifier without a new one keeps those it has.
fn verification(
    current: &Verification,
    verifier: Option<Option<Verifier>>,
    secret: Option<Secret>,
) -> Result<Verification, AppError> {
    let verifier = verifier.unwrap_or_else(|| current.verifier().cloned());
    let secrets = match (current, secret) {
        (_, Some(secret)) => Some(RotatingKeys::new(secret)),
        (Verification::Signed { secrets, .. }, None) => Some(secrets.clone()),
        (Verification::None, None) => None,
    };
    match (verifier, secrets) {
        (None, _) if matches!(current, Verification::Signed { .. }) => Ok(Verification::None),
        (None, None) => Ok(Verification::None),
        (None, Some(_)) => {
            let message = "a source that verifies nothing has no secret; name its `verification`";
            Err(AppError::invalid("secret_unused", message))
        }
        (Some(_), None) => {
            let message =
                "signatures are verified with a secret; the provider shows it where its webhooks are set up";
            Err(AppError::invalid("secret_missing", message))
        }
        (Some(verifier), Some(secrets)) => {
            check_secret(&verifier, secrets.current())?;
            Ok(Verification::Signed { verifier, secrets })
        }
    }
}

fn check_secret(verifier: &Verifier, secret: &Secret) -> Result<(), AppError> {
    verifier.check_secret(secret).map_err(|error| AppError::invalid(error.code(), error.to_string()))
}

fn plugin_missing() -> AppError {
    AppError::invalid("source_plugin_missing", "the source has no plugin yet; name one in `plugin.name`")
}
