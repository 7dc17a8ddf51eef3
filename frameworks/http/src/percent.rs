//! Percent-encoding of parameters (RFC 3986, section 2.1).

/// Decodes `text`; what is no valid escape stays as it is. `None` where the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (rest, _) = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (tail, out.push(nibble(*high) << 4 | nibble(*low)))
            }
            _ => (tail, out.push(*first)),
        };
    }
    String::from_utf8(out).ok()
}

/// The value of a hexadecimal digit.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_decoded_and_the_rest_stays() {
        assert_eq!(decode("a%20b%2fc%C3%A4").as_deref(), Some("a b/cä"));
        assert_eq!(decode("100%, %zz %4").as_deref(), Some("100%, %zz %4"));
        assert_eq!(decode("%ff"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(text in ".*") {
            let _ = decode(&text);
        }

        #[test]
        fn what_is_encoded_is_read_back(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded), Some(text));
        }
    }
}
