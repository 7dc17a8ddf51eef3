//! The connections of a broker, and what they can be told from outside.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// What an open connection is told to do.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Close with 320 and this reason.
    Close(String),
    /// Close all channels with 406 and this reason.
    CloseChannels(String),
}

/// What reaches a connection from outside.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: u64,
    /// The heartbeat that the client is offered, in seconds.
    pub(crate) heartbeat: u16,
    /// The broker stops.
    pub(crate) stop: CancellationToken,
    /// The connection is to end without a word.
    pub(crate) cut: CancellationToken,
    pub(crate) orders: UnboundedReceiver<Order>,
}

#[derive(Debug)]
struct Known {
    /// What the client calls the connection, once it is open.
    name: Option<String>,
    cut: CancellationToken,
    orders: UnboundedSender<Order>,
}

/// The connections that are there, those in their handshake too.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    last: u64,
    known: HashMap<u64, Known>,
}

impl Connections {
    /// A new connection, which ends with `stop`, or without a word with `cut`.
    pub(crate) fn add(
        &self,
        heartbeat: u16,
        stop: CancellationToken,
        cut: &CancellationToken,
    ) -> Line {
        let (sender, orders) = unbounded_channel();
        let cut = cut.child_token();
        let mut all = self.all();
        all.last += 1;
        let id = all.last;
        all.known.insert(id, Known { name: None, cut: cut.clone(), orders: sender });
        Line { id, heartbeat, stop, cut, orders }
    }

    /// Says that a connection is open, under its client's name for it.
    pub(crate) fn open(&self, id: u64, name: String) {
        if let Some(known) = self.all().known.get_mut(&id) {
            known.name = Some(name);
        }
    }

    pub(crate) fn remove(&self, id: u64) {
        self.all().known.remove(&id);
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.all().known.values().filter(|known| known.name.is_some()).count()
    }

    /// Cuts all, or those whose name contains `part`; says how many.
    pub(crate) fn cut(&self, part: Option<&str>) -> usize {
        let all = self.all();
        let chosen = all.known.values().filter(|known| known.is_called(part));
        chosen.map(|known| known.cut.cancel()).count()
    }

    /// Gives an order to all, or to those whose name contains `part`; says how many.
    pub(crate) fn order(&self, part: Option<&str>, order: &Order) -> usize {
        let all = self.all();
        let chosen = all.known.values().filter(|known| known.is_called(part));
        chosen.filter(|known| known.orders.send(order.clone()).is_ok()).count()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_called(&self, part: Option<&str>) -> bool {
        let name = self.name.as_deref();
        part.is_none_or(|part| name.is_some_and(|name| name.contains(part)))
    }
}
