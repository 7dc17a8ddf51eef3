//! How long a peer is ready to wait: the header `grpc-timeout`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_bootstrap::Fault;
use tokio::time::Instant;

use crate::ending::Ending;

pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// When a call that has come `at` that time has to be answered: at the peer's deadline or ours,
/// whichever is sooner.
///
/// # Errors
/// Returns a fault where the peer's is over already, and where it is malformed: the peer would wait
/// for less than it gets.
pub(crate) fn deadline(
    headers: &HeaderMap,
    at: Instant,
    own: Option<Duration>,
) -> Result<Option<Instant>, Fault> {
    let limit = match (of_peer(headers).transpose()?, own) {
        (Some(peers), Some(own)) => Some(peers.min(own)),
        (peers, own) => peers.or(own),
    };
    // An operation that never waits would be done before anybody looks at its deadline.
    if limit.is_some_and(|limit| limit.is_zero()) {
        return Err(Ending::Deadline.fault());
    }
    Ok(limit.and_then(|limit| at.checked_add(limit)))
}

/// How long whoever sends these headers waits, where it says so.
pub(crate) fn of_peer(headers: &HeaderMap) -> Option<Result<Duration, Fault>> {
    let value = headers.get(TIMEOUT)?;
    Some(parse(value).ok_or_else(|| malformed(value)))
}

/// The header's value, in the finest unit in which eight digits hold it.
pub(crate) fn write(timeout: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let units = [
        (timeout.as_nanos(), 'n'),
        (timeout.as_micros(), 'u'),
        (timeout.as_millis(), 'm'),
        (u128::from(timeout.as_secs()), 'S'),
        (u128::from(timeout.as_secs() / 60), 'M'),
        (u128::from(timeout.as_secs() / 3600), 'H'),
    ];
    let fitting = units.into_iter().find(|(number, _)| *number <= MOST);
    let (number, unit) = fitting.unwrap_or((MOST, 'H'));
    HeaderValue::try_from(format!("{number}{unit}"))
        .unwrap_or_else(|_| HeaderValue::from_static("99999999H"))
}

fn malformed(value: &HeaderValue) -> Fault {
    let message = format!(
        "{TIMEOUT} {value:?} is malformed: it takes up to eight digits and a unit of H, M, S, m, \
         u or n"
    );
    Fault::invalid_argument("MALFORMED_TIMEOUT", message)
}

/// `TimeoutValue TimeoutUnit` of gRPC's "PROTOCOL-HTTP2".
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        parse(&HeaderValue::from_str(text).expect("a header"))
    }

    #[test]
    fn every_unit_of_the_specification_is_known() {
        assert_eq!(parsed("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parsed("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parsed("10S"), Some(Duration::from_secs(10)));
        assert_eq!(parsed("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parsed("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(parsed("0n"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_not_a_timeout_is_refused() {
        for text in ["", "S", "1", "1s", "123456789S", "-1S", "+1S", " 1S", "1.5S", "1Sm"] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_sooner_deadline_holds() {
        let (mut headers, now) = (HeaderMap::new(), Instant::now());
        assert_eq!(deadline(&headers, now, None).expect("none"), None);
        headers.insert(TIMEOUT, HeaderValue::from_static("1H"));
        let limit = Some(Duration::from_secs(5));
        let at = deadline(&headers, now, limit).expect("well-formed").expect("one");
        assert_eq!(at, now + Duration::from_secs(5));
        headers.insert(TIMEOUT, HeaderValue::from_static("1S"));
        let at = deadline(&headers, now, limit).expect("well-formed").expect("one");
        assert_eq!(at, now + Duration::from_secs(1));
        headers.insert(TIMEOUT, HeaderValue::from_static("0n"));
        let fault = deadline(&headers, now, limit).expect_err("over already");
        assert_eq!(fault.reason(), "DEADLINE_EXCEEDED");
        headers.insert(TIMEOUT, HeaderValue::from_static("soon"));
        let fault = deadline(&headers, now, limit).expect_err("malformed");
        assert_eq!(fault.reason(), "MALFORMED_TIMEOUT");
    }

    #[test]
    fn a_timeout_is_written_as_finely_as_eight_digits_allow() {
        let written = |timeout| write(timeout).to_str().expect("text").to_owned();
        assert_eq!(written(Duration::from_nanos(5)), "5n");
        assert_eq!(written(Duration::from_secs(10)), "10000000u");
        assert_eq!(written(Duration::from_secs(3600)), "3600000m");
        assert_eq!(written(Duration::MAX), "99999999H");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_no_longer_and_hardly_shorter(millis in 1_u64..1 << 40) {
            let timeout = Duration::from_millis(millis);
            let read = parse(&write(timeout)).expect("well-formed");
            prop_assert!(read <= timeout && read >= timeout.mul_f64(0.99));
        }

        #[test]
        fn no_header_panics(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(TIMEOUT, value);
                let _ = deadline(&headers, Instant::now(), None);
            }
        }

        #[test]
        fn every_well_formed_timeout_is_read(number in 0_u64..100_000_000) {
            prop_assert_eq!(parsed(&format!("{number}m")), Some(Duration::from_millis(number)));
        }
    }
}
