//! The handle that application code injects.

use std::sync::Arc;

use polyport_bootstrap::{AppCore, AppHandle, Application};

/// The admin port's handle: where it listens.
#[derive(Debug, Clone)]
pub struct AdminApp(Arc<AppCore>);

impl AdminApp {
    pub(crate) fn new(core: AppCore) -> Self {
        Self(Arc::new(core))
    }
}

impl Application for AdminApp {
    fn core(&self) -> &AppCore {
        &self.0
    }

    /// `http://127.0.0.1:7009`.
    fn url(&self) -> Option<String> {
        Some(format!("http://{}", self.core().reachable_addr()?))
    }
}

impl AppHandle for AdminApp {
    const KIND: &'static str = "admin";
}
