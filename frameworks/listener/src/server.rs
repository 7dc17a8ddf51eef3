//! A listener that serves, and how it stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use polyport_bootstrap::{SocketAddress, framework::at_home};
use tokio::{task::AbortHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{Listening, accept::accept_until, connections::Connections, load::Load, tasks::Tasks};

/// How long aborted tasks may take to notice; only one that blocks its thread takes longer.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// A listener that serves. Stopped in order by [`stop_intake`](Self::stop_intake),
/// [`drain`](Self::drain) and [`close`](Self::close); dropped, it cuts everything off.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddress>,
    tasks: Arc<Tasks>,
    accepting: AbortHandle,
    stop: CancellationToken,
    closing: CancellationToken,
    flush_grace: Duration,
}

impl Server {
    pub(crate) fn start(
        listening: Vec<Listening>,
        connections: Connections,
        closing: CancellationToken,
        flush_grace: Duration,
    ) -> Self {
        let addresses = listening.iter().map(|listening| listening.address.clone()).collect();
        let tasks = Arc::clone(&connections.tasks);
        let (connections, stop) = (Arc::new(connections), CancellationToken::new());
        let (stopped, intake) = (stop.clone(), Intake(Arc::clone(&tasks)));
        let accepting = tokio::spawn(at_home(async move {
            let _intake = intake;
            let accept = |listening| accept_until(stopped.clone(), listening, &connections);
            let accepting = join_all(listening.into_iter().map(accept));
            tokio::select! {
                _ = accepting => {}
                () = connections.tend() => {}
            }
        }));
        let accepting = accepting.abort_handle();
        Self { addresses, tasks, accepting, stop, closing, flush_grace }
    }

    /// The address that clients connect to, the first of several; none where it has Unix sockets
    /// only.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(|address| match address {
            SocketAddress::Tcp(address) => Some(*address),
            _ => None,
        })
    }

    /// All the addresses that clients connect to.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddress] {
        &self.addresses
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
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(" and ");
        format!("no client is accepted at {addresses} any more: its task has ended")
    }

    /// Takes no further client and tells those who are there: HTTP/1 answers carry
    /// `Connection: close` and idle connections end (after
    /// [`idle_linger`](crate::ListenerSettings::idle_linger)), HTTP/2 clients get GOAWAY. Clients that the
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
