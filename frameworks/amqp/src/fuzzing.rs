//! What the fuzzer reaches (`fuzz/`): one function for each decoder of what others have written.
//! No part of the API.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use lapin::BasicProperties;

use crate::{
    CloudEvent, adapter::patience, cloud_events, delivery::Delivery, guard, headers, protobuf,
};

/// What lapin reads of what a broker sends, in pieces of this size.
#[must_use]
pub fn guarded(sent: &[u8], piece: usize) -> Vec<u8> {
    guard::passed_on(sent.chunks(piece.max(1)))
}

/// The tags and bodies of the messages on channel 1 that go past lapin, of what a broker sends in
/// pieces of this size.
#[must_use]
pub fn tapped(sent: &[u8], piece: usize) -> Vec<(u64, Bytes)> {
    guard::tapped(sent.chunks(piece.max(1)))
}

/// Reads a body as the event that it may be, or its headers; returns that, and its data.
#[must_use]
pub fn event(properties: &BasicProperties, body: &[u8]) -> Option<(CloudEvent, Bytes)> {
    let body = Bytes::copy_from_slice(body);
    let content_type = properties.content_type().as_ref().map(|name| name.as_str());
    let delivery =
        |properties| Delivery::new(Arc::from("q"), "im".into(), "key".into(), false, properties);
    let (delivery, data) = match cloud_events::open(content_type, &body) {
        Some((opened, data)) => (delivery(properties.clone()).opened_as(opened), data),
        None => (delivery(properties.clone()), body),
    };
    let _ = (cloud_events::type_of(&delivery), delivery.data_content_type());
    cloud_events::event_of(&delivery).ok().map(|event| (event, data))
}

/// Reads a body as a protobuf message; returns the text in it.
#[must_use]
pub fn text(properties: &BasicProperties, body: &[u8]) -> Option<String> {
    let content_type = properties.content_type().as_ref().map(|name| name.as_str());
    protobuf::read(content_type, Bytes::copy_from_slice(body)).ok()
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
