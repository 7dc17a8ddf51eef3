//! Headers and cookies as named values.

use std::borrow::Cow;

use http::{HeaderMap, header};

use super::named::{AllGiven, Given};

/// Every value of a header: each line is one.
pub(super) fn header<'a>(metadata: &'a HeaderMap, name: &str) -> AllGiven<'a> {
    metadata.get_all(name).iter().map(|value| Given::bytes(value.as_bytes())).collect()
}

/// The name of the header that a struct's field names: `x_user` and `xUser` are `x-user`.
pub(super) fn kebab(field: &str) -> Cow<'_, str> {
    if !field.bytes().any(|byte| byte == b'_' || byte.is_ascii_uppercase()) {
        return Cow::Borrowed(field);
    }
    let mut name = String::with_capacity(field.len() + 2);
    let mut is_within_word = false;
    for letter in field.chars() {
        if letter.is_ascii_uppercase() && is_within_word {
            name.push('-');
        }
        is_within_word = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        name.push(if letter == '_' { '-' } else { letter.to_ascii_lowercase() });
    }
    Cow::Owned(name)
}

/// The first cookie of a name (RFC 6265, section 5.4: the one of the closest path). Its value is
/// opaque; quotes around it do not belong to it.
pub(super) fn cookie<'a>(metadata: &'a HeaderMap, name: &str) -> Option<Given<'a>> {
    let (_, value) = cookies(metadata).find(|(known, _)| *known == name.as_bytes())?;
    Some(Given::bytes(value))
}

/// All cookies of a call, names and values, in the order in which they came (RFC 6265, section 5.4):
/// of one name the first counts. Quotes around a value do not belong to it.
pub fn cookies(metadata: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = metadata.get_all(header::COOKIE).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        Some((name, inner.unwrap_or(value)))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn with(cookies: &[&[u8]]) -> HeaderMap {
        let value = |line: &&[u8]| HeaderValue::from_bytes(line).expect("is a header");
        cookies.iter().map(|line| (header::COOKIE, value(line))).collect()
    }

    fn text(metadata: &HeaderMap, name: &str) -> Option<String> {
        cookie(metadata, name).map(|given| match given {
            Given::Text(text) => text.into_owned(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn fields_name_headers() {
        for (field, name) in
            [("x_user", "x-user"), ("xUserId", "x-user-id"), ("host", "host"), ("ETag", "etag")]
        {
            assert_eq!(kebab(field), name);
        }
    }

    #[test]
    fn cookies_are_found_by_name_and_the_first_counts() {
        let metadata = with(&[b"a=1; b=\"x y\";c=", b"a=2;  d = e=f ; g; \"=\""]);
        let of = |name| text(&metadata, name);
        assert_eq!((of("a").as_deref(), of("b").as_deref()), (Some("1"), Some("x y")));
        assert_eq!((of("c").as_deref(), of("d").as_deref()), (Some(""), Some("e=f")));
        assert_eq!((of("g"), of("A")), (None, None));
        assert_eq!(text(&with(&[b"a=%41"]), "a").as_deref(), Some("%41"), "values are opaque");
    }

    proptest! {
        #[test]
        fn no_bytes_make_cookies_panic(bytes in any::<Vec<u8>>(), name in ".*") {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let metadata = HeaderMap::from_iter([(header::COOKIE, value)]);
                let _ = cookie(&metadata, &name);
                prop_assert!(cookies(&metadata).count() <= bytes.len());
            }
        }
    }
}
