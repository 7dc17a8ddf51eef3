//! On which line of a file something stands.

use std::collections::BTreeMap;

/// The line of a key, counted from 1, and of those below it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::config) struct Places {
    pub(super) line: Option<usize>,
    pub(super) children: BTreeMap<String, Places>,
}

impl Places {
    pub(super) fn at(line: usize) -> Self {
        Self { line: Some(line), children: BTreeMap::new() }
    }

    /// The line of the key at `path`, if that can be told for certain.
    pub(in crate::config) fn line_of<S: AsRef<str>>(&self, path: &[S]) -> Option<usize> {
        let place =
            path.iter().try_fold(self, |place, segment| place.children.get(segment.as_ref()))?;
        place.line.filter(|_| !path.is_empty())
    }
}

/// A text whose lines can be told quickly.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = [0].into_iter().chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The line, counted from 1, of a byte of the text.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The line and column, counted from 1, of a byte of the text.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = (0..=offset.min(self.text.len()))
            .rev()
            .find(|offset| self.text.is_char_boundary(*offset))
            .unwrap_or_default();
        let line = self.line(offset);
        (line, self.text[self.starts[line - 1]..offset].chars().count() + 1)
    }

    /// What stands on a line, counted from 1.
    pub(super) fn content(&self, line: usize) -> &'t str {
        let start = self.starts.get(line - 1).copied().unwrap_or(self.text.len());
        self.text[start..].lines().next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_survive_any_offset() {
        let lines = Lines::new("äb\ncd");
        assert_eq!(lines.position(2), (1, 2));
        assert_eq!(lines.position(1), (1, 1));
        assert_eq!(lines.position(3), (1, 3));
        assert_eq!(lines.position(4), (2, 1));
        assert_eq!(lines.position(99), (2, 3));
        assert_eq!((lines.content(1), lines.content(2), lines.content(3)), ("äb", "cd", ""));
    }
}
