//! How connections end, and what cannot be sent over them.

use std::fmt;

use polyport_bootstrap::{
    Context, Fault,
    operation::{FromContext, InputSlot, NoPayload, OperationInfo},
};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use crate::{PROTOCOL, socket::missing};

/// The longest reason that fits into a close frame, in bytes (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

/// A close frame that may be sent.
pub(crate) fn close_frame(code: u16, reason: &str) -> CloseFrame {
    let code = CloseCode::from(code);
    let code = if code.is_allowed() { code } else { CloseCode::Normal };
    let end = reason.floor_char_boundary(LONGEST_REASON);
    CloseFrame { code, reason: reason[..end].into() }
}

/// How a connection ended: an argument of `on_disconnect` operations.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Fault;
/// use polyport_websocket::{Closed, Socket};
///
/// async fn gone(socket: Socket, closed: Closed) -> Result<(), Fault> {
///     if closed.is_lost() {
///         println!("{} is lost, it was in {:?}", socket.peer(), socket.rooms());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code of the close frame, of whoever sent the first; 1005 where it had none, 1006 where
    /// there was no frame (RFC 6455, section 7.1.5).
    pub code: u16,
    /// The text of that frame.
    pub reason: String,
}

impl Closed {
    /// Whether the connection broke without a close frame.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.code == u16::from(CloseCode::Abnormal)
    }

    pub(crate) fn lost() -> Self {
        Self { code: CloseCode::Abnormal.into(), reason: String::new() }
    }
}

impl From<Option<CloseFrame>> for Closed {
    fn from(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self { code: frame.code.into(), reason: frame.reason.to_string() },
            None => Self { code: CloseCode::Status.into(), reason: String::new() },
        }
    }
}

impl FromContext for Closed {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        context.extension::<Self>().cloned().ok_or_else(|| missing("Closed"))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Closed");
    }
}

/// Why something could not be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended or is being closed.
    Closed,
    /// The value cannot be written as JSON.
    NotJson(serde_json::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the WebSocket connection is closed"),
            Self::NotJson(error) => write!(f, "the value cannot be written as JSON: {error}"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::cancelled("SOCKET_CLOSED", error.to_string()),
            SendError::NotJson(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_sent_is_sent() {
        for (given, sent) in [(1000, 1000), (1013, 1013), (4999, 4999), (1005, 1000), (7, 1000)] {
            assert_eq!(u16::from(close_frame(given, "").code), sent);
        }
        let long = close_frame(1000, &"ä".repeat(100)).reason;
        assert_eq!(long.len(), 122);
    }
}
