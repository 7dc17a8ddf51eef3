//! The metadata of a call, as tonic has them.

use polyport_bootstrap::{
    Context, Fault,
    operation::{FromContext, InputSlot, NoPayload, OperationInfo},
};
use tonic::metadata::MetadataMap;

use crate::PROTOCOL;

/// The metadata that a call came with: an extractor for operations that are served on gRPC only.
/// Others read [`Context`]'s `metadata`, which every protocol has; these here know binary values,
/// too.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Fault;
/// use polyport_grpc::GrpcMetadata;
///
/// async fn trace(GrpcMetadata(metadata): GrpcMetadata) -> Result<Option<Vec<u8>>, Fault> {
///     let value = metadata.get_bin("trace-bin").and_then(|value| value.to_bytes().ok());
///     Ok(value.map(|value| value.to_vec()))
/// }
/// # drop(trace);
/// ```
#[derive(Debug, Clone)]
pub struct GrpcMetadata(pub MetadataMap);

impl FromContext for GrpcMetadata {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self(MetadataMap::from_headers(context.metadata.clone())))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "GrpcMetadata");
    }
}
