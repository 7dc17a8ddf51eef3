use serde::Serialize;

use super::{Answer, ByteStream, File, Items, NoContent, Raw, Reply, ReplyBody, Value};
use crate::{
    Error,
    operation::{Context, Fault, OperationInfo},
};

/// What an operation can return to a protocol that speaks JSON: whatever is `Serialize`, which
/// stands in the protocol's envelope, or one of [`Answer`], [`Raw`], [`ByteStream`], [`File`],
/// [`Items`], [`NoContent`] and [`Reply`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an operation here",
    note = "derive `serde::Serialize` for it, or return `Answer`, `Raw`, `ByteStream`, `Items` or `NoContent`"
)]
pub trait IntoReply: Sized + Send + 'static {
    /// Makes the reply.
    ///
    /// # Errors
    /// Returns a fault where it does not fit the call.
    fn into_reply(self, context: &Context) -> Result<Reply, Fault>;

    /// Says what this type needs: a protocol that it exists on, say.
    fn describe(info: &mut OperationInfo) {
        let _ = info;
    }
}

impl<T: Serialize + Send + 'static> IntoReply for T {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(Reply::json(self))
    }
}

impl IntoReply for Reply {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(self)
    }
}

impl<T: Serialize + Send + 'static> IntoReply for Answer<T> {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Reply::answering(self, Value::json)
    }
}

impl IntoReply for NoContent {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(Reply::new(ReplyBody::Empty))
    }
}

impl IntoReply for Raw {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(Reply::new(ReplyBody::Raw(self)))
    }
}

impl IntoReply for ByteStream {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(Reply::new(ReplyBody::Stream(self)))
    }
}

impl IntoReply for File {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(self.into())
    }
}

impl<T: Serialize + Send + 'static> IntoReply for Items<T> {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        Ok(Reply::new(ReplyBody::Items(self.map_items(Value::json))))
    }
}

impl Reply {
    /// The reply that an answer is, its value made by `value`.
    ///
    /// # Errors
    /// Returns an internal fault where the answer's status is none of success.
    pub fn answering<T>(answer: Answer<T>, value: fn(T) -> Value) -> Result<Self, Fault> {
        let (inner, status, headers) = answer.into_parts();
        if let Some(status) = status.filter(|status| !(200..400).contains(&status.as_u16())) {
            let error = Error::other(format!("the operation answered with the status {status}"))
                .advise("return a Fault where the call fails");
            return Err(Fault::internal(error));
        }
        let mut reply = Self::new(ReplyBody::Value(value(inner)));
        reply.status = status;
        reply.headers = (!headers.is_empty()).then(|| Box::new(headers));
        Ok(reply)
    }
}
