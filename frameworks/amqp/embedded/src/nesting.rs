//! A guard before the recursive parser: how deep field tables and arrays are nested.

/// The deepest nesting of field tables and arrays that is parsed. Far above what any client
/// sends, far below what exhausts a stack.
const DEEPEST: usize = 64;

const LENGTH: usize = 4;

/// Whether tables and arrays in `payload` may be nested deeper than [`DEEPEST`].
///
/// Every byte that could open a table (`F`) or an array (`A`) with a length that fits is taken
/// for one, so the count is an upper bound of the true depth: the parser recurses once per level
/// and would overflow the stack on a payload made for it.
pub(crate) fn too_deep(payload: &[u8]) -> bool {
    let mut open: Vec<usize> = Vec::new();
    for (at, byte) in payload.iter().enumerate() {
        if !matches!(byte, b'F' | b'A') {
            continue;
        }
        if let Some(end) = container_end(payload, at + 1) {
            open.retain(|open_end| *open_end > at);
            open.push(end);
            if open.len() > DEEPEST {
                return true;
            }
        }
    }
    false
}

fn container_end(payload: &[u8], at: usize) -> Option<usize> {
    let length = payload.get(at..at + LENGTH)?.try_into().ok().map(u32::from_be_bytes)?;
    let end = at.checked_add(LENGTH)?.checked_add(usize::try_from(length).ok()?)?;
    (end <= payload.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        (0..levels).fold(Vec::new(), |inner, _| {
            let mut outer = vec![b'A'];
            outer.extend(u32::try_from(inner.len()).unwrap().to_be_bytes());
            outer.extend(inner);
            outer
        })
    }

    #[test]
    fn nesting_is_refused_only_beyond_the_limit() {
        assert!(!too_deep(&nested(DEEPEST)));
        assert!(too_deep(&nested(DEEPEST + 1)));
    }

    #[test]
    fn siblings_and_plain_text_are_not_nesting() {
        assert!(!too_deep(&nested(3).repeat(1_000)));
        assert!(!too_deep(&b"FAFAFAFA".repeat(1_000)));
    }
}
