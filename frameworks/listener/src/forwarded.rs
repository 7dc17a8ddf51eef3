//! What proxies say of the client (RFC 7239, and the older `X-Forwarded-*`).

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName,
    header::FORWARDED,
    uri::{Authority, Scheme},
};

use crate::trust::Trust;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// As an extension of a request that a trusted proxy has passed on: what the client asked the
/// outermost of the trusted proxies for. Where the client came from is the request's
/// [`PeerAddr`](crate::PeerAddr), with port 0 where the proxy did not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    scheme: Option<Scheme>,
    host: Option<Authority>,
}

impl Forwarded {
    /// How the client spoke to the proxy, `http` or `https`, where it says so.
    #[must_use]
    pub fn scheme(&self) -> Option<&Scheme> {
        self.scheme.as_ref()
    }

    /// The host that the client asked for, where the proxy says so.
    #[must_use]
    pub fn host(&self) -> Option<&Authority> {
        self.host.as_ref()
    }
}

/// Removes what a peer says that is no trusted proxy, so that nobody believes it.
pub(crate) fn remove(headers: &mut HeaderMap) {
    for name in [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
        headers.remove(name);
    }
}

/// The client, as a trusted peer tells. Where the two kinds of headers tell of different clients,
/// one of them came from the client itself and neither counts.
pub(crate) fn read(headers: &HeaderMap, trust: &Trust) -> (Option<SocketAddr>, Option<Forwarded>) {
    let standard = read_one(standard_hops(headers), trust);
    let common = read_one(common_hops(headers), trust);
    // What cannot be read may have been made so by the client, to have the other kind believed.
    let garbled =
        |name: &HeaderName, seen: &Option<Seen>| headers.contains_key(name) && seen.is_none();
    if garbled(&FORWARDED, &standard) || garbled(&X_FORWARDED_FOR, &common) {
        return (None, None);
    }
    match (standard, common) {
        (Some(standard), Some(common)) if standard.ip() != common.ip() => (None, None),
        (Some(seen), _) | (None, Some(seen)) => seen.tell(),
        (None, None) => (None, None),
    }
}

/// Where a request passed by: a client, or a proxy on its way.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    /// None where it does not want to be known.
    address: Option<SocketAddr>,
    scheme: Option<String>,
    host: Option<String>,
}

/// What is believed of a request.
struct Seen {
    address: Option<SocketAddr>,
    hop: Hop,
}

impl Seen {
    fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip())
    }

    fn tell(self) -> (Option<SocketAddr>, Option<Forwarded>) {
        let scheme = self.hop.scheme.as_deref().and_then(scheme_named);
        let host = self.hop.host.and_then(|host| host.parse::<Authority>().ok());
        let says = scheme.is_some() || host.is_some();
        (self.address, says.then_some(Forwarded { scheme, host }))
    }
}

fn scheme_named(name: &str) -> Option<Scheme> {
    let known = [("http", Scheme::HTTP), ("https", Scheme::HTTPS)];
    known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, scheme)| scheme)
}

/// From the last hop to the first, each of which was told by the one after it, as long as that one
/// is trusted.
fn read_one(hops: Option<Vec<Hop>>, trust: &Trust) -> Option<Seen> {
    let mut seen: Option<Seen> = None;
    for hop in hops?.into_iter().rev() {
        let known = seen.as_ref().and_then(|seen| seen.address);
        let is_proxy = hop.address.is_some_and(|address| trust.trusts(address.ip()));
        seen = Some(Seen { address: hop.address.or(known), hop });
        if !is_proxy {
            break;
        }
    }
    seen
}

/// `X-Forwarded-For` and its kin: lists of which the last entry is the nearest proxy's.
fn common_hops(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let addresses = list(headers, &X_FORWARDED_FOR)?;
    let schemes = list(headers, &X_FORWARDED_PROTO).unwrap_or_default();
    let hosts = list(headers, &X_FORWARDED_HOST).unwrap_or_default();
    // Some proxies add to these lists, most put one value into each.
    let of = |values: &[&str], index: usize| match values.len() == addresses.len() {
        true => values.get(index).map(|value| (*value).to_owned()),
        false => values.last().map(|value| (*value).to_owned()),
    };
    let hop = |(index, address): (usize, &&str)| Hop {
        address: node(address),
        scheme: of(&schemes, index),
        host: of(&hosts, index),
    };
    Some(addresses.iter().enumerate().map(hop).collect())
}

/// None where there is no such header, or one that is no text.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Vec<&'h str>> {
    let values = headers.get_all(name).iter().map(|value| value.to_str());
    let values = values.collect::<Result<Vec<_>, _>>().ok()?;
    let entries: Vec<_> = values.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    (!entries.is_empty()).then_some(entries)
}

/// `Forwarded`; none where there is none, or a malformed one.
fn standard_hops(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    for value in headers.get_all(FORWARDED) {
        for element in split(value.to_str().ok()?, ',')? {
            hops.push(hop(element)?);
        }
    }
    (!hops.is_empty()).then_some(hops)
}

/// One element: `for=192.0.2.1;proto=https;host="example.com"`.
fn hop(element: &str) -> Option<Hop> {
    let mut hop = Hop::default();
    for pair in split(element, ';')?.into_iter().filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value)?;
        match name.to_ascii_lowercase().as_str() {
            "for" => hop.address = node(&value),
            "proto" => hop.scheme = Some(value),
            "host" => hop.host = Some(value),
            _ => {}
        }
    }
    Some(hop)
}

