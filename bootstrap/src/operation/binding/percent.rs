//! Percent-encoding: RFC 3986, section 2.1, and what forms make of it (WHATWG URL, section 5.1).

use std::borrow::Cow;

/// What a space is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// `%20`, as everywhere in a URI.
    Escaped,
    /// `+` as well, as in queries and forms.
    Plus,
}

/// What is no escape, or decodes to bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Decodes `text`; nothing is copied where nothing is escaped.
pub(super) fn decode(text: &[u8], space: Space) -> Result<Cow<'_, str>, Malformed> {
    let is_escaped = |byte: &u8| *byte == b'%' || (*byte == b'+' && space == Space::Plus);
    let Some(first) = text.iter().position(is_escaped) else {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| Malformed);
    };
    let (plain, mut rest) = text.split_at(first);
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(plain);
    while let [byte, tail @ ..] = rest {
        (rest, _) = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => (tail, out.push(nibble(*high)? << 4 | nibble(*low)?)),
            (b'%', _) => return Err(Malformed),
            (b'+', _) if space == Space::Plus => (tail, out.push(b' ')),
            _ => (tail, out.push(*byte)),
        };
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Malformed)
}

/// The value of a hexadecimal digit.
fn nibble(digit: u8) -> Result<u8, Malformed> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_decoded() {
        let decoded = |text: &'static str, space| decode(text.as_bytes(), space).map(String::from);
        assert_eq!(decoded("a%20b%2fc%C3%A4+d", Space::Escaped).as_deref(), Ok("a b/cä+d"));
        assert_eq!(decoded("a+b%2B", Space::Plus).as_deref(), Ok("a b+"));
    }

    #[test]
    fn what_is_no_escape_or_no_text_is_refused() {
        for text in ["100%", "%zz", "%4", "%+1", "%ff", "%C3%28"] {
            assert_eq!(decode(text.as_bytes(), Space::Plus), Err(Malformed), "{text}");
        }
        assert_eq!(decode(b"\xff", Space::Escaped), Err(Malformed));
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(decode(b"lobby", Space::Plus), Ok(Cow::Borrowed("lobby"))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes, Space::Plus);
        }

        #[test]
        fn what_is_encoded_is_read_back(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(encoded.as_bytes(), Space::Escaped), Ok(Cow::Owned(text)));
        }
    }
}
