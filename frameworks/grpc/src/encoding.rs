//! How the messages of a call are compressed (gRPC's "Compression").

use std::io::{self, Read};

use bytes::Bytes;
use flate2::{
    Compression,
    read::{GzDecoder, GzEncoder},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_bootstrap::Fault;
use tonic::codec::CompressionEncoding;

use crate::{GrpcEncoding, adapter, shared::Shared};

pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What both sides of a call have agreed upon: none is as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encodings {
    /// Of the peer's messages that say to be compressed.
    pub(crate) received: Option<GrpcEncoding>,
    /// Of the answer's.
    pub(crate) sent: Option<GrpcEncoding>,
}

impl Encodings {
    /// What a request says, and what it may be answered with.
    ///
    /// # Errors
    /// Returns a fault where its messages are in an encoding that is not taken.
    pub(crate) fn agreed(headers: &HeaderMap, shared: &Shared) -> Result<Self, Fault> {
        let received = match headers.get(ENCODING) {
            None => None,
            Some(name) if name == "identity" => None,
            Some(name) => Some(named(name.as_bytes(), &shared.receives).ok_or_else(|| {
                let text = format!("the server takes no messages in the encoding {name:?}");
                Fault::unimplemented("UNKNOWN_ENCODING", text)
            })?),
        };
        Ok(Self { received, sent: preferred(headers, &shared.sends) })
    }
}

/// The first of the encodings that the peer takes which answers may have.
fn preferred(headers: &HeaderMap, sends: &[GrpcEncoding]) -> Option<GrpcEncoding> {
    if sends.is_empty() {
        return None;
    }
    let accepted = headers.get(ACCEPTED)?.as_bytes().split(|byte| *byte == b',');
    accepted.into_iter().find_map(|name| named(name.trim_ascii(), sends))
}

fn named(name: &[u8], among: &[GrpcEncoding]) -> Option<GrpcEncoding> {
    among.iter().copied().find(|encoding| encoding.name().as_bytes() == name)
}

/// What peers are told that they may send.
pub(crate) fn accepted(receives: &[GrpcEncoding]) -> HeaderValue {
    let names: Vec<_> = receives.iter().map(|encoding| encoding.name()).collect();
    let names = [names.as_slice(), &["identity"]].concat().join(",");
    HeaderValue::try_from(names).unwrap_or_else(|_| HeaderValue::from_static("identity"))
}

impl GrpcEncoding {
    /// As headers have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
        }
    }

    /// Appends `message` to `out`, compressed.
    pub(crate) fn compress(self, message: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip => GzEncoder::new(message, Compression::default()).read_to_end(out)?,
        };
        Ok(())
    }

    /// Decompresses a message, and no more than `limit` bytes of it.
    ///
    /// # Errors
    /// Returns a fault where it is larger, or not compressed as it says.
    pub(crate) fn decompress(self, message: &[u8], limit: usize) -> Result<Bytes, Fault> {
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut out = Vec::new();
        let read = match self {
            Self::Gzip => GzDecoder::new(message).take(most).read_to_end(&mut out),
        };
        match read {
            Ok(length) if length > limit => Err(adapter::too_long(limit)),
            Ok(_) => Ok(out.into()),
            Err(error) => {
                Err(adapter::broken(format!("the message cannot be decompressed: {error}")))
            }
        }
    }
}

impl From<GrpcEncoding> for CompressionEncoding {
    fn from(encoding: GrpcEncoding) -> Self {
        match encoding {
            GrpcEncoding::Gzip => Self::Gzip,
        }
    }
}
