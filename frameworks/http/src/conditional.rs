//! Conditional requests and requests for a part (RFC 9110, sections 13 and 14).

use std::{
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What of a body is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing: the client has it already.
    NotModified,
    /// Nothing: it is not the version that the client means.
    PreconditionFailed,
    /// Nothing: it is shorter than that.
    Unsatisfiable,
}

/// What is known of the body as it is now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Version<'a> {
    pub(crate) etag: Option<&'a HeaderValue>,
    pub(crate) last_modified: Option<SystemTime>,
    /// None where no part of it can be had.
    pub(crate) length: Option<u64>,
}

/// Decides in the order of RFC 9110, section 13.2.2.
pub(crate) fn select(method: &Method, request: &HeaderMap, version: Version<'_>) -> Selected {
    if *method != Method::GET && *method != Method::HEAD {
        return Selected::Whole;
    }
    if !version.is_meant(request) {
        return Selected::PreconditionFailed;
    }
    if version.is_known(request) {
        return Selected::NotModified;
    }
    match (request.get(header::RANGE), version.length) {
        (Some(range), Some(length)) if *method == Method::GET && version.is_current(request) => {
            part(range, length)
        }
        _ => Selected::Whole,
    }
}

impl Version<'_> {
    /// `If-Match`, else `If-Unmodified-Since`.
    fn is_meant(&self, request: &HeaderMap) -> bool {
        if request.contains_key(header::IF_MATCH) {
            return lists(request, header::IF_MATCH, |tag| self.is_strongly(tag));
        }
        match (date(request, header::IF_UNMODIFIED_SINCE), self.modified()) {
            (Some(since), Some(modified)) => modified <= since,
            _ => true,
        }
    }

    /// `If-None-Match`, else `If-Modified-Since`.
    fn is_known(&self, request: &HeaderMap) -> bool {
        if request.contains_key(header::IF_NONE_MATCH) {
            return lists(request, header::IF_NONE_MATCH, |tag| self.is_weakly(tag));
        }
        match (date(request, header::IF_MODIFIED_SINCE), self.modified()) {
            (Some(since), Some(modified)) => modified <= since,
            _ => false,
        }
    }

    /// `If-Range`: whether the part belongs to what the client has.
    fn is_current(&self, request: &HeaderMap) -> bool {
        let Some(known) = request.get(header::IF_RANGE) else { return true };
        if self.is_strongly(known.as_bytes()) {
            return true;
        }
        let since = date(request, header::IF_RANGE);
        // A date is strong only where nothing can have changed since within its second.
        let is_settled =
            |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > Duration::from_secs(2));
        since.is_some() && since == self.modified() && self.modified().is_some_and(is_settled)
    }

    fn is_strongly(&self, tag: &[u8]) -> bool {
        self.etag.is_some_and(|known| known.as_bytes() == tag && !tag.starts_with(b"W/"))
    }

    fn is_weakly(&self, tag: &[u8]) -> bool {
        let opaque = |tag| <[u8]>::strip_prefix(tag, b"W/").unwrap_or(tag);
        self.etag.is_some_and(|known| opaque(known.as_bytes()) == opaque(tag))
    }

    /// HTTP knows no parts of a second.
    fn modified(&self) -> Option<SystemTime> {
        let since = self.last_modified?.duration_since(UNIX_EPOCH).ok()?;
        Some(UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }
}

/// Whether the list of a header is `*` or has an entity tag that `matches`.
fn lists(request: &HeaderMap, name: HeaderName, matches: impl Fn(&[u8]) -> bool) -> bool {
    let values = request.get_all(name);
    let is_any = |value: &HeaderValue| value.as_bytes().trim_ascii() == b"*";
    values.iter().any(|value| is_any(value) || Tags(value.as_bytes()).any(&matches))
}

/// The entity tags of a list; they may have commas in their quotes.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let begin = self.0.iter().position(|byte| !b" \t,".contains(byte))?;
        let rest = &self.0[begin..];
        let open = rest.iter().position(|byte| *byte == b'"')?;
        let length = rest[open + 1..].iter().position(|byte| *byte == b'"')?;
        let (tag, rest) = rest.split_at(open + length + 2);
        self.0 = rest;
        Some(tag)
    }
}

