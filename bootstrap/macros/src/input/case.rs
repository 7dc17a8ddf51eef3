//! How the names of fields are written: serde's conventions, and that of headers.

use syn::{LitStr, Result};

/// A convention of `#[serde(rename_all = "…")]`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    pub(super) fn parse(text: &LitStr) -> Result<Self> {
        Ok(match text.value().as_str() {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return Err(syn::Error::new(text.span(), "serde knows no such convention")),
        })
    }

    /// The name of a field that Rust writes in snake case.
    pub(super) fn apply(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Pascal => pascal(field),
            Self::Camel => {
                let pascal = pascal(field);
                let first = pascal.chars().next().map_or(0, char::len_utf8);
                pascal[..first].to_ascii_lowercase() + &pascal[first..]
            }
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn pascal(field: &str) -> String {
    let mut out = String::new();
    let mut is_first = true;
    for letter in field.chars() {
        match letter {
            '_' => is_first = true,
            letter if std::mem::take(&mut is_first) => out.push(letter.to_ascii_uppercase()),
            letter => out.push(letter),
        }
    }
    out
}

/// A name as headers are written: `userId` and `user_id` are `user-id`.
pub(super) fn header(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let previous = at.checked_sub(1).map(|at| letters[at]);
        let begins_word = letter.is_ascii_uppercase()
            && previous.is_some_and(|previous| {
                previous.is_ascii_lowercase()
                    || previous.is_ascii_digit()
                    || (previous.is_ascii_uppercase()
                        && letters.get(at + 1).is_some_and(char::is_ascii_lowercase))
            });
        if begins_word {
            out.push('-');
        }
        out.push(if *letter == '_' { '-' } else { letter.to_ascii_lowercase() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_headers() {
        for (name, expected) in [
            ("userId", "user-id"),
            ("user_id", "user-id"),
            ("x-user", "x-user"),
            ("requestID", "request-id"),
            ("HTTPServer", "http-server"),
            ("page2Size", "page2-size"),
            ("User", "user"),
        ] {
            assert_eq!(header(name), expected);
        }
    }

    #[test]
    fn fields_are_named_by_serdes_conventions() {
        assert_eq!(Case::Camel.apply("user_id"), "userId");
        assert_eq!(Case::Pascal.apply("user_id"), "UserId");
        assert_eq!(Case::ScreamingKebab.apply("user_id"), "USER-ID");
        assert_eq!(Case::Upper.apply("user_id"), "USER_ID");
    }
}
