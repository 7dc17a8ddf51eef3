//! Paths that are written otherwise and mean the same (RFC 3986, sections 6.2.2.1 and 6.2.2.2).

use std::borrow::Cow;

/// The path in its normal form: what needs no percent-encoding has none, and the digits of the
/// others are in upper case. Requests are routed by it, so that two ways to write a path lead to the
/// same place. `%2F` stays as it is: it is data and parts no segments. Dot segments are the client's
/// to remove; no path is a file's.
///
/// # Examples
/// ```
/// use polyport_listener::normal_path;
///
/// assert_eq!(normal_path("/%66ine/%c3%bc"), "/fine/%C3%BC");
/// ```
#[must_use]
pub fn normal_path(path: &str) -> Cow<'_, str> {
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
            assert_eq!(normal_path(given), normal, "{given}");
        }
        assert!(matches!(normal_path("/plain/path"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn the_normal_form_is_normal_and_means_the_same(text in "/[a-f0-9%/é]{0,20}") {
            let normal = normal_path(&text).into_owned();
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
