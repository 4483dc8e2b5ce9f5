//! Plugins that come with the router. They are uploaded like any other, when they are first used.

use std::collections::BTreeMap;

use hookmill_core::plugin::{ComponentBytes, PluginName, World};
use hookmill_core::route::RoutingTable;

use crate::administer::plugin::{Upload, rejected};
use crate::{App, AppError};

/// The plugins that come with the router, by name.
pub type Bundle = BTreeMap<PluginName, BundledPlugin>;

/// A plugin that comes with the router, and what its manifest says.
#[derive(Debug, Clone)]
pub struct BundledPlugin {
    /// What would be uploaded.
    pub component: ComponentBytes,
    /// What it is for.
    pub world: World,
    /// One line for people.
    pub description: Box<str>,
}

impl App {
    /// The plugins that come with the router.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The plugins that come with the router and that nobody used yet.
    pub fn unused_bundle<'a>(
        &'a self,
        table: &'a RoutingTable,
    ) -> impl Iterator<Item = (&'a PluginName, &'a BundledPlugin)> {
        self.bundle.iter().filter(|(name, _)| !table.plugins.contains_key(*name))
    }

    /// Compiles a plugin that comes with the router, and keeps what came of that until it is used. Cheap where it is kept
    /// already.
    ///
    /// # Errors
    /// As for any upload; the compiler may be busy, say.
    pub async fn compile_bundled_plugin(&self, name: &PluginName) -> Result<(), AppError> {
        let Some(component) = self.component(name) else { return Ok(()) };
        let prepared = self.plugins.prepare(component).await.map_err(rejected)?;
        if !self.table().plugins.contains_key(name) {
            self.plugins.unload(prepared.digest);
        }
        Ok(())
    }

    /// Sees to it that a plugin which comes with the router is there. One that was uploaded under its name stays.
    ///
    /// # Errors
    /// As for any upload; the compiler may be busy, say.
    pub async fn ensure_bundled_plugin(&self, name: &PluginName) -> Result<(), AppError> {
        if self.table().plugins.contains_key(name) {
            return Ok(());
        }
        let Some(component) = self.component(name) else { return Ok(()) };
        let upload = Upload { name: name.clone(), component, uploaded_by: Box::default(), promote: false };
        self.upload_plugin(upload).await?;
        Ok(())
    }

    fn component(&self, name: &PluginName) -> Option<ComponentBytes> {
        self.bundle.get(name).map(|plugin| plugin.component.clone())
    }
}
