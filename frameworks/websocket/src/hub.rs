//! Who is connected, and who is in which room.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    SocketId,
    outbox::{Ending, Outbox},
    socket::Socket,
};

/// How many parts the rooms are in, each with its own lock.
const SHARDS: usize = 16;

type Members = HashMap<SocketId, Socket>;
type Rooms = HashMap<Arc<str>, Members>;

/// The connections of one WebSocket framework and their rooms. No lock is held while anybody
/// waits: a push only puts a message into a queue.
#[derive(Debug)]
pub(crate) struct Hub {
    sockets: RwLock<Members>,
    shards: [RwLock<Rooms>; SHARDS],
    hasher: RandomState,
    last: AtomicU64,
    closing: AtomicBool,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            sockets: RwLock::default(),
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            last: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }
    }

    /// Takes in a connection that may have `capacity` messages waiting.
    pub(crate) fn connect(self: &Arc<Self>, peer: SocketAddr, capacity: usize) -> Socket {
        let id = SocketId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let socket = Socket::new(id, peer, Outbox::new(capacity), Arc::clone(self));
        let mut sockets = write(&self.sockets);
        sockets.insert(id, socket.clone());
        if self.closing.load(Ordering::Relaxed) {
            socket.outbox().end(Ending::GoingAway);
        }
        socket
    }

    pub(crate) fn disconnect(&self, id: SocketId) {
        write(&self.sockets).remove(&id);
    }

    /// Tells every client that the process stops, those to come too.
    pub(crate) fn go_away(&self) {
        self.closing.store(true, Ordering::Relaxed);
        read(&self.sockets).values().for_each(|socket| socket.outbox().end(Ending::GoingAway));
    }

    /// Puts a connection into a room, and gives the room's name as it is kept.
    pub(crate) fn enter(&self, room: &str, socket: &Socket) -> Arc<str> {
        let mut rooms = write(self.shard(room));
        let name = match rooms.get_key_value(room) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(room),
        };
        rooms.entry(Arc::clone(&name)).or_default().insert(socket.id(), socket.clone());
        name
    }

    pub(crate) fn leave(&self, room: &str, id: SocketId) {
        let mut rooms = write(self.shard(room));
        let Some(members) = rooms.get_mut(room) else { return };
        members.remove(&id);
        if members.is_empty() {
            rooms.remove(room);
        }
    }

    /// Queues a message for everybody in a room but `except`, and says for how many.
    pub(crate) fn push_to_room(&self, room: &str, text: &Utf8Bytes, except: &[SocketId]) -> usize {
        read(self.shard(room)).get(room).map_or(0, |members| push(members, text, except))
    }

    /// Queues a message for everybody, and says for how many.
    pub(crate) fn push_to_all(&self, text: &Utf8Bytes) -> usize {
        push(&read(&self.sockets), text, &[])
    }

    pub(crate) fn connections(&self) -> usize {
        read(&self.sockets).len()
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<Socket> {
        read(&self.sockets).get(&id).cloned()
    }

    pub(crate) fn rooms(&self) -> Vec<String> {
        let names = |shard: &RwLock<Rooms>| -> Vec<String> {
            read(shard).keys().map(|name| name.as_ref().to_owned()).collect()
        };
        let mut rooms: Vec<String> = self.shards.iter().flat_map(names).collect();
        rooms.sort_unstable();
        rooms
    }

    pub(crate) fn members(&self, room: &str) -> Vec<Socket> {
        let rooms = read(self.shard(room));
        rooms.get(room).map(|members| members.values().cloned().collect()).unwrap_or_default()
    }

    fn shard(&self, room: &str) -> &RwLock<Rooms> {
        &self.shards[(self.hasher.hash_one(room) % SHARDS as u64) as usize]
    }
}

fn push(members: &Members, text: &Utf8Bytes, except: &[SocketId]) -> usize {
    let wanted = members.values().filter(|socket| !except.contains(&socket.id()));
    wanted.filter(|socket| socket.push(text.clone())).count()
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(hub: &Arc<Hub>) -> Socket {
        hub.connect(([127, 0, 0, 1], 1).into(), 4)
    }

    #[test]
    fn whoever_disconnects_leaves_all_rooms_and_enters_none_any_more() {
        let hub = Arc::new(Hub::new());
        let (tom, ann) = (connect(&hub), connect(&hub));
        for room in ["a", "b"] {
            tom.join(room);
            tom.join(room);
        }
        ann.join("b");
        assert_eq!(hub.rooms(), ["a", "b"]);
        assert_eq!(hub.members("b").len(), 2);

        tom.disconnect();
        tom.join("c");
        assert_eq!(hub.rooms(), ["b"]);
        assert_eq!(hub.connections(), 1);
        assert_eq!(tom.rooms(), ["a", "b"]);
        assert!(hub.socket(tom.id()).is_none());

        ann.leave("b");
        assert!(hub.rooms().is_empty() && ann.rooms().is_empty());
    }

    #[test]
    fn a_room_gets_what_is_pushed_but_for_the_exceptions() {
        let hub = Arc::new(Hub::new());
        let sockets = [connect(&hub), connect(&hub), connect(&hub)];
        sockets[..2].iter().for_each(|socket| socket.join("a"));
        let text = Utf8Bytes::from_static("x");
        assert_eq!(hub.push_to_room("a", &text, &[]), 2);
        assert_eq!(hub.push_to_room("a", &text, &[sockets[0].id()]), 1);
        assert_eq!(hub.push_to_room("b", &text, &[]), 0);
        assert_eq!(hub.push_to_all(&text), 3);
        assert_eq!(sockets[0].outbox().shut().len(), 2);
    }

    #[test]
    fn no_cycle_keeps_the_hub_alive() {
        let hub = Arc::new(Hub::new());
        let socket = connect(&hub);
        socket.join("a");
        socket.disconnect();
        drop(socket);
        assert_eq!(Arc::strong_count(&hub), 1);
    }
}
