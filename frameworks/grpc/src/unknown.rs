//! Calls of what is not served: the middleware of the application and of the framework stands
//! around their refusal, so that they are logged and limited as all others are.

use std::sync::Arc;

use futures_util::{FutureExt, future::ready};
use http::{Response, request::Parts};
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{Endpoint, Extensions, RequestId},
};
use polyport_listener::{HandlerFuture, ResponseBody};

use crate::{ending::until_ended, handler::identify, message::no_message, shared::Shared};

/// Why nobody answers a call.
#[derive(Debug, Clone)]
pub(crate) struct Unknown {
    reason: &'static str,
    message: Arc<str>,
}

impl Unknown {
    pub(crate) fn method(service: &str, method: &str) -> Self {
        let message = format!("service {service} has no method {method:?} here");
        Self { reason: "UNKNOWN_METHOD", message: message.into() }
    }

    pub(crate) fn service(service: &str) -> Self {
        let message = format!("there is no service {service:?} here");
        Self { reason: "UNKNOWN_SERVICE", message: message.into() }
    }

    pub(crate) fn fault(&self) -> Fault {
        Fault::unimplemented(self.reason, self.message.to_string())
    }
}

/// What stands at the end of the chain for calls of what is not served.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::fallback("fallback", |context| {
        let missing = || Error::other("the call does not say what is unknown").into();
        let fault = context.extension::<Unknown>().map_or_else(missing, Unknown::fault);
        ready(Err(fault)).boxed()
    })
}

/// Answers a call of what is not served.
pub(crate) fn refuse(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    id: RequestId,
    head: Parts,
    unknown: Unknown,
) -> HandlerFuture {
    Box::pin(async move {
        let mut response = refused(&endpoint, &shared, &id, head, unknown).await;
        identify(&mut response, &id);
        response
    })
}

async fn refused(
    endpoint: &Endpoint,
    shared: &Shared,
    id: &RequestId,
    head: Parts,
    unknown: Unknown,
) -> Response<ResponseBody> {
    let mut call = shared.call(endpoint, id, None);
    (call.metadata, call.extensions) = (head.headers, Extensions::of(head.extensions, None));
    call.extensions.insert(unknown);
    let context = Context::new(call);
    match until_ended(endpoint.call(&context), None, &shared.closing).await {
        Ok(Ok(reply)) => shared.refuse(&no_message(reply.body()), id),
        Ok(Err(fault)) => shared.failed(&fault, id),
        Err(ending) => shared.refuse(&ending.fault(), id),
    }
}