fn date(request: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(request.get(name)?.to_str().ok()?).ok()
}

/// One range of bytes; several, other units and what is malformed are answered with the whole.
fn part(range: &HeaderValue, length: u64) -> Selected {
    let bounds = range.to_str().ok().and_then(|text| {
        let (unit, range) = text.split_once('=')?;
        unit.trim().eq_ignore_ascii_case("bytes").then_some(range.trim())?.split_once('-')
    });
    let Some((first, last)) = bounds else { return Selected::Whole };
    let range = match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => first..length,
        (Some(first), Some(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Selected::Whole,
    };
    if range.is_empty() { Selected::Unsatisfiable } else { Selected::Part(range) }
}

/// A number that is too large is beyond every end.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(headers: &[(&'static str, &str)]) -> Selected {
        let etag = HeaderValue::from_static("\"v,1\"");
        let last_modified = Some(UNIX_EPOCH + Duration::from_millis(1_000_500));
        let version = Version { etag: Some(&etag), last_modified, length: Some(10) };
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        let headers = headers.iter().map(header).collect();
        select(&Method::GET, &headers, version)
    }

    /// When the body was changed, and a second before.
    const THEN: &str = "Thu, 01 Jan 1970 00:16:40 GMT";
    const BEFORE: &str = "Thu, 01 Jan 1970 00:16:39 GMT";

    #[test]
    fn ranges_are_cut_out_of_what_there_is() {
        for (range, expected) in [
            ("bytes=0-3", Selected::Part(0..4)),
            ("Bytes = 9-", Selected::Part(9..10)),
            ("bytes=5-99999999999999999999", Selected::Part(5..10)),
            ("bytes=-4", Selected::Part(6..10)),
            ("bytes=-99", Selected::Part(0..10)),
            ("bytes=10-", Selected::Unsatisfiable),
            ("bytes=-0", Selected::Unsatisfiable),
            ("bytes=0-1,4-5", Selected::Whole),
            ("bytes=3-2", Selected::Whole),
            ("bytes=+1-2", Selected::Whole),
            ("bytes=-", Selected::Whole),
            ("bytes=a-b", Selected::Whole),
            ("items=0-3", Selected::Whole),
        ] {
            assert_eq!(ask(&[("range", range)]), expected, "{range}");
        }
    }

    #[test]
    fn versions_are_compared_in_the_order_of_the_standard() {
        for (headers, expected) in [
            (&[("if-none-match", "\"v,1\"")][..], Selected::NotModified),
            (&[("if-none-match", "\"a\", W/\"v,1\"")], Selected::NotModified),
            (&[("if-none-match", "*")], Selected::NotModified),
            (&[("if-none-match", "\"v\"")], Selected::Whole),
            (&[("if-modified-since", THEN)], Selected::NotModified),
            (&[("if-modified-since", BEFORE)], Selected::Whole),
            (&[("if-none-match", "\"v\""), ("if-modified-since", THEN)], Selected::Whole),
            (&[("if-match", "\"v,1\"")], Selected::Whole),
            (&[("if-match", "W/\"v,1\"")], Selected::PreconditionFailed),
            (&[("if-unmodified-since", BEFORE)], Selected::PreconditionFailed),
            (&[("if-unmodified-since", THEN)], Selected::Whole),
            (&[("if-range", "\"v,1\""), ("range", "bytes=0-0")], Selected::Part(0..1)),
            (&[("if-range", "W/\"v,1\""), ("range", "bytes=0-0")], Selected::Whole),
            (&[("if-range", THEN), ("range", "bytes=0-0")], Selected::Part(0..1)),
            (&[("if-range", BEFORE), ("range", "bytes=0-0")], Selected::Whole),
            (&[("if-none-match", "\"v,1\""), ("range", "bytes=0-0")], Selected::NotModified),
        ] {
            assert_eq!(ask(headers), expected, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_a_part_lies_within(range in "bytes=[-0-9, ]{0,24}", length: u64) {
            let range = HeaderValue::from_str(&range).expect("a value");
            if let Selected::Part(part) = part(&range, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn no_list_of_tags_makes_the_reader_panic(list in any::<Vec<u8>>()) {
            let _ = Tags(&list).count();
        }
    }
}
