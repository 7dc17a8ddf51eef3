//! Who is connected, who is in which room, and who is which user.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    SocketId, WebSocketSettings,
    cluster::Cluster,
    groups::{Groups, Members, push, read, write},
    id::Instance,
    outbox::{Ending, Outbox},
    payload::Payload,
    settings::SlowConsumer,
    socket::Socket,
    unread::Newcomers,
};

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    All,
    Room(&'a str),
    User(&'a str),
    Socket(SocketId),
}

/// The connections of one WebSocket framework. No lock is held while anybody waits: a push only
/// puts a message into a queue.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) instance: Instance,
    pub(crate) rooms: Groups,
    pub(crate) users: Groups,
    /// How many requests may wait for the ack of one client.
    pub(crate) max_requests: usize,
    pub(crate) newcomers: Newcomers,
    subprotocols: Box<[Box<str>]>,
    capacity: usize,
    slow_consumer: SlowConsumer,
    sockets: RwLock<Members>,
    /// The other instances, where there are any.
    cluster: OnceLock<Cluster>,
    last: AtomicU64,
    dropped: AtomicU64,
    closing: AtomicBool,
}

impl Hub {
    pub(crate) fn new(settings: &WebSocketSettings) -> Self {
        Self {
            instance: Instance::new(),
            rooms: Groups::default(),
            users: Groups::default(),
            max_requests: settings.max_requests,
            newcomers: Newcomers::default(),
            subprotocols: settings.subprotocols.iter().map(|name| name.as_str().into()).collect(),
            capacity: settings.send_queue,
            slow_consumer: settings.slow_consumer,
            sockets: RwLock::default(),
            cluster: OnceLock::new(),
            last: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }
    }

    /// Takes in a connection.
    pub(crate) fn connect(
        self: &Arc<Self>,
        peer: SocketAddr,
        subprotocol: Option<Subprotocol>,
    ) -> Socket {
        let number = self.last.fetch_add(1, Relaxed) + 1;
        let outbox = Outbox::new(self.capacity, self.slow_consumer);
        let socket = Socket::new(number, peer, subprotocol, outbox, Arc::clone(self));
        let mut sockets = write(&self.sockets);
        sockets.insert(number, socket.clone());
        if self.closing.load(Relaxed) {
            socket.outbox().end(Ending::GoingAway);
        }
        socket
    }

    pub(crate) fn disconnect(&self, number: u64) {
        write(&self.sockets).remove(&number);
    }

    /// Tells every client that the process stops, those to come too.
    pub(crate) fn go_away(&self) {
        self.closing.store(true, Relaxed);
        read(&self.sockets).values().for_each(|socket| socket.outbox().end(Ending::GoingAway));
    }

    /// Lets the other instances have what is emitted from now on.
    pub(crate) fn join(&self, cluster: Cluster) {
        let _ = self.cluster.set(cluster);
    }

    /// Queues a message for whoever it is for, here and in the other instances, and says for how
    /// many here.
    pub(crate) fn emit(&self, target: Target<'_>, payload: Payload, except: &[SocketId]) -> usize {
        if let Some(cluster) = self.cluster.get()
            && self.concerns_others(target)
        {
            cluster.publish(self.instance, target, &payload, except);
        }
        self.deliver(target, &payload, except)
    }

    fn concerns_others(&self, target: Target<'_>) -> bool {
        !matches!(target, Target::Socket(id) if id.instance == self.instance)
    }

    /// Queues a message for whoever of this instance it is for, and says for how many.
    pub(crate) fn deliver(
        &self,
        target: Target<'_>,
        payload: &Payload,
        except: &[SocketId],
    ) -> usize {
        let own = except.iter().filter(|id| id.instance == self.instance);
        // Allocates only where somebody is left out.
        let except: Vec<u64> = own.map(|id| id.number).collect();
        match target {
            Target::All => push(&read(&self.sockets), payload, &except),
            Target::Room(room) => self.rooms.push(room, payload, &except),
            Target::User(user) => self.users.push(user, payload, &except),
            Target::Socket(id) if except.contains(&id.number) => 0,
            Target::Socket(id) => {
                self.socket(id).map_or(0, |socket| usize::from(socket.push(payload.clone())))
            }
        }
    }

