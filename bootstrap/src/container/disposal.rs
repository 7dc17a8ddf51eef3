//! How values are given back when the process stops.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::Instrument;

use super::{
    Container,
    construction::{Built, Running, running},
    order,
};
use crate::{Error, ErrorKind, panics, share::Share, witness};

impl Container {
    /// Disposes of every value that exists, so that nobody outlives what it uses, lazily or not;
    /// otherwise in reverse of the order in which they were built. They share `time`: one that fails,
    /// panics or hangs is in the returned errors and skips nobody. `begin` is told of each, and what
    /// it gives of its end. From now on nothing more is built. Once more does
    /// nothing.
    ///
    /// # Cancel safety
    /// What is being disposed of goes on; calling again continues with the rest.
    pub(crate) async fn dispose_in_view<E>(
        &self,
        time: Duration,
        begin: impl Fn(String) -> E,
    ) -> Vec<Error>
    where
        E: FnOnce(Result<(), Error>) -> Result<(), Error>,
    {
        let _one_at_a_time = self.inner().disposal.lock().await;
        self.inner().closed.store(true, Ordering::SeqCst);
        let mut share = Share::new(time, 2);
        let mut errors = self.finish_builds(share.next()).await;
        self.order_for_disposal();
        share.divide_among(self.count_disposals());
        while let Some(built) = self.take_last() {
            errors.extend(self.dispose(built, &mut share, &begin).await.err());
        }
        errors
    }

    /// As [`dispose_in_view`](Self::dispose_in_view), with nobody looking.
    #[cfg(test)]
    pub(crate) async fn dispose_all(&self, time: Duration) -> Vec<Error> {
        self.dispose_in_view(time, |_| std::convert::identity).await
    }

    fn count_disposals(&self) -> usize {
        let built = self.built();
        built.iter().filter(|built| self.table().slot(built.slot).dispose.is_some()).count()
    }

    fn order_for_disposal(&self) {
        let mut built = self.built();
        *built = order::for_disposal(self.table(), &built);
    }

    fn take_last(&self) -> Option<Built> {
        self.built().pop()
    }

    /// Waits for what is being built, and stops what takes too long.
    async fn finish_builds(&self, deadline: Duration) -> Vec<Error> {
        let slots = self.table().slots().enumerate();
        let builds = slots.filter_map(|(index, slot)| Some((index, running(slot).clone()?)));
        let builds: Vec<_> =
            builds.map(|(index, build)| self.finish_build(index, build, deadline)).collect();
        join_all(builds).await.into_iter().flatten().collect()
    }

    /// The failure of a build is its callers' affair; only that it was cut off is reported.
    async fn finish_build(
        &self,
        index: usize,
        build: Running,
        deadline: Duration,
    ) -> Option<Error> {
        if timeout(deadline, build.outcome).await.is_ok() {
            return None;
        }
        build.abort.abort();
        let slot = self.table().slot(index);
        Some(
            Error::deadline(format!(
                "it was still being built after {deadline:?}, and was cut off"
            ))
            .context(format!("{} (module {})", slot.key(), slot.module)),
        )
    }

    async fn dispose<E>(
        &self,
        built: Built,
        share: &mut Share,
        begin: &impl Fn(String) -> E,
    ) -> Result<(), Error>
    where
        E: FnOnce(Result<(), Error>) -> Result<(), Error>,
    {
        let slot = self.table().slot(built.slot);
        let Some(dispose) = slot.dispose.clone() else {
            return Ok(());
        };
        let container = self.clone();
        let work = async move {
            match container.table().slot(built.slot).value.get() {
                Some(value) => dispose(value.into()).await,
                None => Ok(()),
            }
        };
        let title = format!("disposing of {} (module {})", slot.key(), slot.module);
        let end = begin(title.clone());
        let disposed = end(within(share.next(), work).await);
        disposed.map_err(|error| error.or_kind(ErrorKind::Hook).context(title))
    }
}

/// Runs `work` in a task of its own, so that neither a panic nor a blocked thread takes the caller
/// along.
async fn within(
    deadline: Duration,
    work: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Result<(), Error> {
    let mut task = witness::spawn(work.in_current_span());
    match timeout(deadline, &mut task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(stopped)) => Err(match stopped.try_into_panic() {
            Ok(panic) => panics::error(&*panic),
            Err(_) => Error::other("it was stopped with the runtime"),
        }),
        Err(_) => {
            task.abort();
            Err(Error::deadline(format!("it took longer than {deadline:?}, and was cut off")))
        }
    }
}
