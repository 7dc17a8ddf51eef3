//! What a connection is known by.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    num::ParseIntError,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What a connection is known by, in all instances of the application: never given to another one.
/// As text (`9c3e5b2a41d07f16-7`) it can be stored and handed on.
///
/// # Examples
/// ```
/// use polyport_websocket::SocketId;
///
/// let id: SocketId = "9c3e5b2a41d07f16-7".parse()?;
/// assert_eq!(id.to_string(), "9c3e5b2a41d07f16-7");
/// assert!("7".parse::<SocketId>().is_err());
/// # Ok::<(), polyport_websocket::UnknownSocketId>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId {
    pub(crate) instance: Instance,
    pub(crate) number: u64,
}

/// One gateway of one process among all that share a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Instance(pub(crate) u64);

impl Instance {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Instance {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.instance, self.number)
    }
}

/// Why a text is no [`SocketId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSocketId;

impl fmt::Display for UnknownSocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the id of a connection, such as \"9c3e5b2a41d07f16-7\"")
    }
}

impl std::error::Error for UnknownSocketId {}

impl FromStr for SocketId {
    type Err = UnknownSocketId;

    fn from_str(text: &str) -> Result<Self, UnknownSocketId> {
        let (instance, number) = text.split_once('-').ok_or(UnknownSocketId)?;
        let instance = instance.parse().map_err(|_| UnknownSocketId)?;
        Ok(Self { instance, number: number.parse().map_err(|_| UnknownSocketId)? })
    }
}

impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SocketId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
