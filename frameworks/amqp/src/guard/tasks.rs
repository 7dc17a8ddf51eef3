//! lapin's own tasks.

use std::future::Future;

use async_rs::{Tokio, traits::Executor, util::Task};

use crate::pace::Pace;

/// Runs them on tokio, in pace.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    pub(super) tokio: Tokio,
    pub(super) pace: Pace,
}

impl Executor for Tasks {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, f: F) -> T {
        self.tokio.block_on(f)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        f: F,
    ) -> Task<Self::Task<T>> {
        match self.pace.is_kept() {
            true => self.tokio.spawn(self.pace.around(f)),
            false => self.tokio.spawn(f),
        }
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        f: F,
    ) -> Task<Self::Task<T>> {
        self.tokio.spawn_blocking(f)
    }
}
