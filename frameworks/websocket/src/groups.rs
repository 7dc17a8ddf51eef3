//! Connections by a name that they share: a room, a user.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{payload::Payload, socket::Socket};

/// How many parts the groups are in, each with its own lock.
const SHARDS: usize = 16;

/// Connections by their number in this process.
pub(crate) type Members = HashMap<u64, Socket>;
type Shard = RwLock<HashMap<Arc<str>, Members>>;

/// Groups of connections. One exists as long as somebody is in it.
#[derive(Debug)]
pub(crate) struct Groups {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

impl Default for Groups {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), hasher: RandomState::new() }
    }
}

impl Groups {
    /// Puts a connection into a group, and gives the group's name as it is kept.
    pub(crate) fn enter(&self, group: &str, socket: &Socket) -> Arc<str> {
        let mut groups = write(self.shard(group));
        let name = match groups.get_key_value(group) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(group),
        };
        groups.entry(Arc::clone(&name)).or_default().insert(socket.number(), socket.clone());
        name
    }

    pub(crate) fn leave(&self, group: &str, number: u64) {
        let mut groups = write(self.shard(group));
        let Some(members) = groups.get_mut(group) else { return };
        members.remove(&number);
        if members.is_empty() {
            groups.remove(group);
        }
    }

    /// Queues a message for everybody in a group but `except`, and says for how many.
    pub(crate) fn push(&self, group: &str, payload: &Payload, except: &[u64]) -> usize {
        read(self.shard(group)).get(group).map_or(0, |members| push(members, payload, except))
    }

    /// The groups that somebody is in, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = |shard: &Shard| -> Vec<String> {
            read(shard).keys().map(|name| name.as_ref().to_owned()).collect()
        };
        let mut all: Vec<String> = self.shards.iter().flat_map(names).collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn members(&self, group: &str) -> Vec<Socket> {
        let groups = read(self.shard(group));
        groups.get(group).map(|members| members.values().cloned().collect()).unwrap_or_default()
    }

    fn shard(&self, group: &str) -> &Shard {
        &self.shards[(self.hasher.hash_one(group) % SHARDS as u64) as usize]
    }
}

/// Queues a message for all of `members` but `except`, and says for how many.
pub(crate) fn push(members: &Members, payload: &Payload, except: &[u64]) -> usize {
    let wanted = members.values().filter(|socket| !except.contains(&socket.number()));
    wanted.filter(|socket| socket.push(payload.clone())).count()
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
