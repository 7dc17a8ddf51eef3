//! How many connections there may be.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::warn;

use crate::{Limits, peer::Peer};

const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// Counts connections, all of them and those of each peer. Locked when one comes or goes.
#[derive(Debug)]
pub(crate) struct Admission {
    /// None where there is no limit.
    total: Option<Arc<Semaphore>>,
    /// 0: no limit.
    per_peer: usize,
    peers: Arc<Peers>,
}

#[derive(Debug, Default)]
struct Peers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: HashMap<IpAddr, usize>,
    warned: Option<Instant>,
}

/// A connection's place, kept as long as its socket is open, upgraded or not.
#[derive(Debug, Default)]
pub(crate) struct Place {
    _total: Option<OwnedSemaphorePermit>,
    /// Boxed, since few listeners have this limit.
    _peer: Option<Box<PeerPlace>>,
}

#[derive(Debug)]
struct PeerPlace {
    peers: Arc<Peers>,
    party: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let most = limits.connections.min(Semaphore::MAX_PERMITS);
        let total = (most > 0).then(|| Arc::new(Semaphore::new(most)));
        Self { total, per_peer: limits.connections_per_peer, peers: Arc::default() }
    }

    /// A place for a peer that is not exempt; none where it has enough of them.
    pub(crate) fn admit(&self, peer: Peer) -> Option<Place> {
        if self.per_peer == 0 {
            return Some(Place::default());
        }
        let Some(party) = peer.party() else { return Some(Place::default()) };
        let peer = self.peers.enter(party, self.per_peer)?;
        Some(Place { _total: None, _peer: Some(Box::new(peer)) })
    }

    /// Waits until there is room for one more.
    pub(crate) async fn room(&self, place: Place) -> Place {
        let Some(total) = &self.total else { return place };
        // It is never closed.
        let permit = Arc::clone(total).acquire_owned().await.ok();
        Place { _total: permit, ..place }
    }
}

impl Peers {
    fn enter(self: &Arc<Self>, party: IpAddr, most: usize) -> Option<PeerPlace> {
        let mut state = self.state();
        let count = state.counts.entry(party).or_default();
        if *count >= most {
            state.warn(party, most);
            return None;
        }
        *count += 1;
        Some(PeerPlace { peers: Arc::clone(self), party })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn warn(&mut self, peer: IpAddr, connections: usize) {
        if self.warned.is_some_and(|at| at.elapsed() < BETWEEN_WARNINGS) {
            return;
        }
        self.warned = Some(Instant::now());
        warn!(
            %peer, connections,
            "a peer has all the connections that it may have, further ones are closed at once; if \
             it is a proxy, name it in trusted_proxies, else see limits.connections_per_peer",
        );
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut state = self.peers.state();
        if let Some(count) = state.counts.get_mut(&self.party) {
            *count -= 1;
            if *count == 0 {
                state.counts.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_its_places_and_no_more_and_leaves_nothing_behind() {
        let limits = Limits { connections_per_peer: 2, ..Limits::default() };
        let admission = Admission::new(&limits);
        let peer = |text: &str| Peer::Tcp(text.parse().expect("an address"));
        let admit = |text: &str| admission.admit(peer(text));
        let places = [admit("192.0.2.1:1"), admit("192.0.2.1:2")];
        assert!(places.iter().all(Option::is_some));
        assert!(admit("192.0.2.1:3").is_none());
        assert!(admit("192.0.2.2:1").is_some() && admission.admit(Peer::Unix).is_some());
        drop(places);
        assert!(admit("192.0.2.1:3").is_some());
        assert!(admission.peers.state().counts.is_empty());
    }
}
