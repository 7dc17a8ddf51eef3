//! What the fuzzer reaches (`fuzz/`): one function for each decoder of what others have written.
//! No part of the API.

use std::sync::Arc;

use http::HeaderMap;
use lapin::BasicProperties;

use crate::{adapter::patience, delivery::Delivery, guard, headers};

/// What lapin reads of what a broker sends, in pieces of this size.
#[must_use]
pub fn guarded(sent: &[u8], piece: usize) -> Vec<u8> {
    guard::passed_on(sent.chunks(piece.max(1)))
}

/// Reads everything that a delivery with these properties says; returns the call's metadata.
///
/// # Panics
/// It does harm.
#[must_use]
pub fn metadata(exchange: &str, properties: &BasicProperties) -> HeaderMap {
    let (queue, exchange) = (Arc::from("q"), exchange.into());
    let delivery = Delivery::new(queue, exchange, "key".into(), true, properties.clone());
    let table = properties.headers().as_ref();
    let metadata = headers::metadata(table);
    assert!(metadata.len() <= table.map_or(0, |table| table.inner().len()));
    assert!(delivery.attempt() >= 1);
    assert!(delivery.reply_to().is_none_or(|queue| !queue.is_empty()));
    let _ = (delivery.exchange(), delivery.routing_key(), format!("{delivery:?}"));
    let _ = (delivery.message_id(), delivery.correlation_id(), delivery.content_type());
    let _ = patience(std::time::Duration::ZERO, &delivery, &metadata);
    let _ = table.map(headers::size);
    metadata
}
