//! Services that tonic generates, served beside operations.

use std::{
    convert::Infallible,
    future::ready,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{Endpoint, Extensions, Reply, ReplyBody},
};
use polyport_listener::{BoxError, HandlerFuture};
use tonic::body::Body;
use tower::{Service, ServiceExt};

use crate::{
    adapter::{self, add_metadata},
    ending::until_ended,
    handler::{Caller, identify},
    message::no_message,
    service_body,
    shared::Shared,
    timeout,
};

/// A service as what stands at the end of a chain: it takes the request from the call's [`Slot`]
/// and leaves its response there.
pub(crate) fn endpoint<S, B>(name: &'static str, service: S) -> Endpoint
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Endpoint::native(name, move |context| {
        let Some((slot, request)) = take_request(context) else {
            let error = Error::other("the request has been answered already");
            let error = error.advise("middleware cannot call a service twice");
            return Box::pin(ready(Err(error.into())));
        };
        let answer = service.clone().oneshot(request);
        Box::pin(async move {
            let Ok(response) = answer.await;
            slot.put_response(response.map(Body::new));
            Ok(Reply::new(ReplyBody::Native))
        })
    })
}

fn take_request(context: &Context) -> Option<(&Slot, Request<Body>)> {
    let slot = context.extension::<Slot>()?;
    let mut request = slot.take_request()?;
    request.extensions_mut().insert(context.clone());
    Some((slot, request))
}

/// Where a service finds its request, and leaves its response.
struct Slot(Mutex<Exchange>);

enum Exchange {
    Request(Request<Body>),
    Response(Response<Body>),
    Taken,
}

impl Slot {
    fn new(request: Request<Body>) -> Self {
        Self(Mutex::new(Exchange::Request(request)))
    }

    fn take(&self) -> Exchange {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut exchange, Exchange::Taken)
    }

    fn take_request(&self) -> Option<Request<Body>> {
        match self.take() {
            Exchange::Request(request) => Some(request),
            _ => None,
        }
    }

    fn take_response(&self) -> Option<Response<Body>> {
        match self.take() {
            Exchange::Response(response) => Some(response),
            _ => None,
        }
    }

    fn put_response(&self, response: Response<Body>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Exchange::Response(response);
    }
}

/// Sees to it that nothing is left in the slot of a call, whatever middleware makes of its answer:
/// a response may hold the context that holds the slot.
struct Emptied<'c>(&'c Context);

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        drop(self.0.extension::<Slot>().map(Slot::take));
    }
}

/// Answers one call by a service, behind what stands around it. The peer's deadline holds for it, a
/// panic is a status, and its streams end with the process.
pub(crate) fn serve(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    Caller { id, at, client }: Caller,
    request: Request<Body>,
) -> HandlerFuture {
    let deadline = match timeout::deadline(request.headers(), at, None) {
        Ok(deadline) => deadline,
        Err(fault) => {
            let mut refusal = shared.refuse(&fault, &id);
            identify(&mut refusal, &id);
            return Box::pin(ready(refusal));
        }
    };
    let mut call = shared.call(&endpoint, &id, deadline);
    call.metadata = request.headers().clone();
    let connection = client.map(|client| client as _);
    call.extensions = Extensions::of(request.extensions().clone(), connection);
    call.extensions.insert(Slot::new(request));
    let context = Context::new(call);
    Box::pin(async move {
        let _flight = endpoint.info().enter_at(at);
        let _emptied = Emptied(&context);
        let answer = pin!(endpoint.call(&context));
        let mut response = match until_ended(answer, None, &shared.closing).await {
            Ok(Ok(reply)) => match answered(reply, &context) {
                Ok(response) => service_body::answer(response, deadline, &shared, &id).await,
                Err(fault) => shared.refuse(&fault, &id),
            },
            Ok(Err(fault)) => shared.failed(&fault, &id),
            Err(ending) => shared.refuse(&ending.fault(), &id),
        };
        identify(&mut response, &id);
        response
    })
}

/// The service's response, with the headers that interceptors have set.
fn answered(reply: Reply, context: &Context) -> Result<Response<Body>, Fault> {
    let (_, headers, body) = reply.into_parts();
    let response = context.extension::<Slot>().and_then(Slot::take_response);
    let response = response.filter(|_| matches!(body, ReplyBody::Native));
    let mut response = response.ok_or_else(|| no_message(&body))?;
    if let Some(fault) = response.extensions().get().and_then(adapter::too_large) {
        return Err(fault);
    }
    add_metadata(response.headers_mut(), headers.as_deref());
    Ok(response)
}
