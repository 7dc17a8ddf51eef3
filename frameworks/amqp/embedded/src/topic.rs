//! Binding patterns of topic exchanges: `*` stands for one word, `#` for any number of them.

/// A binding key of a topic exchange, taken apart once at bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    One,
    Any,
    Exactly(Box<str>),
}

impl Pattern {
    pub(crate) fn new(key: &str) -> Self {
        Self(words(key).map(Word::new).collect())
    }

    /// Whether `key` matches, in time proportional to the words of pattern times those of key.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let key: Vec<&str> = words(key).collect();
        let mut reached = vec![false; key.len() + 1];
        reached[0] = true;
        for word in &self.0 {
            word.step(&key, &mut reached);
        }
        reached[key.len()]
    }
}

impl Word {
    fn new(word: &str) -> Self {
        match word {
            "*" => Self::One,
            "#" => Self::Any,
            exact => Self::Exactly(exact.into()),
        }
    }

    /// Moves on from every number of words of `key` that the pattern before this word can match.
    fn step(&self, key: &[&str], reached: &mut [bool]) {
        if matches!(self, Self::Any) {
            let first = reached.iter().position(|at| *at).unwrap_or(reached.len());
            reached[first..].fill(true);
            return;
        }
        for at in (0..key.len()).rev() {
            reached[at + 1] = reached[at] && self.takes(key[at]);
        }
        reached[0] = false;
    }

    fn takes(&self, word: &str) -> bool {
        match self {
            Self::Exactly(exact) => **exact == *word,
            Self::One | Self::Any => true,
        }
    }
}

/// The words of a key; the empty key has none.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').filter(move |_| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern, key) {
            ([], key) => key.is_empty(),
            (["#", rest @ ..], key) => (0..=key.len()).any(|skip| naive(rest, &key[skip..])),
            (["*", rest @ ..], [_, key @ ..]) => naive(rest, key),
            ([word, rest @ ..], [first, key @ ..]) => word == first && naive(rest, key),
            (_, []) => false,
        }
    }

    fn key_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
        prop::collection::vec(prop::sample::select(words), 0..7)
    }

    proptest! {
        #[test]
        fn matches_as_the_naive_reference_does(
            pattern in key_of(&["a", "b", "*", "#"]),
            key in key_of(&["a", "b", "c"]),
        ) {
            let matches = Pattern::new(&pattern.join(".")).matches(&key.join("."));
            prop_assert_eq!(matches, naive(&pattern, &key));
        }

        #[test]
        fn any_key_matches_itself_and_the_hash(key in "[a-z.]{0,40}") {
            prop_assert!(Pattern::new(&key).matches(&key));
            prop_assert!(Pattern::new("#").matches(&key));
        }
    }

    #[test]
    fn the_empty_key_has_no_word() {
        assert!(!Pattern::new("*").matches(""));
        assert!(Pattern::new("*.").matches("a."));
        assert!(!Pattern::new("a").matches("a."));
    }

    #[test]
    fn a_pattern_of_hashes_does_not_take_exponential_time() {
        let pattern = Pattern::new(&["#"; 100].join("."));
        assert!(pattern.matches(&["a"; 120].join(".")));
        let pattern = Pattern::new(&[["#.a"; 60].join("."), "b".to_owned()].join("."));
        assert!(!pattern.matches(&["a"; 120].join(".")));
    }
}
