//! A call between its head and its context.

use std::time::Duration;

use http::{Request, Response, request::Parts};
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{Call, Endpoint, Extensions, RequestId},
};
use polyport_listener::ResponseBody;
use tokio::time::Instant;

use crate::{
    encoding::Encodings,
    frame,
    handler::Caller,
    method::RequestBody,
    sends::{self, Sends},
    shared::Shared,
    timeout,
};

/// A call whose head has come in. It is lent to whoever answers it: to move it into one future after
/// the other would need room for it in each.
pub(crate) struct Arrival<B> {
    pub(crate) id: RequestId,
    pub(crate) deadline: Option<Instant>,
    pub(crate) encodings: Encodings,
    /// None once it has become a context.
    rest: Option<(Call, B)>,
}

impl<B: RequestBody> Arrival<B> {
    /// A call that may take `own` time, if its peer waits for so long.
    ///
    /// # Errors
    /// Returns the answer of a call that cannot be made: its deadline is over or malformed, or its
    /// messages are in an encoding that is not taken.
    pub(crate) fn new(
        shared: &Shared,
        endpoint: &Endpoint,
        own: Option<Duration>,
        Caller { id, at, client }: Caller,
        request: Request<B>,
    ) -> Result<Self, Box<Response<ResponseBody>>> {
        let (Parts { headers, extensions, .. }, body) = request.into_parts();
        let deadline = timeout::deadline(&headers, at, own)
            .map_err(|fault| Box::new(shared.refuse(&fault, &id)))?;
        let encodings = Encodings::agreed(&headers, shared)
            .map_err(|fault| Box::new(shared.refuse_encoding(&fault, &id)))?;
        let mut call = shared.call(endpoint, &id, deadline);
        let connection = client.map(|client| client as _);
        (call.metadata, call.extensions) = (headers, Extensions::of(extensions, connection));
        Ok(Self { id, deadline, encodings, rest: Some((call, body)) })
    }

    /// Reads the one message, and puts it where the operation's extractors look for it; a stream is
    /// left to the operation. Metadata behind the message is added to that before it.
    ///
    /// # Errors
    /// Returns a fault where the message cannot be read.
    pub(crate) async fn receive(&mut self, sends: Sends, limit: usize) -> Result<Context, Fault> {
        let encoding = self.encodings.received;
        if let (Some((call, body)), false) = (&mut self.rest, sends.is_stream()) {
            let (message, trailers) = frame::read(body, encoding, limit).await?;
            call.input.body = sends.read(message)?;
            if let Some(trailers) = trailers {
                call.metadata.extend(trailers);
            }
        }
        let taken = || Error::other("a call was answered already");
        let (mut call, body) = self.rest.take().ok_or_else(taken)?;
        if sends.is_stream() {
            call.extensions.insert(sends::messages(body, encoding, limit));
        }
        Ok(Context::new(call))
    }
}
