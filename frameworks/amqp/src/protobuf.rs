//! Messages whose bodies are protobuf.

use bytes::Bytes;
use garde::Validate;
use http::HeaderValue;
use polyport_bootstrap::{
    Context, Fault,
    operation::{
        Endpoint, IntoReply, NoInput, Operation, OperationInfo, Raw, Reply, ReplyBody, validated,
    },
};
use prost::Message;

use crate::{AmqpRoutes, Consumer, Types, cloud_events, delivery::Delivery, dispatch::Dispatch};

/// The media types of protobuf; the first is what replies have.
const PROTOBUF: [&str; 3] =
    ["application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf"];

/// The input of an operation that can be made from the protobuf message `Msg`: whatever is
/// `From<Msg>` and `garde::Validate`, or none at all. `How` tells the two apart and is always
/// inferred.
#[diagnostic::on_unimplemented(
    message = "the operation's input `{Self}` cannot be made from the protobuf message `{Msg}`",
    note = "implement `From<{Msg}>` and `garde::Validate<Context = ()>` for it"
)]
pub trait FromProtobuf<Msg, How>: Sized {
    /// Converts and validates.
    ///
    /// # Errors
    /// Returns a fault that names every field that breaks a rule.
    fn from_protobuf(message: Msg) -> Result<Self, Fault>;
}

/// Says that an input is made by `From` and validated.
#[derive(Debug, Clone, Copy)]
pub struct Converted;

/// Says that an operation takes no input, so that its message is only checked.
#[derive(Debug, Clone, Copy)]
pub struct Ignored;

impl<Msg, T: From<Msg> + Validate<Context = ()>> FromProtobuf<Msg, Converted> for T {
    fn from_protobuf(message: Msg) -> Result<Self, Fault> {
        validated(Self::from(message))
    }
}

impl<Msg> FromProtobuf<Msg, Ignored> for NoInput {
    fn from_protobuf(_: Msg) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// The value of an operation that is answered with as protobuf, in no envelope, to messages that ask
/// for a reply; other values are answered with as JSON.
///
/// # Examples
/// ```
/// use polyport_amqp::Protobuf;
/// use polyport_bootstrap::Fault;
///
/// async fn version() -> Result<Protobuf<String>, Fault> {
///     Ok(Protobuf("1.0".to_owned()))
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protobuf<T>(pub T);

impl<T: Message + 'static> IntoReply for Protobuf<T> {
    fn into_reply(self, _: &Context) -> Result<Reply, Fault> {
        let content_type = HeaderValue::from_static(PROTOBUF[0]);
        Ok(Reply::new(ReplyBody::Raw(Raw { content_type, bytes: self.0.encode_to_vec().into() })))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(crate::PROTOCOL, "Protobuf");
    }
}

/// Registers operations for messages whose bodies are protobuf:
/// `q.consume_protobuf::<pb::OrderCreated>("orders", created)`. All types but the message are
/// inferred.
///
/// Bodies are decoded straight into the message, and that is converted
/// ([`FromProtobuf`]). A body of another content type, or one that does not decode, is parked at
/// once; one without a content type is taken for protobuf.
///
/// # Examples
/// ```
/// use polyport_amqp::{AmqpModule, ProtobufConsumers};
/// use polyport_bootstrap::{Fault, ModuleBuilder, operation::Input};
///
/// #[derive(garde::Validate)]
/// struct Name(#[garde(length(min = 1))] String);
///
/// impl From<String> for Name {
///     fn from(name: String) -> Self {
///         Self(name)
///     }
/// }
///
/// /// `String` is the message `google.protobuf.StringValue`.
/// async fn greet(Input(name): Input<Name>) -> Result<(), Fault> {
///     println!("Hello, {}", name.0);
///     Ok(())
/// }
///
/// fn configure(m: &mut ModuleBuilder<'_>) {
///     m.amqp(|q| q.consume_protobuf::<String>("greetings", greet));
/// }
/// ```
pub trait ProtobufConsumers<Marker, In, Op: Operation<Marker>>: Sized {
    /// As [`AmqpRoutes::consume`], for bodies that are the protobuf message `Msg`.
    #[must_use]
    fn consume_protobuf<Msg>(self, consumer: impl Into<Consumer>, operation: Op) -> Self
    where
        Msg: Message + Default + 'static,
        Op::Input: FromProtobuf<Msg, In>;
}

