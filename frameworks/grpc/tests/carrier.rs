//! Metadata carry a trace, as the headers that they are.

use polyport_bootstrap::operation::trace::{Carrier, TraceContext};
use tonic::metadata::{MetadataMap, MetadataValue};

#[test]
fn a_trace_goes_through_metadata() {
    let mut metadata = MetadataMap::new();
    metadata.insert_bin("trace-bin", MetadataValue::from_bytes(b"\x00\xff"));
    let trace = TraceContext::root(true);
    trace.inject(metadata.as_mut());
    assert!(metadata.get("traceparent").is_some());
    assert_eq!(TraceContext::extract(metadata.as_ref()), Some(trace));
    assert_eq!(Carrier::keys(metadata.as_ref()).len(), 2);
}
