//! Which messages are handled one after the other.

use std::hash::{BuildHasher, RandomState};

use crate::{delivery::Delivery, headers};

/// What messages have in common that are handled in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderKey {
    /// The routing key by which they came first.
    RoutingKey,
    /// The value of this header, a string or an integer; a message without it waits for none.
    Header(String),
}

impl OrderKey {
    /// The value of a header, by its exact name.
    pub fn header(name: impl Into<String>) -> Self {
        Self::Header(name.into())
    }
}

/// Makes numbers of keys. Where two keys share a number, their messages wait for each other, and
/// nothing else is wrong.
#[derive(Debug)]
pub(super) struct Keys {
    by: OrderKey,
    hasher: RandomState,
}

impl Keys {
    pub(super) fn by(key: OrderKey) -> Self {
        Self { by: key, hasher: RandomState::new() }
    }

    /// The number of the key of a message, if it has one.
    pub(super) fn of(&self, delivery: &Delivery) -> Option<u64> {
        match &self.by {
            OrderKey::RoutingKey => Some(self.hasher.hash_one(delivery.routing_key())),
            OrderKey::Header(name) => {
                let value = delivery.header_value(name)?;
                match headers::text(value) {
                    Some(text) => Some(self.hasher.hash_one(text)),
                    None => headers::integer(value).map(|number| self.hasher.hash_one(number)),
                }
            }
        }
    }
}
