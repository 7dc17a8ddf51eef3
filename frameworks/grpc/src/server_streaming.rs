//! Methods that answer with a stream of messages.

use std::sync::Arc;

use futures_util::StreamExt;
use http::Response;
use polyport_bootstrap::{
    Context, Fault,
    operation::{Reply, ReplyBody, Value},
};
use polyport_listener::ResponseBody;
use prost::Message;
use tonic::codec::{EncodeBody, SingleMessageCompressionOverride};

use crate::{
    arrival::Arrival,
    encoder::MessageEncoder,
    encoding::Encodings,
    message::no_message,
    method::{Answers, RequestBody, Route, answering},
    shared::Shared,
    stream::OperationStream,
    trailers::GrpcTrailers,
};

/// Makes the message of an item.
type OfItem<Res> = fn(Value) -> Result<Res, Fault>;

/// One message or a stream of them in, a stream of them out.
pub(crate) struct ServerStreaming<Res> {
    pub(crate) route: Route,
    pub(crate) message: OfItem<Res>,
}

impl<Res: Message + 'static> Answers for ServerStreaming<Res> {
    const STREAMS: bool = true;

    fn route(&self) -> &Route {
        &self.route
    }

    fn route_mut(&mut self) -> &mut Route {
        &mut self.route
    }

    async fn answer<B: RequestBody>(
        &self,
        shared: &Arc<Shared>,
        arrival: &mut Arrival<B>,
    ) -> Response<ResponseBody> {
        let encodings = arrival.encodings;
        let context = match arrival.receive(self.route.sends, shared.max_message_size).await {
            Ok(context) => context,
            Err(fault) => return shared.refuse(&fault, &arrival.id),
        };
        match self.route.endpoint.call(&context).await {
            Ok(reply) => self.streamed(shared, encodings, &context, reply),
            Err(fault) => shared.failed(&fault, &context.request_id),
        }
    }
}

impl<Res: Message + 'static> ServerStreaming<Res> {
    fn streamed(
        &self,
        shared: &Arc<Shared>,
        encodings: Encodings,
        context: &Context,
        reply: Reply,
    ) -> Response<ResponseBody> {
        let (_, headers, body) = reply.into_parts();
        let ReplyBody::Items(items) = body else {
            return shared.failed(&no_message(&body), &context.request_id);
        };
        let message = self.message;
        let items = items.map(move |item| item.and_then(message)).boxed();
        let body = EncodeBody::new_server(
            MessageEncoder::<Res>::new(),
            OperationStream::new(items, context.clone(), Arc::clone(shared)),
            encodings.sent.map(Into::into),
            SingleMessageCompressionOverride::default(),
            None,
        );
        let body = match context.shared_value::<GrpcTrailers>() {
            Some(trailers) => ResponseBody::boxed(GrpcTrailers::clone(&trailers).behind(body)),
            None => ResponseBody::boxed(body),
        };
        answering(body, encodings, headers.as_deref())
    }
}
