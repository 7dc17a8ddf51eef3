//! Forms and multipart bodies: nothing panics, nothing hangs, every refusal says what is wrong.

#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use polyport_bootstrap::operation::{BodyFormat, RawInput};

mod support;

fuzz_target!(|body: &[u8]| {
    for format in [BodyFormat::Form, BodyFormat::Multipart { boundary: "B".into() }] {
        let raw = RawInput { format, ..RawInput::json(body.to_vec().into()) };
        support::check::<support::Anything>(&raw, &HeaderMap::new());
        support::check::<support::Placed>(&raw, &HeaderMap::new());
    }
});
