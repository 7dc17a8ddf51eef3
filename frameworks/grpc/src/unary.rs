//! Methods that answer with one message.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use polyport_bootstrap::{
    Context, Fault,
    operation::{Reply, ReplyBody},
};
use polyport_listener::ResponseBody;
use prost::Message;

use crate::{
    GrpcEncoding,
    adapter::add_metadata,
    arrival::Arrival,
    frame,
    method::{Answers, RequestBody, Route, answering, caught},
    shared::Shared,
    trailers::GrpcTrailers,
};

/// Makes the message of a reply.
type OfReply<Res> = fn(ReplyBody) -> Result<Res, Fault>;

/// One message or a stream of them in, one message out.
pub(crate) struct Unary<Res> {
    pub(crate) route: Route,
    pub(crate) message: OfReply<Res>,
}

impl<Res: Message + 'static> Answers for Unary<Res> {
    const STREAMS: bool = false;

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
        let (encodings, limit) = (arrival.encodings, shared.max_message_size);
        let context = match arrival.receive(self.route.sends, limit).await {
            Ok(context) => context,
            Err(fault) => return shared.refuse(&fault, &arrival.id),
        };
        let answer = match self.route.endpoint.call(&context).await {
            Ok(reply) => caught(&context, self.written(limit, encodings.sent, reply)).await,
            Err(fault) => Err(fault),
        };
        match answer {
            Ok((message, headers)) => {
                let body = ResponseBody::with_trailers(message, trailers(&context));
                answering(body, encodings, headers.as_deref())
            }
            Err(fault) => shared.failed(&fault, &context.request_id),
        }
    }
}

impl<Res: Message> Unary<Res> {
    /// The message of a reply as it is sent, and what the operation has set beside it.
    async fn written(
        &self,
        limit: usize,
        encoding: Option<GrpcEncoding>,
        reply: Reply,
    ) -> Result<(Bytes, Option<Box<HeaderMap>>), Fault> {
        let (_, headers, body) = reply.into_parts();
        let body = match body {
            ReplyBody::Stream(bytes) => ReplyBody::Raw(bytes.collect(limit).await?),
            body => body,
        };
        let message = (self.message)(body)?;
        Ok((frame::written(&message, encoding)?, headers))
    }
}

/// The status of a call that went well, with what the operation wants to go along.
fn trailers(context: &Context) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    if let Some(own) = context.shared_value::<GrpcTrailers>() {
        own.update(|metadata| add_metadata(&mut trailers, Some(metadata.as_ref())));
    }
    trailers
}
