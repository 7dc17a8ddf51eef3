//! The codec of methods that take one message.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// Protobuf by prost, for methods whose peer sends exactly one message; tonic alone would ignore
/// a second one. The message is left as it came: it is read behind the guards.
pub(crate) struct OneMessage<Res>(PhantomData<fn() -> Res>);

impl<Res> OneMessage<Res> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<Res: Message + 'static> Codec for OneMessage<Res> {
    type Encode = Res;
    type Decode = Bytes;
    type Encoder = ProstEncoder<Res>;
    type Decoder = OneMessageDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        OneMessageDecoder { done: false }
    }
}

pub(crate) struct OneMessageDecoder {
    done: bool,
}

impl Decoder for OneMessageDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        if std::mem::replace(&mut self.done, true) {
            return Err(Status::unimplemented("the method takes one message, and several came"));
        }
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
