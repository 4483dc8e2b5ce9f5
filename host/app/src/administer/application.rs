//! Applications: the tenants.

use hookmill_core::application::{Application, Metadata};
use hookmill_core::event::Name;
use hookmill_core::id::ApplicationId;
use hookmill_core::limits::APPLICATIONS_MAX;
use hookmill_core::port::store::Change;

use super::{Edit, Text, Written, conflict};
use crate::{AppError, ErrorKind};

/// Everything that an operator says about an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationInput {
    /// For people.
    pub name: Text,
    /// The operator's own id.
    pub uid: Option<Name>,
    /// Deliveries a second to all of its endpoints together, at least 1.
    pub rate_limit: Option<u16>,
    /// The operator's own labels.
    pub metadata: Metadata,
}

/// What an operator wants changed of an application; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationPatch {
    /// For people.
    pub name: Option<Text>,
    /// The operator's own id, or none.
    pub uid: Option<Option<Name>>,
    /// Deliveries a second, or no limit.
    pub rate_limit: Option<Option<u16>>,
    /// The operator's own labels, all of them.
    pub metadata: Option<Metadata>,
}

/// Who changes an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// Whoever runs the router: everything.
    Operator,
    /// The application itself: what is its own. By its uid others address it, and its limits protect them, so it keeps both.
    Tenant,
}

impl ApplicationPatch {
    /// The field that only the operator may change as this would, if there is one.
    fn operators_field(&self, application: &Application) -> Option<&'static str> {
        let changes_uid = self.uid.as_ref().is_some_and(|uid| *uid != application.uid);
        let changes_rate = self.rate_limit.is_some_and(|rate| rate != application.rate_limit);
        match (changes_uid, changes_rate) {
            (true, _) => Some("uid"),
            (false, true) => Some("throttleRate"),
            (false, false) => None,
        }
    }
}

impl Edit<'_> {
    /// Creates an application. With `get_if_exists`, one that has the uid already is the answer, unchanged.
    ///
    /// # Errors
    /// A uid that is taken or looks like an id, or too many applications.
    pub fn create_application(
        &mut self,
        input: ApplicationInput,
        get_if_exists: bool,
    ) -> Result<Written<Application>, AppError> {
        if get_if_exists {
            let existing = input.uid.as_ref().and_then(|uid| self.table.application(uid.as_str()));
            if let Some(routes) = existing {
                return Ok(Written::Existing(Application::clone(&routes.application)));
            }
        }
        if self.table.applications.len() >= APPLICATIONS_MAX {
            return Err(conflict(
                "too_many_applications",
                format!("there are {APPLICATIONS_MAX} applications, the most there may be; delete one first"),
            ));
        }
        let id = self.app.new_id(self.now, ApplicationId::new);
        self.check_application_uid(id, input.uid.as_ref())?;
        let application = Application {
            id,
            uid: input.uid,
            name: input.name.into_string(),
            rate_limit: input.rate_limit,
            metadata: input.metadata,
            created_at: self.now,
            updated_at: self.now,
        };
        Ok(Written::Created(self.put_application(application)))
    }

    /// Gives an application new content. What the operator decides stays where the tenant says nothing of it.
    ///
    /// # Errors
    /// No such application, a uid that is taken, or as for [`patch_application`](Self::patch_application).
    pub fn replace_application(
        &mut self,
        id: ApplicationId,
        input: ApplicationInput,
        by: Authority,
    ) -> Result<Application, AppError> {
        let says = by == Authority::Operator;
        let patch = ApplicationPatch {
            name: Some(input.name),
            uid: Some(input.uid).filter(|uid| says || uid.is_some()),
            rate_limit: Some(input.rate_limit).filter(|rate| says || rate.is_some()),
            metadata: Some(input.metadata),
        };
        self.patch_application(id, patch, by)
    }

    /// Changes some of an application.
    ///
    /// # Errors
    /// No such application, a uid that is taken, or something that is not the tenant's to change. A tenant is told so
    /// before anything is looked up, and so learns nothing of others.
    pub fn patch_application(
        &mut self,
        id: ApplicationId,
        patch: ApplicationPatch,
        by: Authority,
    ) -> Result<Application, AppError> {
        let mut application = self.application(id)?;
        if let (Authority::Tenant, Some(field)) = (by, patch.operators_field(&application)) {
            let message = format!("`{field}` is set by the operator, with an admin key; leave it as it is");
            return Err(AppError::new(ErrorKind::Forbidden, "operator_field", message));
        }
        if let Some(name) = patch.name {
            application.name = name.into_string();
        }
        if let Some(uid) = patch.uid {
            self.check_application_uid(id, uid.as_ref())?;
            application.uid = uid;
        }
        if let Some(rate_limit) = patch.rate_limit {
            application.rate_limit = rate_limit;
        }
        if let Some(metadata) = patch.metadata {
            application.metadata = metadata;
        }
        application.updated_at = self.now;
        Ok(self.put_application(application))
    }

    /// Deletes an application with all that is its own.
    ///
    /// # Errors
    /// No such application.
    pub fn delete_application(&mut self, id: ApplicationId) -> Result<(), AppError> {
        self.routes(id)?;
        self.changes.push(Change::DeleteApplication(id));
        Ok(())
    }

    fn put_application(&mut self, application: Application) -> Application {
        self.changes.push(Change::PutApplication(application.clone()));
        application
    }

    fn check_application_uid(&self, id: ApplicationId, uid: Option<&Name>) -> Result<(), AppError> {
        let Some(uid) = uid else { return Ok(()) };
        if uid.as_str().parse::<ApplicationId>().is_ok() {
            return Err(AppError::invalid(
                "uid_is_id",
                "this uid has the form of an id that the router makes; choose another",
            ));
        }
        match self.table.application_uids.get(uid) {
            Some(owner) if *owner != id => Err(conflict(
                "conflict",
                format!("an application with the uid `{uid}` exists; choose another"),
            )),
            Some(_) | None => Ok(()),
        }
    }
}