/// Splits where `at` stands outside quotes; none where a quote is not closed.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == at && !quoted => {
                parts.push(text[start..index].trim());
                start = index + at.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    (!quoted).then_some(parts)
}

/// A token as it is, or what a quoted string says (RFC 9110, section 5.6.4).
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return (!value.contains('"')).then(|| value.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let (mut text, mut escaped) = (String::new(), false);
    for character in inner.chars() {
        match character {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return None,
            _ => {
                escaped = false;
                text.push(character);
            }
        }
    }
    (!escaped).then_some(text)
}

/// An address with or without a port; none where it is hidden (`_gazonk`, `unknown`).
fn node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = |text: &str| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    let unbracketed = |text: &str| bare(text.strip_prefix('[')?.strip_suffix(']')?);
    // A port may be hidden too: `192.0.2.1:_x`.
    let without_port = || {
        let (host, port) = text.rsplit_once(':')?;
        port.starts_with('_').then(|| bare(host).or_else(|| unbracketed(host)))?
    };
    bare(text).or_else(|| unbracketed(text)).or_else(without_port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn trust() -> Trust {
        Trust::new(&["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network")))
    }

    fn told(lines: &[(&'static str, &str)]) -> (Option<String>, Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let (address, origin) = read(&headers, &trust());
        let text = |text: Option<String>| text;
        let scheme = origin.as_ref().and_then(Forwarded::scheme).map(ToString::to_string);
        let host = origin.as_ref().and_then(Forwarded::host).map(ToString::to_string);
        (text(address.map(|address| address.to_string())), scheme, host)
    }

    fn client(lines: &[(&'static str, &str)]) -> Option<String> {
        told(lines).0
    }

    #[test]
    fn the_client_is_the_last_that_is_no_trusted_proxy() {
        for (value, expected) in [
            ("198.51.100.1", "198.51.100.1:0"),
            ("198.51.100.1:4711", "198.51.100.1:4711"),
            ("198.51.100.1, 10.0.0.1", "198.51.100.1:0"),
            ("6.6.6.6, 198.51.100.1, 10.0.0.1, 2001:db8::1", "198.51.100.1:0"),
            ("10.0.0.2, 10.0.0.1", "10.0.0.2:0"),
            ("unknown, 10.0.0.1", "10.0.0.1:0"),
        ] {
            assert_eq!(client(&[("x-forwarded-for", value)]).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(client(&[("x-forwarded-for", "unknown")]), None);
        assert_eq!(client(&[]), None);
    }

    #[test]
    fn the_standard_header_is_read_as_rfc_7239_writes_it() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:0"),
            ("for=\"[2001:db9:cafe::17]:4711\"", "[2001:db9:cafe::17]:4711"),
            ("For=192.0.2.43, for=10.1.2.3", "192.0.2.43:0"),
            ("for=192.0.2.43,for=\"10.0.0.1:_hidden\"", "192.0.2.43:0"),
        ] {
            assert_eq!(client(&[("forwarded", value)]).as_deref(), Some(expected), "{value}");
        }
        for malformed in ["for", "for=\"192.0.2.1", "for=_gazonk", "for=\"a\"b\""] {
            assert_eq!(client(&[("forwarded", malformed)]), None, "{malformed}");
        }
    }

    #[test]
    fn scheme_and_host_are_those_of_the_same_hop() {
        let expected = |host: &str| {
            let client = Some("198.51.100.1:0".to_owned());
            (client, Some("https".to_owned()), Some(host.to_owned()))
        };
        let line = "for=6.6.6.6;host=evil, for=198.51.100.1;proto=HTTPS;host=\"a.example:8443\", \
                    for=10.0.0.1;proto=http";
        assert_eq!(told(&[("forwarded", line)]), expected("a.example:8443"));
        let lines = [
            ("x-forwarded-for", "198.51.100.1, 10.0.0.1"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "a.example"),
        ];
        assert_eq!(told(&lines), expected("a.example"));
    }

    #[test]
    fn two_kinds_of_headers_that_disagree_tell_nothing() {
        let disagree = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=6.6.6.6")];
        assert_eq!(client(&disagree), None);
        for garbled in ["for=\"", "for"] {
            let lines = [("x-forwarded-for", "6.6.6.6"), ("forwarded", garbled)];
            assert_eq!(client(&lines), None, "{garbled}");
        }
        let agree = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")];
        assert_eq!(client(&agree).as_deref(), Some("198.51.100.1:0"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(
            standard in "[ -~]{0,64}", common in "[ -~]{0,64}", proto in "[ -~]{0,16}",
        ) {
            told(&[
                ("forwarded", &standard), ("x-forwarded-for", &common), ("x-forwarded-proto", &proto),
            ]);
        }

        #[test]
        fn what_a_client_makes_up_is_never_believed(
            made_up in "[ -~]{0,40}", client_ip in 1u8..=254,
        ) {
            let value = format!("{made_up}, 198.51.100.{client_ip}, 10.0.0.1");
            let expected = format!("198.51.100.{client_ip}:0");
            prop_assert_eq!(client(&[("x-forwarded-for", &value)]), Some(expected));
        }

        #[test]
        fn a_quoted_string_is_read_as_it_was_meant(text in "[ -~]{0,32}") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(unquoted(&quoted), Some(text));
            prop_assert_eq!(split(&quoted, ',').map(|parts| parts.len()), Some(1));
        }
    }
}
