//! What belongs to one call, and its end.

use std::any::Any;

use super::Context;
use crate::container::{CallScope, CallValue, Caller, Key};

impl Caller for Context {
    fn scope(&self) -> &CallScope {
        self.call_scope()
    }

    fn own(&self, key: &Key) -> Option<CallValue> {
        (*key == Key::of::<Self>()).then(|| CallValue::new(self.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Ends the call's scope, also where the call is dropped before its end.
///
/// Values of a call may hold its context, which holds them: only the end of the scope parts them.
pub(super) struct EndOfCall<'a>(pub(super) &'a Context);

impl EndOfCall<'_> {
    /// Disposes of the call's values, the last first.
    pub(super) async fn reached(self) {
        let Self(context) = &self;
        let scope = context.scope();
        if scope.only_drops() {
            self.drop_values();
        } else {
            // Boxed, so that the calls that have no such values do not carry room for it.
            Box::pin(scope.close(&context.container)).await;
        }
    }

    fn drop_values(&self) {
        let Self(context) = self;
        if !context.scope().is_empty() {
            drop(context.scope().detach());
        }
    }
}

impl Drop for EndOfCall<'_> {
    fn drop(&mut self) {
        let Self(context) = self;
        if context.scope().is_empty() || context.scope().only_drops() {
            return self.drop_values();
        }
        let (rest, container) = (context.scope().detach(), context.container.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { rest.close(&container).await });
        }
    }
}
