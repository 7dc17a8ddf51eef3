use std::{fmt, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{Lifecycle, Phase, Reloader, Timeline, process::Process};
use crate::{
    Catalog, Error, Result,
    application::{Application, FromApps},
    container::Container,
    declared::Declared,
    framework::{ActiveFramework, BoundAddress},
    graph::{self, Graph, GraphModule},
    operation::Exposures,
    witness,
};

/// A process that serves. Dropping it asks for an ordered stop, which then goes on in the
/// background.
pub struct RunningBootstrap {
    apps: Vec<Arc<dyn Application>>,
    container: Container,
    exposures: Exposures,
    modules: Arc<[GraphModule]>,
    hooks: Arc<[Declared]>,
    lifecycle: Lifecycle,
    reloader: Reloader,
    outcome: Shared<BoxFuture<'static, Result<()>>>,
}

impl fmt::Debug for RunningBootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningBootstrap")
            .field("phase", &self.phase())
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

impl RunningBootstrap {
    /// Watches over a started process: stops it when asked to.
    pub(crate) fn supervise(process: Process) -> Self {
        let members = process.members.iter().chain(&process.throughout);
        let apps = members.map(|member| Arc::clone(&member.app)).collect();
        let container = process.container.clone();
        let exposures = process.exposures.clone();
        let modules = Arc::clone(&process.modules);
        let hooks = process.hooks.declared().into();
        let (lifecycle, reloader) = (process.lifecycle.clone(), process.reloader.clone());
        let task = witness::spawn(serve_until_stopped(process));
        let stopped = lifecycle.clone();
        let outcome = task
            .map(move |joined| {
                stopped.enter(Phase::Stopped);
                joined.unwrap_or_else(|error| {
                    Err(Error::other("the ordered stop itself failed").caused_by(error))
                })
            })
            .boxed()
            .shared();
        Self { apps, container, exposures, modules, hooks, lifecycle, reloader, outcome }
    }

    /// The main framework's handle.
    #[must_use]
    pub fn main_app(&self) -> &Arc<dyn Application> {
        &self.apps[0]
    }

    /// Every framework's handle, in load order.
    #[must_use]
    pub fn apps(&self) -> &[Arc<dyn Application>] {
        &self.apps
    }

    /// A framework's handle by its type.
    ///
    /// # Errors
    /// Returns an error where no such framework is loaded under the name `default`.
    pub fn app<A: FromApps>(&self) -> Result<A> {
        self.container.app()
    }

    /// The handle of a framework with a name of its own.
    ///
    /// # Errors
    /// Returns an error where no such framework is loaded.
    pub fn app_named<A: FromApps>(&self, name: &str) -> Result<A> {
        self.container.app_named(name)
    }

    /// The container that all frameworks share.
    #[must_use]
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Reloads the configuration of this process.
    #[must_use]
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Every way in which operations can be called.
    #[must_use]
    pub fn exposures(&self) -> &Exposures {
        &self.exposures
    }

    /// Every way in which operations can be called, with what stands around each.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::of(&self.exposures)
    }

    /// Everything that is provided and served, and who needs whom; with the build times of what is
    /// built.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let config = self.container.config();
        let exposures = self.exposures.all();
        graph::graph(&config, &self.modules, &self.container, &exposures, &self.hooks)
    }

    /// Where each framework is bound, in load order.
    #[must_use]
    pub fn addresses(&self) -> Vec<BoundAddress> {
        let address = |app: &Arc<dyn Application>| BoundAddress {
            framework: app.core().title(),
            address: app.local_addr(),
            url: app.url(),
        };
        self.apps.iter().map(address).collect()
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.lifecycle.phase()
    }

    /// What took how long, from the begin of the start on; grows while the process stops.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        self.lifecycle.timeline()
    }

    /// What each framework is working on now, in load order.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveFramework> {
        self.lifecycle.active()
    }

    /// The life of this process, to be watched or stopped from elsewhere.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Asks for an ordered stop and returns at once; may be called any number of times.
    pub fn stop(&self, reason: impl Into<String>) {
        self.lifecycle.stop(reason);
    }

    /// Ends when the process has stopped.
    ///
    /// # Errors
    /// Returns everything that went wrong during the stop.
    pub async fn wait(&self) -> Result<()> {
        self.outcome.clone().await
    }
}

/// Waits until the stop is asked for, or a framework fails and so asks for it, and stops in order.
async fn serve_until_stopped(mut process: Process) -> Result<()> {
    let lifecycle = process.lifecycle.clone();
    tokio::select! {
        () = lifecycle.stop_requested() => {}
        error = process.failed() => {
            tracing::error!("stopping, since a part of the process has failed: {error:?}");
            lifecycle.fail(error);
        }
    }
    process.stop().await
}

impl Drop for RunningBootstrap {
    fn drop(&mut self) {
        self.lifecycle.stop("the handle was dropped");
    }
}
