//! What the peers of a method send.

use bytes::{Buf, Bytes};
use polyport_bootstrap::Fault;
use tonic::{
    Status, Streaming,
    codec::{BufferSettings, DecodeBuf, Decoder},
};

use crate::{
    GrpcEncoding,
    encoder::buffers,
    message::{MessageSource, watched},
    method::RequestBody,
};

/// Makes the body of a call of its message.
type ReadMessage = fn(Bytes) -> Result<Bytes, Fault>;

/// What the peer of a method sends.
#[derive(Clone, Copy)]
pub(crate) enum Sends {
    /// One message, which is the body of the call as it is.
    One,
    /// One message, of which the body of the call is made.
    Read(ReadMessage),
    /// A stream of messages.
    Many,
}

impl Sends {
    pub(crate) fn some(many: bool) -> Self {
        if many { Self::Many } else { Self::One }
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Many)
    }

    /// The body of the call whose one message this is.
    pub(crate) fn read(self, message: Bytes) -> Result<Bytes, Fault> {
        match self {
            Self::Read(read) => read(message),
            Self::One | Self::Many => Ok(message),
        }
    }
}

/// The messages in a body, for the operation to read.
pub(crate) fn messages(
    body: impl RequestBody,
    encoding: Option<GrpcEncoding>,
    limit: usize,
) -> MessageSource {
    let encoding = encoding.map(Into::into);
    MessageSource::new(Streaming::new_request(Untouched, watched(body), encoding, Some(limit)))
}

/// Leaves messages as they came: they are read behind the guards.
struct Untouched;

impl Decoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
