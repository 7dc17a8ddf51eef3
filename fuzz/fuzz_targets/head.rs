//! Headers, cookies, parameters of paths and content types: nothing panics, and every refusal
//! says what is wrong. Each line of the input is one of them.

#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use polyport_bootstrap::operation::{Codecs, ParamNames, PathParams, RawInput};

mod support;

fuzz_target!(|input: &[u8]| {
    let mut metadata = HeaderMap::new();
    let mut raw = RawInput::default();
    for (number, line) in input.split(|byte| *byte == b'\n').enumerate() {
        let name = match number % 5 {
            0 => header::COOKIE,
            1 => "x-a".parse().expect("is a header"),
            2 => "x-b".parse().expect("is a header"),
            3 => {
                let names: ParamNames = ["a"].into_iter().collect();
                let value = String::from_utf8_lossy(line);
                raw.path = PathParams::decode(&names, [&*value]).unwrap_or_default();
                continue;
            }
            _ => {
                raw.format = Codecs::default().format(line).unwrap_or_default();
                continue;
            }
        };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            metadata.append(name, value);
        }
    }
    support::check::<support::Placed>(&raw, &metadata);
});
