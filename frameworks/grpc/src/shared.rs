//! What all calls of a gRPC framework have in common.

use std::{fmt, sync::Arc, time::Duration};

use http::Response;
use polyport_bootstrap::{
    Container, Fault,
    operation::{Call, Endpoint, RequestId},
};
use polyport_listener::ResponseBody;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{GrpcEncoding, GrpcSettings, PROTOCOL, adapter, encoding};

/// What every call is answered with.
pub(crate) struct Shared {
    pub(crate) container: Container,
    /// Cancelled when open streams have to end.
    pub(crate) closing: CancellationToken,
    /// How long a unary call may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_message_size: usize,
    /// The encodings that peers may use.
    pub(crate) receives: Vec<GrpcEncoding>,
    /// The encodings that answers may have.
    pub(crate) sends: Vec<GrpcEncoding>,
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
            receives: settings.compression.receive,
            sends: settings.compression.send,
            error_domain: settings.error_domain,
        }
    }

    /// A call of which nothing is known but what it calls.
    pub(crate) fn call(
        &self,
        endpoint: &Endpoint,
        request_id: &RequestId,
        deadline: Option<Instant>,
    ) -> Call {
        let (operation, container) = (Arc::clone(endpoint.info()), self.container.clone());
        let mut call = Call::known_as(request_id.clone(), PROTOCOL, operation, container);
        call.deadline = deadline;
        call
    }

    pub(crate) fn status(&self, fault: &Fault, request_id: &RequestId) -> Status {
        adapter::status_from_fault(fault, request_id.as_str(), &self.error_domain)
    }

    /// The answer of a call that ends in `fault`, of which its endpoint has told the log.
    pub(crate) fn failed(&self, fault: &Fault, request_id: &RequestId) -> Response<ResponseBody> {
        self.status(fault, request_id).into_http()
    }

    /// The answer of a call that ends in `fault` before it has sent anything.
    pub(crate) fn refuse(&self, fault: &Fault, request_id: &RequestId) -> Response<ResponseBody> {
        tracing::debug!(protocol = "grpc", %request_id, %fault, "call refused");
        self.failed(fault, request_id)
    }

    /// The same where its messages are in an encoding that is not taken: it says which are.
    pub(crate) fn refuse_encoding(
        &self,
        fault: &Fault,
        request_id: &RequestId,
    ) -> Response<ResponseBody> {
        let mut response = self.refuse(fault, request_id);
        response.headers_mut().insert(encoding::ACCEPTED, encoding::accepted(&self.receives));
        response
    }
}
