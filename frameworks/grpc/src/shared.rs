//! What all calls of a gRPC framework have in common.

use std::{fmt, sync::Arc, time::Duration};

use polyport_bootstrap::{
    Container, Context, Fault,
    operation::{Call, Endpoint, RequestId},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codec::EnabledCompressionEncodings};

use crate::{GrpcEncoding, GrpcSettings, PROTOCOL, adapter, sent::Sent};

/// What every call is answered with.
pub(crate) struct Shared {
    pub(crate) container: Container,
    /// Cancelled when open streams have to end.
    pub(crate) closing: CancellationToken,
    /// How long a unary call may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_message_size: usize,
    /// The encodings that peers may use.
    pub(crate) receives: EnabledCompressionEncodings,
    /// The encodings that answers may have.
    pub(crate) sends: EnabledCompressionEncodings,
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
            receives: GrpcEncoding::enabled(&settings.compression.receive),
            sends: GrpcEncoding::enabled(&settings.compression.send),
            error_domain: settings.error_domain,
        }
    }

    /// The context of a call.
    pub(crate) fn context(
        &self,
        endpoint: &Endpoint,
        request_id: &RequestId,
        deadline: Option<Instant>,
        request: tonic::Request<impl Sent>,
    ) -> Context {
        let (metadata, extensions, messages) = request.into_parts();
        let mut call = self.call(endpoint, request_id, deadline);
        call.metadata = metadata.into_headers();
        call.extensions = extensions;
        messages.enter(&mut call);
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
