//! Headers and metadata: request ids, trace context and baggage do not panic, do not grow, and can
//! be written and read again.
//!
//! Each line of the input is a header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use polyport_bootstrap::operation::{
    RequestId,
    trace::{Baggage, TraceContext},
};

#[path = "../../bootstrap/src/operation/trace/harmless.rs"]
mod harmless;

fuzz_target!(|input: &[u8]| harmless::check(input));
