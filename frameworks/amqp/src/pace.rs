//! Keeps a paused clock (`tokio::time::pause`) from running ahead of lapin.
//!
//! Such a clock jumps to the next timer as soon as the runtime has nothing to do. lapin works on a
//! thread of its own, of which the runtime knows nothing: deadlines would pass while a message is
//! with that thread. So after everything that may have given it something to do, the runtime is
//! kept busy until all such threads have come round with nothing left.
//!
//! Only in memory: of a broker behind a socket nobody knows what it still works on.

#[cfg(feature = "embedded")]
mod keeper;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
};

/// Whom to tell that lapin may have been given something to do. A cheap handle; the default is for
/// connections that nobody keeps pace with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    #[cfg(feature = "embedded")]
    kept: Option<std::sync::Arc<keeper::Kept>>,
}

impl Pace {
    /// Whether somebody keeps pace.
    pub(crate) fn is_kept(&self) -> bool {
        #[cfg(feature = "embedded")]
        return self.kept.is_some();
        #[cfg(not(feature = "embedded"))]
        false
    }

    /// Lapin may have been given something to do.
    pub(crate) fn stir(&self) {
        #[cfg(feature = "embedded")]
        if let Some(kept) = &self.kept {
            kept.stir();
        }
    }

    /// Runs what calls lapin, by steps after each of which that is told.
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let (pace, mut future) = (self.clone(), Box::pin(future));
        poll_fn(move |cx| {
            let polled = Pin::as_mut(&mut future).poll(cx);
            pace.stir();
            polled
        })
    }
}
