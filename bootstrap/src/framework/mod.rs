//! What a framework is: a description that is loaded, and the transport that is built from it when
//! the configuration is complete.

mod activity;
mod command;
mod context;
mod endpoint;
mod fan_out;
mod load;

use std::{fmt, net::SocketAddr, sync::Arc};

use async_trait::async_trait;

pub(crate) use self::context::Shared;
pub use self::{
    activity::{ActiveFramework, Activity},
    command::{ArgumentValue, CommandAnswer, CommandArgument, CommandCall},
    context::{FrameworkContext, NoSettings, SettingsSource},
    endpoint::Endpoint,
    fan_out::{FanOut, FanOutReceiver, FanOutSender, FanOuts},
    load::{AsItIs, FromConfig, IntoFramework},
};
pub use crate::application::{AppCore, AppHandle, Application, DEFAULT_NAME, FromApps, reachable};
pub use crate::witness::{Leftover, Mark, Recorded, RecordedKind, Witness, at_home};
use crate::{Error, Result, config::SettingsSection};

/// The description of a server for one protocol: what [`Bootstrap::load`](crate::Bootstrap::load)
/// takes.
///
/// It is built when the configuration is complete; several of one kind can coexist under
/// different names.
pub trait Framework: Send + 'static {
    /// The handle that application code injects.
    type App: AppHandle;

    /// What it is configured by: the type of its section of the configuration, which is `http`
    /// for the kind `http`, and `http_admin` for the framework of that kind named `admin`.
    /// [`NoSettings`] where there is nothing to say.
    type Settings: SettingsSection + Clone;

    /// What is to be left out of the log unless `log.level` says otherwise, as tracing's filters
    /// are written: libraries that log as errors what the framework deals with and reports itself.
    const LOG_DIRECTIVES: &'static str = "";

    /// What it adds to the command line of a program that loads it; its transport runs them
    /// ([`Transport::command`]).
    const COMMANDS: &'static [CommandArgument] = &[];

    /// The framework's name: [`DEFAULT_NAME`] unless given one.
    fn name(&self) -> &str;

    /// Where its settings come from, when not from its own section. Asked once.
    fn settings_source(&mut self) -> Option<SettingsSource<Self::Settings>> {
        None
    }

    /// Builds the transport from its settings, which are valid by their own rules; opens nothing.
    ///
    /// # Errors
    /// Returns every fault of what modules registered.
    fn build(
        self,
        settings: Self::Settings,
        context: FrameworkContext<'_>,
    ) -> Result<Built<Self::App>>;
}

/// A framework that is built and not yet bound.
pub struct Built<A> {
    /// The handle.
    pub app: A,
    /// The server.
    pub transport: Box<dyn Transport>,
}

impl<A: fmt::Debug> fmt::Debug for Built<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").field("app", &self.app).finish_non_exhaustive()
    }
}

/// The running half of a framework. Its methods are called in the order in which they stand here,
/// each at most once; after an error at any of them `close` is still called. From `link` on, each runs
/// in a task of its own: one that blocks its thread all the same is named at its deadline, and not
/// called again until it returns.
#[async_trait]
pub trait Transport: Send + 'static {
    /// The addresses that it will bind by itself: two frameworks on one are refused before anything
    /// starts. Port 0 is any free port.
    fn endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Whether it answers from when all frameworks are built until everything else is closed, and
    /// not only while the process serves, as an admin port does. It is then bound and served right
    /// after all are linked, and the last to be stopped.
    fn serves_throughout(&self) -> bool {
        false
    }

    /// Finds the peers that it shares something with; every framework is built by now.
    ///
    /// # Errors
    /// Returns an error where a peer that it needs is not loaded.
    fn link(&mut self) -> Result<()> {
        Ok(())
    }

    /// Binds or connects; no client is accepted and no message taken yet.
    ///
    /// # Errors
    /// Returns an error where the address cannot be bound or the peer not be reached.
    async fn bind(&mut self) -> Result<()>;

    /// Accepts clients and takes messages from now on.
    ///
    /// # Errors
    /// Returns an error where listening or consuming fails.
    async fn serve(&mut self) -> Result<()>;

    /// Ends when the framework has stopped serving without having been asked to, and says why; the
    /// process is then stopped in order. Waited for from `serve` to the begin of the stop, and then
    /// dropped.
    async fn failed(&mut self) -> Error {
        std::future::pending().await
    }

    /// Takes nothing new any more; what is in flight goes on.
    async fn stop_intake(&mut self);

    /// Ends when everything in flight is answered. May be dropped at its deadline.
    async fn drain(&mut self);

    /// Closes what is left, telling peers so, and ends every task. Never takes longer than a few
    /// seconds.
    ///
    /// # Errors
    /// Returns an error where something had to be cut.
    async fn close(&mut self) -> Result<()>;

    /// Runs a command of [`Framework::COMMANDS`] in place of serving: after `link`, and then `close`
    /// is called. Several frameworks that have the command are asked one after the other.
    ///
    /// # Errors
    /// Returns why it could not be done; by default, that there are no commands.
    async fn command(&mut self, call: &CommandCall) -> Result<CommandAnswer> {
        Err(Error::other(format!("{} is not known here", call.name)))
    }

    /// What can be asked at any time, from the build on, for the calls in flight.
    fn activity(&self) -> Option<Arc<dyn Activity>> {
        None
    }
}

/// The listening address of a framework, for reports.
#[derive(Debug, Clone)]
pub struct BoundAddress {
    /// The framework, as reports name it.
    pub framework: String,
    /// Where it is bound; `None` without a socket of its own.
    pub address: Option<SocketAddr>,
    /// Where peers on this machine reach it, or where it has connected to.
    pub url: Option<String>,
}
