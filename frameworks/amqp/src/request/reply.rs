use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use polyport_bootstrap::{Error, Fault, FaultKind, wire::EnvelopeStyle};
use serde::de::DeserializeOwned;

use crate::headers;

/// The reply to a request.
#[derive(Debug, Clone)]
pub struct Reply {
    properties: BasicProperties,
    body: Bytes,
}

impl Reply {
    pub(crate) fn new(properties: BasicProperties, body: Bytes) -> Self {
        Self { properties, body }
    }

    /// The body as it came, in its envelope.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The value in the body, which is JSON, in whichever of the envelopes
    /// ([`EnvelopeStyle`]) or in none.
    ///
    /// # Errors
    /// Returns the fault that the envelope tells of, or an internal one where the body is no such
    /// value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let style = EnvelopeStyle::of_answer(&self.body);
        let value = style.read(&self.body, None).map_err(|fault| Fault::from_received(*fault))?;
        serde_json::from_str(value.get()).map_err(|error| {
            let report = Error::other("the reply to a request is not what is expected");
            Fault::internal(report.caused_by(error))
        })
    }

    /// What the body is said to be.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.properties.content_type().as_ref().map(ShortString::as_str)
    }

    /// A header by its exact name, if it is a string.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_value(name).and_then(headers::text)
    }

    pub(super) fn properties(&self) -> &BasicProperties {
        &self.properties
    }

    /// Whether no further reply follows.
    pub(super) fn is_last(&self) -> bool {
        self.header_value(headers::ITEM).is_none() || self.header_value(headers::LAST).is_some()
    }

    /// Whether it only says that there were no more items.
    pub(super) fn is_end(&self) -> bool {
        let last = self.header_value(headers::LAST);
        matches!(last, Some(AMQPValue::Boolean(true))) && self.fault().is_none()
    }

    /// The fault that it is, if it is one.
    pub(super) fn into_result(self) -> Result<Self, Fault> {
        self.fault().map_or(Ok(self), Err)
    }

    fn fault(&self) -> Option<Fault> {
        fault_of(&self.properties, &self.body)
    }

    fn header_value(&self, name: &str) -> Option<&AMQPValue> {
        headers::get(self.properties.headers().as_ref(), name)
    }
}

/// The fault that a reply is, in whichever envelope; none where its headers name no kind of fault.
pub(crate) fn fault_of(properties: &BasicProperties, body: &[u8]) -> Option<Fault> {
    let table = properties.headers().as_ref();
    let text = |name| headers::get(table, name).and_then(headers::text);
    let kind = FaultKind::from_name(text(headers::FAULT_KIND)?)?;
    let style = EnvelopeStyle::of_fault(body);
    let mut received = style.read_fault(body, Some(kind.http_status()));
    received.kind = kind;
    if let Some(reason) = text(headers::FAULT_REASON) {
        reason.clone_into(&mut received.reason);
    }
    Some(Fault::from_received(received))
}
