//! Who consumes from a queue, and whose turn it is.

use std::collections::VecDeque;

use amq_protocol::types::FieldTable;

use crate::{arguments::integer, channel::ChannelKey};

/// A consumer as its queue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerKey {
    pub(crate) channel: ChannelKey,
    pub(crate) id: u64,
}

/// The priority that a consumer asks for by `x-priority`; 0 unless it does.
pub(crate) fn priority(arguments: &FieldTable) -> i64 {
    arguments.inner().get("x-priority").and_then(integer).unwrap_or_default()
}

/// The consumers of a queue in line.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    /// The next to be served is in front, or the one that alone is served.
    line: VecDeque<(ConsumerKey, i64)>,
    /// Whether only the first is served, until it leaves.
    single_active: bool,
}

impl Receivers {
    pub(crate) fn new(single_active: bool) -> Self {
        Self { line: VecDeque::new(), single_active }
    }

    pub(crate) fn len(&self) -> usize {
        self.line.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(crate) fn join(&mut self, consumer: ConsumerKey, priority: i64) {
        self.line.push_back((consumer, priority));
    }

    pub(crate) fn leave(&mut self, consumer: ConsumerKey) {
        self.line.retain(|(other, _)| *other != consumer);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ConsumerKey> {
        self.line.iter().map(|(consumer, _)| *consumer)
    }

    /// Whose turn it is: of those with room for a delivery the first among those of the highest
    /// priority. It goes to the end of the line.
    pub(crate) fn next(&mut self, has_room: impl Fn(ConsumerKey) -> bool) -> Option<ConsumerKey> {
        if self.single_active {
            return self.iter().next().filter(|active| has_room(*active));
        }
        let mut turn: Option<(usize, i64)> = None;
        for (place, (consumer, priority)) in self.line.iter().enumerate() {
            if turn.is_none_or(|(_, highest)| *priority > highest) && has_room(*consumer) {
                turn = Some((place, *priority));
            }
        }
        let (consumer, priority) = self.line.remove(turn?.0)?;
        self.line.push_back((consumer, priority));
        Some(consumer)
    }
}
