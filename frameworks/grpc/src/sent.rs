//! What the peers of a method send.

use bytes::Bytes;
use polyport_bootstrap::{
    Fault,
    operation::{Call, RawInput},
};
use tonic::Streaming;

use crate::message::MessageSource;

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
}

/// What a peer has sent, on its way into the call.
pub(crate) trait Sent: Send + Sized {
    /// Reads it, where that is needed.
    fn read(self, sends: Sends) -> Result<Self, Fault> {
        let _ = sends;
        Ok(self)
    }

    /// Puts it where the operation's extractors look for it.
    fn enter(self, call: &mut Call);
}

impl Sent for Bytes {
    fn read(self, sends: Sends) -> Result<Self, Fault> {
        match sends {
            Sends::Read(read) => read(self),
            Sends::One | Sends::Many => Ok(self),
        }
    }

    fn enter(self, call: &mut Call) {
        call.input = RawInput { body: self, ..RawInput::default() };
    }
}

impl Sent for Streaming<Bytes> {
    fn enter(self, call: &mut Call) {
        call.extensions.insert(MessageSource::new(self));
    }
}
