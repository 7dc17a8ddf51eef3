//! JSON bodies beside a query: nothing panics, nothing hangs, every refusal says what is wrong.
//!
//! What stands before the first line break is the query, the rest is the body.

#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use polyport_bootstrap::operation::RawInput;

mod support;

fuzz_target!(|input: &[u8]| {
    let (query, body) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let query = [b"/?", query].concat();
    let raw = RawInput {
        uri: query.as_slice().try_into().unwrap_or_default(),
        ..RawInput::json(body.to_vec().into())
    };
    support::check::<support::Anything>(&raw, &HeaderMap::new());
    support::check::<support::Placed>(&raw, &HeaderMap::new());
});
