//! The steps of a transport are taken, each in a task of its own: one that blocks its thread keeps
//! no deadline and no signal from being noticed.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Error, Result,
    framework::{CommandAnswer, CommandCall, Transport},
    hooks::joined,
    witness,
};

/// How long a step that was cut may take to end: it does so where it next waits.
const CUT: Duration = Duration::from_secs(1);

/// One of the methods of a transport, or several.
pub(super) type Step = for<'t> fn(&'t mut dyn Transport) -> BoxFuture<'t, Result<()>>;

/// A transport, and whoever takes a step of it.
pub(crate) struct Runner(Arc<Mutex<Box<dyn Transport>>>);

impl Runner {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self(Arc::new(Mutex::new(transport)))
    }

    /// What the transport says of itself between its steps; `None` during one.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&dyn Transport) -> T) -> Option<T> {
        self.0.try_lock().ok().map(|transport| question(&**transport))
    }

    /// Takes a step; a panic is an error like any other. Where this is dropped, the step is cut.
    pub(super) async fn take(&self, step: Step) -> Result<()> {
        self.take_after(CUT, step).await
    }

    /// The same, which is cut after `limit`; `None` then.
    pub(super) async fn take_within(&self, limit: Duration, step: Step) -> Option<Result<()>> {
        // Whoever cannot be called is to be told from whoever is late.
        timeout(limit, self.take_after(limit / 2, step)).await.ok()
    }

    /// Has the transport run a command that its framework has added to the command line.
    pub(super) async fn command(&self, call: CommandCall) -> Result<CommandAnswer> {
        let mut transport = Arc::clone(&self.0).lock_owned().await;
        joined(tokio::spawn(async move { transport.command(&call).await })).await
    }

    async fn take_after(&self, wait: Duration, step: Step) -> Result<()> {
        let free = timeout(wait, Arc::clone(&self.0).lock_owned()).await;
        let mut transport = free.map_err(|_| still_blocked())?;
        joined(witness::spawn(async move { step(&mut **transport).await })).await
    }
}

fn still_blocked() -> Error {
    Error::deadline(
        "cannot be called: an earlier step of it still blocks its thread, or the machine is too busy",
    )
    .advise("a Transport must not block; tokio::task::spawn_blocking is there for code that does")
}