impl<M, In, Op> ProtobufConsumers<M, In, Op> for AmqpRoutes
where
    M: 'static,
    In: 'static,
    Op: Operation<M>,
    Op::Output: IntoReply,
{
    fn consume_protobuf<Msg>(self, consumer: impl Into<Consumer>, operation: Op) -> Self
    where
        Msg: Message + Default + 'static,
        Op::Input: FromProtobuf<Msg, In>,
    {
        self.add(consumer.into(), Dispatch::One(endpoint::<Msg, M, In, Op>(operation)))
    }
}

/// Registers operations for types of messages whose bodies are protobuf, in
/// [`AmqpRoutes::consume_types`]: `t.on_protobuf::<pb::OrderCreated>("order.created", created)`.
pub trait ProtobufTypes<Marker, In, Op: Operation<Marker>>: Sized {
    /// As [`Types::on`], for bodies that are the protobuf message `Msg`.
    #[must_use]
    fn on_protobuf<Msg>(self, name: impl Into<String>, operation: Op) -> Self
    where
        Msg: Message + Default + 'static,
        Op::Input: FromProtobuf<Msg, In>;
}

impl<M, In, Op> ProtobufTypes<M, In, Op> for Types
where
    M: 'static,
    In: 'static,
    Op: Operation<M>,
    Op::Output: IntoReply,
{
    fn on_protobuf<Msg>(self, name: impl Into<String>, operation: Op) -> Self
    where
        Msg: Message + Default + 'static,
        Op::Input: FromProtobuf<Msg, In>,
    {
        self.on_endpoint(name.into(), endpoint::<Msg, M, In, Op>(operation))
    }
}

fn endpoint<Msg, M, In, Op>(operation: Op) -> Endpoint
where
    M: 'static,
    In: 'static,
    Msg: Message + Default + 'static,
    Op: Operation<M>,
    Op::Input: FromProtobuf<Msg, In>,
    Op::Output: IntoReply,
{
    Endpoint::decoding(operation, decode::<Msg, In, Op::Input>)
}

fn decode<Msg, How, T>(context: &Context) -> Result<T, Fault>
where
    Msg: Message + Default,
    T: FromProtobuf<Msg, How>,
{
    let delivery = context.extension::<Delivery>();
    if let Some(fault) = delivery.and_then(cloud_events::fault_of) {
        return Err(fault);
    }
    let content_type = delivery.and_then(Delivery::data_content_type);
    T::from_protobuf(read::<Msg>(content_type, context.input.body.clone())?)
}

/// The message in a body that is said to be this.
pub(crate) fn read<Msg: Message + Default>(
    content_type: Option<&str>,
    body: Bytes,
) -> Result<Msg, Fault> {
    if let Some(other) = content_type.map(essence).filter(|given| !is_protobuf(given)) {
        let text = format!("send the body as {}, not as {other}", PROTOBUF[0]);
        return Err(Fault::invalid_argument("UNSUPPORTED_MEDIA_TYPE", text).with_status(415));
    }
    Msg::decode(body).map_err(|error| {
        let text = format!("the body is not the message that the operation takes: {error}");
        Fault::invalid_argument("MALFORMED_MESSAGE", text)
    })
}

/// A media type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim_ascii()
}

fn is_protobuf(essence: &str) -> bool {
    PROTOBUF.iter().any(|known| essence.eq_ignore_ascii_case(known))
}