    /// Counts a message that a client was too slow for.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        read(&self.sockets).len()
    }

    pub(crate) fn sockets(&self) -> Vec<Socket> {
        read(&self.sockets).values().cloned().collect()
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<Socket> {
        let here = id.instance == self.instance;
        here.then(|| read(&self.sockets).get(&id.number).cloned()).flatten()
    }

    /// The name of a subprotocol.
    pub(crate) fn subprotocol(&self, Subprotocol(position): Subprotocol) -> Option<&str> {
        self.subprotocols.get(usize::from(position)).map(|name| &**name)
    }
}

/// A subprotocol, by its position among those in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subprotocol(pub(crate) u16);

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(&WebSocketSettings { send_queue: 4, ..WebSocketSettings::default() }))
    }

    fn connect(hub: &Arc<Hub>) -> Socket {
        hub.connect(([127, 0, 0, 1], 1).into(), None)
    }

    fn text() -> Payload {
        Payload::Text("x".into())
    }

    #[test]
    fn whoever_disconnects_leaves_all_rooms_and_enters_none_any_more() {
        let hub = hub();
        let (tom, ann) = (connect(&hub), connect(&hub));
        for room in ["a", "b"] {
            tom.join(room);
            tom.join(room);
        }
        ann.join("b");
        assert_eq!(hub.rooms.names(), ["a", "b"]);
        assert_eq!(hub.rooms.members("b").len(), 2);

        tom.disconnect();
        tom.join("c");
        assert_eq!(hub.rooms.names(), ["b"]);
        assert_eq!(hub.connections(), 1);
        assert_eq!(tom.rooms(), ["a", "b"]);
        assert!(hub.socket(tom.id()).is_none());

        ann.leave("b");
        assert!(hub.rooms.names().is_empty() && ann.rooms().is_empty());
    }

    #[test]
    fn a_room_gets_what_is_emitted_but_for_the_exceptions() {
        let hub = hub();
        let sockets = [connect(&hub), connect(&hub), connect(&hub)];
        sockets[..2].iter().for_each(|socket| socket.join("a"));
        let room = Target::Room("a");
        assert_eq!(hub.emit(room, text(), &[]), 2);
        assert_eq!(hub.emit(room, text(), &[sockets[0].id()]), 1);
        let elsewhere = SocketId { instance: Instance(0), ..sockets[0].id() };
        assert_eq!(hub.emit(room, text(), &[elsewhere]), 2, "of another instance");
        assert_eq!(hub.emit(Target::Room("b"), text(), &[]), 0);
        assert_eq!(hub.emit(Target::All, text(), &[sockets[2].id()]), 2);
        assert_eq!(sockets[0].outbox().shut().len(), 3);
    }

    #[test]
    fn a_user_has_many_connections_and_a_connection_one_user() {
        let hub = hub();
        let sockets = [connect(&hub), connect(&hub), connect(&hub)];
        sockets[..2].iter().for_each(|socket| socket.identify("tom"));
        let tom = Target::User("tom");
        assert_eq!(hub.emit(tom, text(), &[]), 2);
        sockets[1].identify("ann");
        assert_eq!(sockets[1].user().as_deref(), Some("ann"));
        assert_eq!(hub.users.names(), ["ann", "tom"]);
        assert_eq!(hub.emit(tom, text(), &[]), 1);
        sockets[1].forget_user();
        sockets[0].disconnect();
        sockets[0].identify("late");
        assert!(hub.users.names().is_empty());
        assert_eq!(sockets[0].user().as_deref(), Some("tom"), "for who is called at the end");
    }

    #[test]
    fn one_connection_is_reached_by_its_id() {
        let hub = hub();
        let socket = connect(&hub);
        assert_eq!(hub.emit(Target::Socket(socket.id()), text(), &[]), 1);
        assert_eq!(hub.emit(Target::Socket(socket.id()), text(), &[socket.id()]), 0);
        let elsewhere = SocketId { instance: Instance(0), ..socket.id() };
        assert_eq!(hub.emit(Target::Socket(elsewhere), text(), &[]), 0);
    }

    #[test]
    fn no_cycle_keeps_the_hub_alive() {
        let hub = hub();
        let socket = connect(&hub);
        socket.join("a");
        socket.identify("tom");
        socket.disconnect();
        drop(socket);
        assert_eq!(Arc::strong_count(&hub), 1);
    }
}
