//! The load: one thread that costs little more than its system calls, so that servers are the
//! limit as long as they do more than it does.

mod fixed;
mod http2;
mod peer;
mod speaks;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll};
use polyport::{Error, Result};

use self::peer::Peer;
pub(crate) use self::{
    fixed::{Fixed, frame},
    http2::Http2,
    speaks::Speaks,
};

/// How long a server may keep all connections waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections to one server.
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    peers: Vec<Peer>,
    /// What is read into.
    bytes: Vec<u8>,
    /// Whose turn it is to call, where calls are due one by one.
    next: usize,
}

impl Load {
    /// Connects, and has each connection make a call, whose answer is looked at.
    pub(crate) fn connect(
        address: SocketAddr,
        connections: usize,
        speak: &dyn Fn() -> Box<dyn Speaks>,
    ) -> Result<Self> {
        let poll = Poll::new()?;
        let mut peers = Vec::with_capacity(connections);
        for index in 0..connections {
            peers.push(Peer::connect(address, speak(), poll.registry(), index)?);
        }
        let (events, bytes) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
        Ok(Self { poll, events, peers, bytes, next: 0 })
    }

    /// Keeps as many calls under way as the connections take, for that long; how many were
    /// answered.
    pub(crate) fn saturate(&mut self, time: Duration) -> Result<u64> {
        let end = Instant::now() + time;
        self.peers.iter_mut().try_for_each(Peer::fill)?;
        let mut answered = 0;
        while Instant::now() < end {
            answered += self.turn(
                PATIENCE,
                |peer, answered, _| {
                    if answered > 0 { peer.fill() } else { Ok(()) }
                },
            )?;
        }
        Ok(answered + self.finish()?)
    }

    /// Makes so many calls a second for that long, whatever becomes of those before, and tells the
    /// median of how long they took from when they were due.
    pub(crate) fn at_rate(&mut self, calls: u32, time: Duration) -> Result<Duration> {
        let (begun, every) = (Instant::now(), Duration::from_secs(1) / calls);
        let (mut took, mut due) = (Vec::new(), begun);
        while due < begun + time {
            // Nobody sleeps: to be woken takes longer than most answers.
            while Instant::now() < due || !self.peers[self.next].has_room() {
                self.turn(Duration::ZERO, |peer, answered, now| {
                    took.extend(peer.took(answered, now));
                    Ok(())
                })?;
            }
            self.peers[self.next].ask_at(due)?;
            self.next = (self.next + 1) % self.peers.len();
            due += every;
        }
        self.finish()?;
        took.sort_unstable();
        took.get(took.len() / 2).copied().ok_or_else(|| Error::other("no call was answered"))
    }

    /// Waits until all calls are answered.
    fn finish(&mut self) -> Result<u64> {
        let mut answered = 0;
        while self.peers.iter().any(Peer::is_waiting) {
            answered += self.turn(PATIENCE, |peer, answered, now| {
                peer.took(answered, now).for_each(drop);
                Ok(())
            })?;
        }
        Ok(answered)
    }

    /// Waits for answers, and hands those of each connection on; how many there were.
    fn turn(
        &mut self,
        wait: Duration,
        mut then: impl FnMut(&mut Peer, usize, Instant) -> Result<()>,
    ) -> Result<u64> {
        self.poll.poll(&mut self.events, Some(wait))?;
        if self.events.is_empty() && wait == PATIENCE {
            return Err(Error::other(format!("no answer came within {PATIENCE:?}")));
        }
        let (now, mut sum) = (Instant::now(), 0);
        for event in &self.events {
            let peer = &mut self.peers[event.token().0];
            let answered = peer.answers(&mut self.bytes)?;
            then(peer, answered, now)?;
            sum += answered as u64;
        }
        Ok(sum)
    }
}
