//! One message on the wire, behind its prefix: the "Length-Prefixed-Message" of gRPC's
//! "PROTOCOL-HTTP2".

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use polyport_bootstrap::{Error, Fault};
use prost::Message;
use tonic::Status;

use crate::{GrpcEncoding, adapter, method::RequestBody};

/// Whether the message is compressed, and its length.
const PREFIX: usize = 5;

/// Reads a body that is to hold one message, and the metadata behind it.
///
/// # Errors
/// Returns a fault where it holds none, several or half of one, one that is larger than `limit`,
/// compressed or not, or where the peer has left.
pub(crate) async fn read(
    body: &mut impl RequestBody,
    encoding: Option<GrpcEncoding>,
    limit: usize,
) -> Result<(Bytes, Option<HeaderMap>), Fault> {
    let (mut pieces, mut trailers) = (Pieces::default(), None);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| adapter::unreadable(&Status::from_error(error.into())))?;
        match frame.into_data() {
            Ok(piece) => pieces.add(piece, limit)?,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        // Most bodies end with their first piece, and to ask once more costs more than to look.
        if body.is_end_stream() {
            break;
        }
    }
    Ok((pieces.into_message(encoding, limit)?, trailers))
}

/// What has come of a body.
#[derive(Default)]
struct Pieces {
    /// Whatever came first, as long as it is all.
    first: Bytes,
    joined: BytesMut,
}

impl Pieces {
    /// Refuses what is wrong as soon as it can be known, so that nobody fills the memory.
    fn add(&mut self, piece: Bytes, limit: usize) -> Result<(), Fault> {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = piece;
        } else {
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
            self.joined.extend_from_slice(&piece);
        }
        let so_far = if self.joined.is_empty() { &self.first[..] } else { &self.joined[..] };
        match Prefix::of(so_far)? {
            Some(prefix) if prefix.length > limit => Err(adapter::too_long(limit)),
            Some(prefix) if so_far.len() - PREFIX > prefix.length => Err(Fault::unimplemented(
                "UNIMPLEMENTED",
                "the method takes one message, and several came",
            )),
            _ => Ok(()),
        }
    }

    fn into_message(self, encoding: Option<GrpcEncoding>, limit: usize) -> Result<Bytes, Fault> {
        let mut whole = if self.joined.is_empty() { self.first } else { self.joined.freeze() };
        if whole.is_empty() {
            return Err(adapter::no_message());
        }
        let prefix = Prefix::of(&whole)?;
        let complete = prefix.filter(|prefix| whole.len() - PREFIX == prefix.length);
        let prefix = complete.ok_or_else(|| adapter::broken("the message is not whole"))?;
        let message = whole.split_off(PREFIX);
        match (prefix.is_compressed, encoding) {
            (false, _) => Ok(message),
            (true, Some(encoding)) => encoding.decompress(&message, limit),
            (true, None) => Err(adapter::broken(
                "the message is compressed, and grpc-encoding does not say how",
            )),
        }
    }
}

struct Prefix {
    is_compressed: bool,
    length: usize,
}

impl Prefix {
    /// None as long as it is not whole.
    fn of(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let Some([flag, length @ ..]) = bytes.first_chunk::<PREFIX>() else { return Ok(None) };
        let is_compressed = match flag {
            0 => false,
            1 => true,
            flag => {
                return Err(adapter::broken(format!(
                    "a message cannot begin with the flag {flag}"
                )));
            }
        };
        Ok(Some(Self { is_compressed, length: u32::from_be_bytes(*length) as usize }))
    }
}

/// A message as it is sent.
///
/// # Errors
/// Returns a fault where it has 4 GiB or more.
pub(crate) fn written(
    message: &impl Message,
    encoding: Option<GrpcEncoding>,
) -> Result<Bytes, Fault> {
    let unwritable = |error: &dyn std::error::Error| {
        Fault::internal(Error::other(format!("the message cannot be written: {error}")))
    };
    let mut frame = Vec::with_capacity(PREFIX + message.encoded_len());
    frame.resize(PREFIX, 0);
    message.encode(&mut frame).map_err(|error| unwritable(&error))?;
    if let Some(encoding) = encoding {
        let message = frame.split_off(PREFIX);
        encoding.compress(&message, &mut frame).map_err(|error| unwritable(&error))?;
    }
    let length = u32::try_from(frame.len() - PREFIX).map_err(|error| unwritable(&error))?;
    frame[0] = u8::from(encoding.is_some());
    frame[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    Ok(frame.into())
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    /// Reads a body that comes in these pieces.
    fn read_of(pieces: &[&[u8]]) -> Result<Bytes, Fault> {
        let frames = pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
        let frames: Vec<_> =
            frames.map(|piece| Ok::<_, Status>(http_body::Frame::data(piece))).collect();
        let mut body = StreamBody::new(futures_util::stream::iter(frames));
        let read =
            futures_util::FutureExt::now_or_never(read(&mut body, Some(GrpcEncoding::Gzip), 64));
        read.expect("everything is there").map(|(message, _)| message)
    }

    #[test]
    fn a_message_survives_the_way_there_and_back_compressed_or_not() {
        for encoding in [None, Some(GrpcEncoding::Gzip)] {
            let frame = written(&"Tom".repeat(20), encoding).expect("is written");
            let message = read_of(&[&frame]).expect("is read");
            assert_eq!(String::decode(message).expect("a message"), "Tom".repeat(20));
        }
    }

    #[test]
    fn what_is_larger_than_the_limit_is_refused_by_its_prefix() {
        let fault = read_of(&[&[0, 0, 0, 0, 65]]).expect_err("too large");
        assert_eq!(fault.reason(), "MESSAGE_TOO_LARGE");
        let bomb = written(&"x".repeat(100), Some(GrpcEncoding::Gzip)).expect("is written");
        assert!(bomb.len() < 64);
        assert_eq!(read_of(&[&bomb]).expect_err("too large").reason(), "MESSAGE_TOO_LARGE");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(cuts in prop::collection::vec(0..80_usize, 0..6)) {
            let frame = written(&"x".repeat(60), None).expect("is written");
            let (mut rest, mut pieces) = (&frame[..], Vec::new());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert_eq!(&read_of(&pieces).expect("is read")[..], &frame[PREFIX..]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_of(&[&bytes]);
        }
    }
}
