//! From an operation's value to a message.

use std::any::Any;

use futures_util::{Stream, StreamExt};
use polyport_bootstrap::{
    Error, Fault,
    operation::{Answer, ByteStream, Items, NoContent, Raw, Reply, ReplyBody, Value},
};

/// The value of an operation of which the gRPC message `Res` can be made. `How` tells the ways
/// apart and is always inferred.
///
/// | the operation returns | the message needs |
/// |---|---|
/// | `T`, [`Raw`] among them | `From<T>` |
/// | [`Answer<T>`](Answer), whose headers become metadata and whose status is not sent | `From<T>` |
/// | [`NoContent`] | `From<()>` |
/// | [`ByteStream`], which is collected | `From<Raw>` |
#[diagnostic::on_unimplemented(
    message = "the gRPC message `{Res}` cannot be made from the operation's value `{Self}`",
    note = "implement `From<{Self}>` for `{Res}`"
)]
pub trait IntoMessage<Res, How>: Sized + Send + 'static {
    /// The reply that interceptors see.
    ///
    /// # Errors
    /// Returns a fault where it cannot be a reply.
    fn into_reply(self) -> Result<Reply, Fault>;

    /// The message of that reply; a stream of bytes has been collected.
    ///
    /// # Errors
    /// Returns an internal fault where an interceptor has replaced it by one of another kind.
    fn message(body: ReplyBody) -> Result<Res, Fault>;
}

/// The value of an operation of which a stream of gRPC messages `Res` can be made: any
/// `Stream<Item = Result<T, E>>` with `Res: From<T>` and `E: Into<Fault>`, [`Items`] among them,
/// or an [`Answer`] with one. `How` tells the ways apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no stream of which gRPC messages `{Res}` can be made",
    note = "return `Result<Items<T>, Fault>`, and implement `From<T>` for `{Res}`"
)]
pub trait IntoMessages<Res, How>: Sized + Send + 'static {
    /// The reply that interceptors see.
    ///
    /// # Errors
    /// Returns a fault where it cannot be a reply.
    fn into_reply(self) -> Result<Reply, Fault>;

    /// The message of one of its items.
    ///
    /// # Errors
    /// Returns an internal fault where an interceptor has replaced it by one of another type.
    fn message(item: Value) -> Result<Res, Fault>;
}

/// Says that a value is an [`Answer`].
#[derive(Debug, Clone, Copy)]
pub struct Answered;

/// Says that a value is an [`Answer`] with a stream.
#[derive(Debug, Clone, Copy)]
pub struct AnsweredStream;

/// Says that there is no value.
#[derive(Debug, Clone, Copy)]
pub struct Empty;

/// Says that a value is a stream of bytes, of which one message is made.
#[derive(Debug, Clone, Copy)]
pub struct Collected;

/// Says that a value is a stream of items.
#[derive(Debug, Clone, Copy)]
pub struct Streamed;

impl<Res: From<T>, T: Send + 'static> IntoMessage<Res, super::Converted> for T {
    fn into_reply(self) -> Result<Reply, Fault> {
        Ok(Reply::new(match cast(self) {
            Ok(raw) => ReplyBody::Raw(raw),
            Err(value) => ReplyBody::Value(Value::opaque(value)),
        }))
    }

    fn message(body: ReplyBody) -> Result<Res, Fault> {
        value_of::<T>(body).map(Res::from)
    }
}

impl<Res: From<T>, T: Send + 'static> IntoMessage<Res, Answered> for Answer<T> {
    fn into_reply(self) -> Result<Reply, Fault> {
        Reply::answering(self, Value::opaque)
    }

    fn message(body: ReplyBody) -> Result<Res, Fault> {
        value_of::<T>(body).map(Res::from)
    }
}

impl<Res: From<()>> IntoMessage<Res, Empty> for NoContent {
    fn into_reply(self) -> Result<Reply, Fault> {
        Ok(Reply::new(ReplyBody::Empty))
    }

    fn message(body: ReplyBody) -> Result<Res, Fault> {
        match body {
            ReplyBody::Empty => Ok(Res::from(())),
            body => Err(no_message(&body)),
        }
    }
}

impl<Res: From<Raw>> IntoMessage<Res, Collected> for ByteStream {
    fn into_reply(self) -> Result<Reply, Fault> {
        Ok(Reply::new(ReplyBody::Stream(self)))
    }

    fn message(body: ReplyBody) -> Result<Res, Fault> {
        value_of::<Raw>(body).map(Res::from)
    }
}

impl<Res, S, T, E> IntoMessages<Res, Streamed> for S
where
    Res: From<T>,
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<Fault> + 'static,
{
    fn into_reply(self) -> Result<Reply, Fault> {
        Ok(Reply::new(items(self)))
    }

    fn message(item: Value) -> Result<Res, Fault> {
        Ok(Res::from(item.downcast::<T>()?))
    }
}

impl<Res, S, T, E> IntoMessages<Res, AnsweredStream> for Answer<S>
where
    Res: From<T>,
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<Fault> + 'static,
{
    fn into_reply(self) -> Result<Reply, Fault> {
        let (stream, status, headers) = self.into_parts();
        // The status is judged with what stands around the items.
        let mut around = Answer::new(());
        if let Some(status) = status {
            around = around.status(status);
        }
        let mut reply = Reply::answering(around, Value::opaque)?;
        if !headers.is_empty() {
            *reply.headers_mut() = headers;
        }
        Ok(reply.with_body(items(stream)))
    }

    fn message(item: Value) -> Result<Res, Fault> {
        Ok(Res::from(item.downcast::<T>()?))
    }
}

fn items<S, T, E>(stream: S) -> ReplyBody
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<Fault> + 'static,
{
    ReplyBody::Items(Items::new(stream.map(|item| item.map(Value::opaque))))
}

/// The value of a reply, which is a `T`.
fn value_of<T: Send + 'static>(body: ReplyBody) -> Result<T, Fault> {
    match body {
        ReplyBody::Value(value) => Ok(value.downcast()?),
        ReplyBody::Raw(raw) => cast(raw).map_err(|raw| no_message(&ReplyBody::Raw(raw))),
        body => Err(no_message(&body)),
    }
}

/// The value as a `B`, if `A` is that type.
fn cast<A: 'static, B: 'static>(value: A) -> Result<B, A> {
    let mut value = Some(value);
    let same = (&mut value as &mut dyn Any).downcast_mut::<Option<B>>().and_then(Option::take);
    match (same, value) {
        (Some(same), _) => Ok(same),
        (None, Some(value)) => Err(value),
        (None, None) => unreachable!("one of the two holds it"),
    }
}

/// The fault of a reply that another kind was put in the place of.
pub(crate) fn no_message(body: &ReplyBody) -> Fault {
    let error = Error::other(format!("the reply is {body:?}, of which there is no message"));
    Fault::internal(error.advise("interceptors replace a reply by one of the same kind"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_value_is_cast_to_its_own_type_only() {
        assert_eq!(cast::<_, u8>(7_u8), Ok(7));
        assert_eq!(cast::<_, u16>(7_u8), Err(7));
    }

    #[test]
    fn a_reply_of_another_kind_is_an_internal_fault() {
        for body in [ReplyBody::Empty, ReplyBody::Native, ReplyBody::Value(Value::json(1_u8))] {
            assert!(value_of::<String>(body).is_err());
        }
        let raw = Raw::new("text/plain", "x");
        assert_eq!(value_of::<Raw>(ReplyBody::Raw(raw)).expect("raw").bytes, Bytes::from("x"));
    }
}
