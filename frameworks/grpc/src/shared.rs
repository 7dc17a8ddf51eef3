//! What all calls of a gRPC framework have in common.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use polyport_bootstrap::{
    Container, Context, Fault,
    operation::{Call, Endpoint, RawInput, RequestId},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

use crate::{GrpcSettings, PROTOCOL, adapter};

/// What every call is answered with.
pub(crate) struct Shared {
    pub(crate) container: Container,
    /// Cancelled when open streams have to end.
    pub(crate) closing: CancellationToken,
    /// How long a unary call may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_message_size: usize,
    error_domain: String,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    pub(crate) fn new(
        settings: GrpcSettings,
        container: Container,
        closing: CancellationToken,
    ) -> Self {
        Self {
            container,
            closing,
            timeout: Some(settings.timeout).filter(|timeout| !timeout.is_zero()),
            max_message_size: settings.max_message_size,
            error_domain: settings.error_domain,
        }
    }

    /// The context of a call.
    pub(crate) fn context(
        &self,
        endpoint: &Endpoint,
        request_id: &RequestId,
        deadline: Option<Instant>,
        request: tonic::Request<Bytes>,
    ) -> Context {
        let (metadata, extensions, message) = request.into_parts();
        let mut call = self.call(endpoint, request_id, deadline);
        call.metadata = metadata.into_headers();
        call.input = RawInput { body: message, ..RawInput::default() };
        call.extensions = extensions;
        Context::new(call)
    }

    /// A call of which nothing is known but what it calls.
    pub(crate) fn call(
        &self,
        endpoint: &Endpoint,
        request_id: &RequestId,
        deadline: Option<Instant>,
    ) -> Call {
        let mut call = Call::new(PROTOCOL, Arc::clone(endpoint.info()), self.container.clone());
        (call.request_id, call.deadline) = (request_id.clone(), deadline);
        call
    }

    pub(crate) fn status(&self, fault: &Fault, request_id: &RequestId) -> Status {
        adapter::status_from_fault(fault, request_id.as_str(), &self.error_domain)
    }

    /// The answer of a call that ends in `fault` before it has sent anything.
    pub(crate) fn refuse(&self, fault: &Fault, request_id: &RequestId) -> http::Response<Body> {
        tracing::debug!(protocol = "grpc", %request_id, %fault, "call refused");
        self.status(fault, request_id).into_http()
    }
}
