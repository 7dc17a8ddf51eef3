//! The accept loop. It outlives everything that `accept(2)` can answer.

use std::{io, time::Duration};

use polyport_bootstrap::framework::{Leftover, Witness};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Listening, admission::Place, bind::Stream, connections::Connections, peer::Peer};

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);
/// How many clients may have been waiting in the system's queue when the intake stops.
const MOST_WAITING: usize = 1024;

/// Serves every client until `stop` is cancelled; then those who wait already, and the socket is
/// closed. On a socket that outlives this process they wait for the next one.
pub(crate) async fn accept_until(
    stop: CancellationToken,
    listening: Listening,
    connections: &std::sync::Arc<Connections>,
) {
    let Listening { mut acceptor, has_successor, address } = listening;
    let _open = Witness::here().mark(Leftover::Listener, || address.to_string());
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = acceptor.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                trouble.over();
                let Some(place) = connections.admit(peer) else { continue };
                // Where there is no room, this client waits, and all others in the system's queue.
                let room = stop.run_until_cancelled(connections.admission.room(place)).await;
                connections.accept(stream, peer, room.unwrap_or_default());
            }
            Err(error) => {
                let pause = tokio::time::sleep(trouble.pause_after(&error));
                let _ = stop.run_until_cancelled(pause).await;
            }
        }
    }
    if has_successor {
        return;
    }
    let serve = |stream: Stream, peer: Peer| connections.accept(stream, peer, Place::default());
    if let Err(error) = acceptor.accept_waiting(MOST_WAITING, serve) {
        debug!(%error, "no further client was waiting");
    }
}

/// How long to wait after an error, and when to say so.
#[derive(Debug, Default)]
struct Trouble {
    pause: Duration,
    warned: Option<Instant>,
    unsaid: u64,
}

impl Trouble {
    fn over(&mut self) {
        self.pause = Duration::ZERO;
    }

    fn pause_after(&mut self, error: &io::Error) -> Duration {
        if is_of_one_client(error) {
            return Duration::ZERO;
        }
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.warn(error);
        self.pause
    }

    fn warn(&mut self, error: &io::Error) {
        if self.warned.is_some_and(|at| at.elapsed() < BETWEEN_WARNINGS) {
            self.unsaid += 1;
            return;
        }
        self.warned = Some(Instant::now());
        let unsaid = std::mem::take(&mut self.unsaid);
        warn!(
            %error, unsaid, retry_in = ?self.pause,
            "cannot accept clients; if descriptors ran out, raise the limit (ulimit -n)",
        );
    }
}

/// Whether the client went away before it was accepted: the next one is not concerned.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EMFILE: too many open files.
    fn exhausted() -> io::Error {
        io::Error::from_raw_os_error(24)
    }

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_a_success() {
        let mut trouble = Trouble::default();
        let pauses: Vec<_> = (0..12).map(|_| trouble.pause_after(&exhausted())).collect();
        assert_eq!(pauses[0], SHORTEST_PAUSE);
        assert!(pauses.is_sorted());
        assert_eq!(pauses[11], LONGEST_PAUSE);

        trouble.over();
        assert_eq!(trouble.pause_after(&exhausted()), SHORTEST_PAUSE);
    }

    #[test]
    fn one_warning_stands_for_many_errors() {
        let mut trouble = Trouble::default();
        for _ in 0..5 {
            trouble.pause_after(&exhausted());
        }
        assert_eq!(trouble.unsaid, 4);
    }

    #[test]
    fn a_client_that_left_does_not_stop_the_next() {
        let mut trouble = Trouble::default();
        let error = io::Error::from(io::ErrorKind::ConnectionAborted);
        assert_eq!(trouble.pause_after(&error), Duration::ZERO);
        assert!(trouble.warned.is_none());
    }
}
