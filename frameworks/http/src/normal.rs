//! Paths that are written otherwise and mean the same (RFC 3986, sections 6.2.2.1 and 6.2.2.2).

use std::borrow::Cow;

use http::{Uri, uri::PathAndQuery};

/// The path in its normal form: what needs no percent-encoding has none, and the digits of the
/// others are in upper case. `%2F` stays as it is: it is data and parts no segments. Dot segments
/// are the client's to remove; no path is a file's.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut rest = path;
    let mut normal = String::with_capacity(path.len());
    while let Some(at) = rest.find('%') {
        let (before, encoded) = rest.split_at(at);
        normal.push_str(before);
        rest = match triplet(encoded.as_bytes()) {
            Some(byte) if is_unreserved(byte) => {
                normal.push(char::from(byte));
                &encoded[3..]
            }
            Some(_) => {
                normal.push_str(&encoded[..3].to_ascii_uppercase());
                &encoded[3..]
            }
            // Behind a `%` that stands alone, decoded digits would make an encoding of it.
            None => return Cow::Borrowed(path),
        };
    }
    normal.push_str(rest);
    Cow::Owned(normal)
}

/// Gives a URI this path, which is its own in its normal form.
pub(crate) fn rewrite(uri: &mut Uri, path: &str) {
    let whole = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = whole.ok();
    if let Ok(normal) = Uri::from_parts(parts) {
        *uri = normal;
    }
}

/// The byte that `%XX` stands for.
fn triplet(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(1)? * 16 + digit(2)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_needs_no_encoding_is_decoded() {
        for (given, normal) in [
            ("/fine", "/fine"),
            ("/%66ine%7e", "/fine~"),
            ("/a%2fb%2F", "/a%2Fb%2F"),
            ("/%c3%bc", "/%C3%BC"),
            ("/%2e%2E/x", "/../x"),
            ("/%25%36%36", "/%2566"),
            ("/%", "/%"),
            ("/%6", "/%6"),
            ("/%zz%61", "/%zz%61"),
            ("/%%30a", "/%%30a"),
            ("/%é", "/%é"),
        ] {
            assert_eq!(path(given), normal, "{given}");
        }
        assert!(matches!(path("/plain/path"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_uri_keeps_what_is_not_its_path() {
        for (given, normal) in [("/%62?x=%62", "/b?x=%62"), ("http://a:1/%62", "http://a:1/b")] {
            let mut uri = Uri::from_static(given);
            rewrite(&mut uri, "/b");
            assert_eq!(uri, normal);
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_normal_and_means_the_same(text in "/[a-f0-9%/é]{0,20}") {
            let normal = path(&text).into_owned();
            let decodes = |text: &str| -> Vec<u8> {
                let mut out = Vec::new();
                let mut rest = text.as_bytes();
                while let Some(first) = rest.first() {
                    let byte = (*first == b'%').then(|| triplet(rest)).flatten();
                    out.push(byte.unwrap_or(*first));
                    rest = &rest[if byte.is_some() { 3 } else { 1 }..];
                }
                out
            };
            prop_assert_eq!(decodes(&normal), decodes(&text));
        }
    }
}
