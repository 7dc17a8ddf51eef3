//! The codec of methods that take one message.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Protobuf by prost, for methods whose peer sends exactly one message; tonic alone would ignore
/// a second one.
pub(crate) struct OneMessage<Res, Req>(PhantomData<fn(Req) -> Res>);

impl<Res, Req> OneMessage<Res, Req> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<Res, Req> Codec for OneMessage<Res, Req>
where
    Res: Message + 'static,
    Req: Message + Default + 'static,
{
    type Encode = Res;
    type Decode = Req;
    type Encoder = ProstEncoder<Res>;
    type Decoder = OneMessageDecoder<Req>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        OneMessageDecoder { decoder: ProstDecoder::default(), done: false }
    }
}

pub(crate) struct OneMessageDecoder<Req> {
    decoder: ProstDecoder<Req>,
    done: bool,
}

impl<Req: Message + Default> Decoder for OneMessageDecoder<Req> {
    type Item = Req;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Req>, Status> {
        if std::mem::replace(&mut self.done, true) {
            return Err(Status::unimplemented("the method takes one message, and several came"));
        }
        self.decoder.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.decoder.buffer_settings()
    }
}
