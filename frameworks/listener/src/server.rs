//! A listener that serves, and how it stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{task::AbortHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    ListenerSettings, Listening, accept::accept_until, call::Dispatch, connection::Connections,
    load::Load, tasks::Tasks,
};

/// How long aborted tasks may take to notice; only one that blocks its thread takes longer.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// A listener that serves. Stopped in order by [`stop_intake`](Self::stop_intake),
/// [`drain`](Self::drain) and [`close`](Self::close); dropped, it cuts everything off.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    tasks: Arc<Tasks>,
    accepting: AbortHandle,
    stop: CancellationToken,
    closing: CancellationToken,
    flush_grace: Duration,
}

impl Server {
    pub(crate) fn start(
        listening: Listening,
        dispatch: Dispatch,
        tasks: Arc<Tasks>,
        closing: CancellationToken,
        settings: ListenerSettings,
    ) -> Self {
        let local_addr = listening.local_addr;
        let connections = Arc::new(Connections::new(Arc::clone(&tasks), dispatch, &settings));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let intake = Intake(Arc::clone(&tasks));
        let accepting = tokio::spawn(async move {
            let _intake = intake;
            accept_until(stopped, listening, |stream, peer| connections.accept(stream, peer)).await;
        });
        let accepting = accepting.abort_handle();
        let flush_grace = settings.flush_grace;
        Self { local_addr, tasks, accepting, stop, closing, flush_grace }
    }

    /// The address that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The calls in flight: from the moment their head was read until their answer is written, or
    /// until its head where the answer is [`LongLived`](crate::LongLived).
    #[must_use]
    pub fn active(&self) -> usize {
        self.tasks.active()
    }

    /// The open connections, upgraded ones not counted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.tasks.connections()
    }

    /// The upgraded sockets, see [`SharedListener::spawn`](crate::SharedListener::spawn).
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.tasks.sockets()
    }

    /// Resolves if no client is accepted any more although nobody asked for that, and says so.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn failed(&self) -> String {
        self.tasks.until(Tasks::is_intake_closed).await;
        if self.stop.is_cancelled() {
            return std::future::pending().await;
        }
        format!("no client is accepted at {} any more: its task has ended", self.local_addr)
    }

    /// Takes no further client and tells those who are there: HTTP/1 answers carry
    /// `Connection: close` and idle connections end (after
    /// [`idle_linger`](ListenerSettings::idle_linger)), HTTP/2 clients get GOAWAY. Clients that the
    /// system had connected already are still served. When it resolves the listening socket is
    /// closed. May be called again.
    ///
    /// # Cancel safety
    /// The intake stops even if this is not awaited to its end, once it has been polled.
    pub async fn stop_intake(&self) {
        self.begin_stop();
        self.tasks.until(Tasks::is_intake_closed).await;
    }

    /// Resolves when no call is active, every answer is written, and the connections have ended
    /// that can end by themselves. Those that have nothing to do and do not end (half a head, a
    /// peer that does not answer) are waited for until `flush_grace` after the last call, then
    /// ended: nobody calls after the drain. What is [`LongLived`](crate::LongLived) or upgraded
    /// goes on.
    ///
    /// Stops the intake if that has not been done. It waits for a call, and for a client that
    /// reads its answer slowly, as long as that takes: put a deadline around it.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn drain(&self) {
        self.stop_intake().await;
        loop {
            self.tasks.until(|tasks| tasks.all(Load::is_drained)).await;
            let ended = self.tasks.until(|tasks| tasks.all(Load::is_long_lived));
            let _ = timeout(self.flush_grace, ended).await;
            // An HTTP/2 client may have called before it read of the stop.
            if self.tasks.all(Load::is_drained) {
                return self.tasks.abort_idle();
            }
        }
    }

    /// Ends what remains: calls, streams and upgraded sockets see
    /// [`closing`](crate::SharedListener::closing) and have `grace` to end; then they are cut.
    /// Says how many connections and upgraded sockets were cut. Peers that have no call and do not
    /// answer are given no more than `flush_grace`, and are not counted.
    ///
    /// # Cancel safety
    /// May be dropped and called again; dropping the server cuts what is left.
    pub async fn close(&self, grace: Duration) -> usize {
        self.begin_stop();
        self.closing.cancel();
        let ended = async {
            let _ = timeout(self.flush_grace, self.tasks.until(Tasks::is_finished)).await;
            self.tasks.abort_idle();
            self.tasks.until(Tasks::is_finished).await;
        };
        let _ = timeout(grace, ended).await;
        let cut = self.cut();
        let _ = timeout(ABORT_GRACE, self.tasks.gone()).await;
        cut
    }

    fn begin_stop(&self) {
        self.stop.cancel();
        self.tasks.stop();
    }

    fn cut(&self) -> usize {
        self.accepting.abort();
        self.tasks.abort_all()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.cancel();
        self.cut();
    }
}

/// Says that there will be no further client, in whatever way the accept loop ends.
struct Intake(Arc<Tasks>);

impl Drop for Intake {
    fn drop(&mut self) {
        self.0.close_intake();
    }
}
