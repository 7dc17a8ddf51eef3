//! What polyport's servers and clients say to each other: the kinds of fault and what each is
//! called on every protocol, the envelopes around answers, and the WebSocket frames.
//!
//! It has no server dependency, so that clients can share it: they read an answer back with
//! [`EnvelopeStyle::read`].

mod envelope;
mod frame;
mod kind;
mod read;
mod received;

pub use envelope::{CodeMessageData, Envelope, EnvelopeStyle, FaultView, Plain, ReturnCode};
pub use frame::{
    ACK_EVENT, EXCEPTION_EVENT, Frame, FrameError, Metadata, begin_frame, begin_frame_with,
    done_frame, end_frame,
};
pub use kind::{FaultKind, QueueDecision};
pub use received::ReceivedFault;
