//! What must hold whatever a peer writes into headers or metadata: nothing panics, what is read can
//! be written and read again, and nothing grows. The fuzzer (`fuzz/`) and the property tests share
//! this file.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Baggage, RequestId, TraceContext};

/// Checks headers, one a line: `name:value`.
///
/// # Panics
/// They do harm.
pub(crate) fn check(input: &[u8]) {
    let headers = headers(input);
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let id = RequestId::from_peer(id);
    assert!(HeaderValue::from_str(id.as_str()).is_ok() && id.as_str().len() <= 128);
    let mut sent = HeaderMap::new();
    let trace = TraceContext::extract(&headers);
    if let Some(trace) = &trace {
        trace.inject(&mut sent);
    }
    let baggage = Baggage::extract(&headers);
    baggage.inject(&mut sent);
    assert_eq!(TraceContext::extract(&sent), trace);
    assert_eq!(Baggage::extract(&sent), baggage);
    let most = |name: &str| sent.get(name).map_or(0, HeaderValue::len);
    assert!(most("traceparent") <= 55 && most("tracestate") <= 512 && most("baggage") <= 8192);
}

fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().map(HeaderName::from_bytes);
        let value = parts.next().map(HeaderValue::from_bytes);
        if let (Some(Ok(name)), Some(Ok(value))) = (name, value) {
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_header_does_harm(input in any::<Vec<u8>>()) {
            super::check(&input);
        }

        #[test]
        fn nothing_like_a_trace_does_harm(
            id in "[0-9a-f]{32}",
            flags in "[0-9a-f]{2}",
            state in "([a-z0-9@ ]{0,9}=[!-~ ]{0,9},){0,40}",
            baggage in "([a-z%]{0,3}=[!-~ ]{0,9}[;,]){0,80}",
        ) {
            let parent = format!("00-{id}-{}-{flags}", &id[..16]);
            let input =
                format!("traceparent:{parent}\ntracestate:{state}\nbaggage:{baggage}\nbaggage:a=1");
            super::check(input.as_bytes());
        }
    }
}
