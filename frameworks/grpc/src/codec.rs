//! The codec of methods that operations answer.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// Protobuf by prost. The peer's messages are left as they came: they are read behind the guards.
pub(crate) struct RawMessages<Res> {
    /// Whether the peer may send more than one; tonic alone would ignore a second one.
    several: bool,
    of: PhantomData<fn() -> Res>,
}

impl<Res> RawMessages<Res> {
    pub(crate) fn new(several: bool) -> Self {
        Self { several, of: PhantomData }
    }
}

impl<Res: Message + 'static> Codec for RawMessages<Res> {
    type Encode = Res;
    type Decode = Bytes;
    type Encoder = ProstEncoder<Res>;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        RawDecoder { several: self.several, done: false }
    }
}

pub(crate) struct RawDecoder {
    several: bool,
    done: bool,
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        if std::mem::replace(&mut self.done, true) && !self.several {
            return Err(Status::unimplemented("the method takes one message, and several came"));
        }
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
