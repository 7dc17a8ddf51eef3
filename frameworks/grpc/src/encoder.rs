//! The messages of a stream that an operation answers with, on their way to bytes.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, EncodeBuf, Encoder},
};

/// What most messages fit in, with their prefix; in bytes. tonic takes 8 KiB, which every stream
/// would keep as long as it is open.
const BUFFER: usize = 512;

/// A stream that has more messages ready sends those that have so many bytes together, as tonic's
/// streams do.
const TOGETHER: usize = 32 * 1024;

/// The buffer that a stream has in one direction.
pub(crate) fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, TOGETHER)
}

/// Writes messages as `tonic_prost::ProstEncoder` does, into buffers of their size.
pub(crate) struct MessageEncoder<T>(PhantomData<fn(T)>);

impl<T> MessageEncoder<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message> Encoder for MessageEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Grown once, and not by and by.
        buffer.reserve(message.encoded_len());
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use polyport_proto::helloworld::HelloRequest;
    use proptest::prelude::*;
    use tonic::codec::{EncodeBody, SingleMessageCompressionOverride};
    use tonic_prost::ProstEncoder;

    use super::*;

    /// What a server sends.
    async fn sent<E>(encoder: E, messages: &[HelloRequest]) -> Bytes
    where
        E: Encoder<Item = HelloRequest, Error = Status>,
    {
        let messages = tokio_stream::iter(messages.iter().cloned().map(Ok));
        let plain = SingleMessageCompressionOverride::default();
        let body = EncodeBody::new_server(encoder, messages, None, plain, None);
        body.collect().await.expect("is encoded").to_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn messages_of_every_size_are_written_as_tonic_writes_them(
            lengths in prop::collection::vec(
                prop_oneof![0_usize..40, 480_usize..560, 0_usize..100_000], 0..8)
        ) {
            let message = |length| HelloRequest { name: "x".repeat(length) };
            let messages: Vec<_> = lengths.into_iter().map(message).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(async {
                let ours = sent(MessageEncoder::new(), &messages).await;
                assert_eq!(ours, sent(ProstEncoder::default(), &messages).await);
            });
        }
    }
}
