//! Distributed tracing across protocols: the [W3C Trace Context] (`traceparent`, `tracestate`) and
//! [W3C Baggage] of a call, read from and written to whatever stands for headers.
//!
//! [W3C Trace Context]: https://www.w3.org/TR/trace-context-2/
//! [W3C Baggage]: https://www.w3.org/TR/baggage/

mod baggage;
mod carrier;
mod context;
#[cfg(test)]
mod harmless;
mod state;

pub use self::{
    baggage::{Baggage, BaggageEntry},
    carrier::Carrier,
    context::{SpanId, TraceContext, TraceId},
    state::TraceState,
};
#[cfg(test)]
use super::RequestId;
