//! Replies as JSON, in their envelope.

use polyport_wire::Envelope;

use super::{Raw, ReplyBody, items::guarded};
use crate::{
    Error,
    operation::{Context, Fault, endpoint::log},
};

impl ReplyBody {
    /// Appends what is one value to `out`, as JSON in `envelope`: bytes that are JSON as they are,
    /// text as a string, other bytes in base64. Bytes that come bit by bit have to be collected
    /// before ([`ByteStream::collect`](super::ByteStream::collect)), items are written one by one.
    ///
    /// # Errors
    /// Returns an internal fault where the value cannot be JSON; `out` then holds half of it.
    pub fn write_json(
        &self,
        envelope: &dyn Envelope,
        request_id: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let written = envelope.write_value(out, request_id, &mut |out| match self {
            Self::Value(value) => value.write_json(out),
            Self::Raw(raw) => raw.write_json(out),
            _ => serde_json::to_writer(out, &()),
        });
        written.map_err(|error| {
            tracing::error!(request_id, source = %error, "the answer cannot be written as JSON");
            Error::other("the answer cannot be written as JSON").caused_by(error).into()
        })
    }

    /// Collects what comes bit by bit, up to `limit` bytes, within the call's deadline: for protocols
    /// that send one message. A panic is a fault; every fault is logged.
    ///
    /// # Errors
    /// Returns the fault of the bytes, and an internal one where there are more.
    pub async fn collected(self, call: &Context, limit: usize) -> Result<Self, Fault> {
        let Self::Stream(bytes) = self else { return Ok(self) };
        let collected = guarded(call.deadline, bytes.collect(limit)).await.flatten();
        collected.map(Self::Raw).inspect_err(|fault| log(call, fault))
    }

    /// Whether there is something to send at all: an operation that returns `()` has no value.
    #[must_use]
    pub fn has_value(&self) -> bool {
        match self {
            Self::Empty | Self::Native => false,
            Self::Value(value) => !value.is_unit(),
            Self::Raw(_) | Self::Stream(_) | Self::Items(_) => true,
        }
    }
}

impl Raw {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let essence = self.content_type.as_bytes().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            serde_json::from_slice::<serde::de::IgnoredAny>(&self.bytes)?;
            out.extend_from_slice(&self.bytes);
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes) {
            Ok(text) if essence.len() > 5 && essence[..5].eq_ignore_ascii_case(b"text/") => {
                serde_json::to_writer(out, text)
            }
            _ => serde_json::to_writer(out, &data_encoding::BASE64.encode(&self.bytes)),
        }
    }
}
