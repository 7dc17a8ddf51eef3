//! The content of a publish while its frames come in.

use amq_protocol::{
    frame::AMQPContentHeader,
    protocol::{BasicProperties, basic::Publish},
};
use bytes::{Bytes, BytesMut};

use crate::{
    codec::BASIC_CLASS,
    exception::{Exception, ReplyCode},
};

/// The largest body, as in RabbitMQ 3.
const BODY_MAX: u64 = 128 * 1024 * 1024;

/// A publish and as much of its content as has come.
#[derive(Debug)]
pub(crate) struct Content {
    publish: Publish,
    header: Option<(BasicProperties, usize)>,
    body: BytesMut,
    whole: Option<Bytes>,
}

impl Content {
    pub(crate) fn new(publish: Publish) -> Self {
        Self { publish, header: None, body: BytesMut::new(), whole: None }
    }

    /// Takes the header; says whether the content is complete with it.
    ///
    /// # Errors
    /// 505 for a second header or one of another class, 406 for a body that is too large.
    pub(crate) fn begin(&mut self, header: AMQPContentHeader) -> Result<bool, Exception> {
        if self.header.is_some() || header.class_id != BASIC_CLASS {
            return Err(ReplyCode::UnexpectedFrame.because("this content header is not expected"));
        }
        let too_large = || {
            let size = header.body_size;
            let text = format!("message size {size} is larger than max size {BODY_MAX}");
            ReplyCode::PreconditionFailed.because(text)
        };
        let size = Some(header.body_size).filter(|size| *size <= BODY_MAX);
        let size = size.and_then(|size| usize::try_from(size).ok()).ok_or_else(too_large)?;
        self.header = Some((header.properties, size));
        Ok(size == 0)
    }

    /// Takes a piece of the body; says whether the content is complete with it.
    ///
    /// # Errors
    /// 505 before the header, 501 for more than the header has announced.
    pub(crate) fn extend(&mut self, piece: &Bytes) -> Result<bool, Exception> {
        let Some((_, size)) = self.header else {
            return Err(ReplyCode::UnexpectedFrame.because("a body before its content header"));
        };
        let length = self.body.len() + piece.len();
        if length > size {
            return Err(ReplyCode::FrameError.because("a body is longer than its header says"));
        }
        if piece.len() == size {
            self.whole = Some(piece.clone());
        } else {
            self.body.extend_from_slice(piece);
        }
        Ok(length == size)
    }

    pub(crate) fn finish(self) -> (Publish, BasicProperties, Bytes) {
        let properties = self.header.map(|(properties, _)| properties).unwrap_or_default();
        (self.publish, properties, self.whole.unwrap_or_else(|| self.body.freeze()))
    }
}
