//! The call that the running code belongs to, for code that has no argument of it.

use futures_util::FutureExt;

use super::{Call, Context, OperationInfo, Protocol, scope::EndOfCall};
use crate::container::Container;

tokio::task_local! {
    static CURRENT: Context;
}

/// The protocol of what is no call: [`Context::anonymous`].
const INTERNAL: Protocol = Protocol::new("internal");

impl Context {
    /// The call that the running code belongs to: within an operation, all that stands around it
    /// and the stream that it returns, and within a background task ([`Tasks`](crate::Tasks)) that task's own. None in a task
    /// that was spawned otherwise, unless it runs in [`within`](Self::within).
    ///
    /// It is meant for code that cannot be given the context, and costs some nanoseconds for each
    /// call, whether or not somebody asks.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::Context;
    ///
    /// fn request_id() -> Option<String> {
    ///     Context::current().map(|context| context.request_id.to_string())
    /// }
    /// assert_eq!(request_id(), None);
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// A context for what no caller has asked for: a task, a schedule. It has a request id of its
    /// own, no deadline and no input, and its protocol is `internal`.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Container, Context};
    ///
    /// async fn every_night(container: Container) {
    ///     let context = Context::anonymous("every_night", container);
    ///     context.run(async { assert!(Context::current().is_some()) }).await;
    /// }
    /// ```
    #[must_use]
    pub fn anonymous(name: impl Into<String>, container: Container) -> Self {
        let operation = OperationInfo::named(name.into()).into();
        Self::new(Call::new(INTERNAL, operation, container))
    }

    /// Whether no caller has asked for it.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.protocol == INTERNAL
    }

    /// Runs `future` with this as its [`current`](Self::current) call: for tasks that a call
    /// spawns and that are a part of it.
    pub fn within<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), future)
    }

    /// Runs `function` with this as its current call.
    pub(super) fn enter<T>(&self, function: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), function)
    }

    /// Runs `future` as all of this call: with it as its [`current`](Self::current) one, and at the
    /// end what was provided for the call is disposed of. It is what
    /// [`Endpoint::call`](super::Endpoint::call) does for operations, for contexts that are
    /// [`anonymous`](Self::anonymous).
    ///
    /// # Panics
    /// Where `future` does, when all is disposed of.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let end = EndOfCall(self);
        let outcome = std::panic::AssertUnwindSafe(self.within(future)).catch_unwind().await;
        end.reached().await;
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
