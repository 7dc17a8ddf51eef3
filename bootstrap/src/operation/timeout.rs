//! How long a caller waits, on protocols that have no field of their own for it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Fault;

/// The header by which a caller says how long it waits for the answer, in milliseconds.
pub const TIMEOUT_HEADER: &str = "x-request-timeout-ms";

/// Every call looks for it, and a text would be made a name each time.
const NAME: HeaderName = HeaderName::from_static(TIMEOUT_HEADER);

/// How long the caller of this metadata waits, where it says so.
///
/// # Errors
/// Returns a fault where that is no number of milliseconds, since the caller would wait for less
/// than it gets, and where it is over already.
pub fn peer_timeout(metadata: &HeaderMap) -> Result<Option<Duration>, Fault> {
    metadata.get(NAME).map(timeout_of).transpose()
}

/// How long the caller waits who sent [`TIMEOUT_HEADER`] with this value.
///
/// # Errors
/// As [`peer_timeout`].
pub fn timeout_of(value: &HeaderValue) -> Result<Duration, Fault> {
    match value.to_str().ok().and_then(milliseconds) {
        Some(0) => Err(Fault::deadline_exceeded(
            "DEADLINE_EXCEEDED",
            "the caller waits no longer when the call begins",
        )),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err(Fault::invalid_argument(
            "MALFORMED_TIMEOUT",
            format!("{TIMEOUT_HEADER} {value:?} is no number of milliseconds of up to ten digits"),
        )),
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let is_number =
        (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> Result<Option<Duration>, &'static str> {
        let mut metadata = HeaderMap::new();
        metadata.insert(TIMEOUT_HEADER, text.parse().expect("a value"));
        peer_timeout(&metadata).map_err(|fault| fault.kind().as_str())
    }

    #[test]
    fn only_a_number_of_milliseconds_is_a_timeout() {
        assert_eq!(peer_timeout(&HeaderMap::new()).expect("none"), None);
        assert_eq!(timeout("250"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(timeout("9999999999"), Ok(Some(Duration::from_millis(9_999_999_999))));
        assert_eq!(timeout("0"), Err("DEADLINE_EXCEEDED"));
        for text in ["", "-1", "+1", "1.5", "soon", " 1", "99999999999"] {
            assert_eq!(timeout(text), Err("INVALID_ARGUMENT"), "{text:?}");
        }
    }
}
