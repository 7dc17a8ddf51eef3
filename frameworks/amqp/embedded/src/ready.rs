//! The messages of a queue that wait for a consumer.

use std::collections::BTreeMap;

use crate::message::{Entry, Message, Place};

/// Waiting messages in the order in which they are given out.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    entries: BTreeMap<Place, Entry>,
    bytes: usize,
    last: u64,
}

impl Ready {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bodies of all of them together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A place behind all others of the same rank.
    pub(crate) fn last_place(&mut self, rank: u8) -> Place {
        self.last += 1;
        Place { rank, number: self.last }
    }

    pub(crate) fn head(&self) -> Option<&Entry> {
        self.entries.first_key_value().map(|(_, entry)| entry)
    }

    pub(crate) fn put(&mut self, entry: Entry) {
        self.bytes += entry.message.body.len();
        self.entries.insert(entry.place, entry);
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let (_, entry) = self.entries.pop_first()?;
        self.bytes -= entry.message.body.len();
        Some(entry)
    }

    /// Drops all; says how many.
    pub(crate) fn clear(&mut self) -> usize {
        self.bytes = 0;
        std::mem::take(&mut self.entries).len()
    }

    /// Drops those that `keep` does not want.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Message) -> bool) {
        self.entries.retain(|_, entry| keep(&entry.message));
        self.bytes = self.entries.values().map(|entry| entry.message.body.len()).sum();
    }
}
