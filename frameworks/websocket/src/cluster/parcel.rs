//! What instances send each other: a line of JSON that says from whom and for whom, and behind it the
//! message as the clients get it.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{SocketId, hub::Target, id::Instance, payload::Payload};

/// Most heads fit without growing.
const USUAL_HEAD: usize = 128;

/// A message of another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) from: Instance,
    to: To,
    pub(crate) except: Vec<SocketId>,
    pub(crate) payload: Payload,
}

/// The line before the message.
#[derive(Debug, Serialize, Deserialize)]
struct Head<N> {
    from: String,
    to: To<N>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    except: Vec<SocketId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    binary: bool,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To<N = String> {
    All,
    Room(N),
    User(N),
    Socket(SocketId),
}

impl<'a> From<Target<'a>> for To<&'a str> {
    fn from(target: Target<'a>) -> Self {
        match target {
            Target::All => Self::All,
            Target::Room(room) => Self::Room(room),
            Target::User(user) => Self::User(user),
            Target::Socket(id) => Self::Socket(id),
        }
    }
}

/// Writes a message for the other instances.
pub(crate) fn write(
    from: Instance,
    target: Target<'_>,
    payload: &Payload,
    except: &[SocketId],
) -> Bytes {
    let head = Head {
        from: from.to_string(),
        to: To::from(target),
        except: except.to_vec(),
        binary: matches!(payload, Payload::Binary(_)),
    };
    let mut out = Vec::with_capacity(USUAL_HEAD + payload.len());
    let written = serde_json::to_writer(&mut out, &head);
    debug_assert!(written.is_ok(), "strings and numbers are always JSON");
    out.push(b'\n');
    out.extend_from_slice(payload.bytes());
    out.into()
}

/// Why bytes are no message of an instance.
#[derive(Debug)]
pub(crate) struct Unreadable(&'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Parcel {
    pub(crate) fn read(message: &Bytes) -> Result<Self, Unreadable> {
        let end = message.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or(Unreadable("it has no head"))?;
        let head: Head<String> = serde_json::from_slice(&message[..end])
            .map_err(|_| Unreadable("its head is malformed"))?;
        let from = head.from.parse().map_err(|_| Unreadable("its sender is malformed"))?;
        let rest = message.slice(end + 1..);
        let payload = if head.binary {
            Payload::Binary(rest)
        } else {
            let text = Utf8Bytes::try_from(rest);
            Payload::Text(text.map_err(|_| Unreadable("its text is not UTF-8"))?)
        };
        Ok(Self { from, to: head.to, except: head.except, payload })
    }

    pub(crate) fn target(&self) -> Target<'_> {
        match &self.to {
            To::All => Target::All,
            To::Room(room) => Target::Room(room),
            To::User(user) => Target::User(user),
            To::Socket(id) => Target::Socket(*id),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = SocketId> {
        (any::<u64>(), any::<u64>())
            .prop_map(|(instance, number)| SocketId { instance: Instance(instance), number })
    }

    fn to() -> impl Strategy<Value = To> {
        prop_oneof![
            Just(To::All),
            ".*".prop_map(To::Room),
            ".*".prop_map(To::User),
            id().prop_map(To::Socket),
        ]
    }

    fn payload() -> impl Strategy<Value = Payload> {
        prop_oneof![
            ".*".prop_map(|text| Payload::Text(text.into())),
            any::<Vec<u8>>().prop_map(|bytes| Payload::Binary(bytes.into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            from in any::<u64>(),
            to in to(),
            except in prop::collection::vec(id(), 0..3),
            payload in payload(),
        ) {
            let parcel = Parcel { from: Instance(from), to, except, payload };
            let written =
                write(parcel.from, parcel.target(), &parcel.payload, &parcel.except);
            prop_assert_eq!(Parcel::read(&written).ok(), Some(parcel));
        }

        #[test]
        fn no_bytes_do_harm(bytes in any::<Vec<u8>>(), head in ".{0,60}") {
            let _ = Parcel::read(&bytes.clone().into());
            let mut message = head.into_bytes();
            message.push(b'\n');
            message.extend(bytes);
            let _ = Parcel::read(&message.into());
        }
    }
}
