//! The listener of a framework that has a port of its own, through the whole of its life.

use std::{sync::Arc, time::Duration};

use polyport_bootstrap::{
    AppCore, Error, HandedOver, Result,
    framework::{Activity, FrameworkContext},
};

use crate::{
    BindError, BoundListener, ErasedHandler, ListenerError, ListenerSettings, Server,
    SharedListener,
};

/// A framework's own listener. Its methods are those of a
/// [`Transport`](polyport_bootstrap::Transport), in the same order; before it serves, and after it
/// is closed, the later ones do nothing.
#[derive(Debug)]
pub struct ListenerHost {
    section: String,
    handed_over: HandedOver,
    listener: SharedListener,
    bound: Option<BoundListener>,
    server: Option<Server>,
}

impl ListenerHost {
    /// The listener of the framework that is being built.
    #[must_use]
    pub fn new(context: &FrameworkContext<'_>) -> Self {
        Self {
            section: context.section_key().to_owned(),
            handed_over: context.handed_over().clone(),
            listener: SharedListener::new(context.core().title()),
            bound: None,
            server: None,
        }
    }

    /// What others join.
    #[must_use]
    pub fn listener(&self) -> &SharedListener {
        &self.listener
    }

    /// Binds, or takes over the socket that was handed over for this framework's section of the
    /// configuration or this address, and says so to the handle; clients are refused (or, on a
    /// socket that was handed over, wait) until [`serve`](Self::serve).
    ///
    /// # Errors
    /// Returns an error that names the address and what to do.
    pub async fn bind(&mut self, core: &AppCore, host: &str, port: u16) -> Result<()> {
        let Self { section, handed_over, listener, .. } = self;
        let bound = listener.take_or_bind(handed_over, section, host, port).await;
        let bound = bound.map_err(not_bound)?;
        core.set_local_addr(bound.local_addr());
        self.bound = Some(bound);
        Ok(())
    }

    /// Listens, and gives every request to `handler`.
    ///
    /// # Errors
    /// Returns an error where somebody else has begun to listen on the address since it was bound.
    pub fn serve(
        &mut self,
        handler: Arc<dyn ErasedHandler>,
        settings: ListenerSettings,
    ) -> Result<()> {
        let bound = self.bound.take().ok_or_else(|| Error::other("serve comes after bind"))?;
        let listening = bound.listen().map_err(not_bound)?;
        self.server = Some(self.listener.serve(listening, handler, settings).map_err(misused)?);
        Ok(())
    }

    /// As [`Server::stop_intake`].
    pub async fn stop_intake(&self) {
        if let Some(server) = &self.server {
            server.stop_intake().await;
        }
    }

    /// As [`Server::drain`].
    pub async fn drain(&self) {
        if let Some(server) = &self.server {
            server.drain().await;
        }
    }

    /// As [`Server::close`].
    ///
    /// # Errors
    /// Returns how many connections were cut.
    pub async fn close(&mut self, grace: Duration) -> Result<()> {
        self.bound = None;
        let Some(server) = self.server.take() else { return Ok(()) };
        match server.close(grace).await {
            0 => Ok(()),
            cut => {
                let connections = if cut == 1 { "connection was" } else { "connections were" };
                Err(Error::deadline(format!(
                    "{cut} {connections} cut: not ended {grace:?} after they were told to"
                )))
            }
        }
    }

    /// As [`Transport::failed`](polyport_bootstrap::Transport::failed).
    pub async fn failed(&self) -> Error {
        match &self.server {
            Some(server) => Error::other(server.failed().await)
                .advise("what it panicked with stands above; report it as a bug"),
            None => std::future::pending().await,
        }
    }

    /// What can be asked at any time for the calls in flight.
    #[must_use]
    pub fn activity(&self) -> Arc<dyn Activity> {
        self.listener.activity()
    }
}

fn not_bound(error: BindError) -> Error {
    let report = Error::connection(error.to_string());
    error.advice().into_iter().fold(report, |report, advice| report.advise(advice))
}

fn misused(error: ListenerError) -> Error {
    Error::wiring(error.to_string())
}
