//! What must not be seen: values under keys that look like secrets, and passwords in URLs and in
//! other texts of names and values.

use figment::value::{Num, Value};
use serde_json::Value as Json;

use super::interpolation::names_secret;

/// What stands in a secret's place.
const MASK: &str = "***";

const SECRET_WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "token",
    "secret",
    "key",
    "apikey",
    "credential",
];

/// What tells a secret at the end of a word too: `PGPASSWORD`, `authtoken`.
const SECRET_ENDS: [&str; 4] = ["password", "passwd", "token", "secret"];

/// Whether a key holds a secret, by one of its words, in the plural or numbered too: `password`,
/// `apiKey`, `auth_tokens`, `key2`; not `keyboard`.
pub(super) fn is_secret(key: &str) -> bool {
    words(key).any(|word| {
        let word = word.to_ascii_lowercase();
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let single = word.strip_suffix('s').unwrap_or(word);
        let is_one = |word: &str| SECRET_WORDS.contains(&word);
        is_one(word) || is_one(single) || SECRET_ENDS.iter().any(|end| single.ends_with(end))
    })
}

/// Whether a value at this path is a secret.
pub(super) fn is_secret_path<S: AsRef<str>>(path: &[S]) -> bool {
    path.iter().any(|segment| is_secret(segment.as_ref()))
}

/// `value` as JSON, as it may be shown.
pub(super) fn masked(value: &Value, secret: bool) -> Json {
    match value {
        Value::Dict(_, table) => Json::Object(
            table
                .iter()
                .map(|(key, value)| (key.clone(), masked(value, secret || is_secret(key))))
                .collect(),
        ),
        Value::Array(_, items) => items.iter().map(|item| masked(item, secret)).collect(),
        Value::Empty(..) => Json::Null,
        _ if secret => Json::from(MASK),
        Value::String(_, text) if names_secret(text) => Json::from(MASK),
        Value::String(_, text) => Json::from(without_password(text)),
        Value::Char(_, character) => Json::from(character.to_string()),
        Value::Bool(_, value) => Json::from(*value),
        Value::Num(_, number) => json_number(number),
    }
}

/// Masks in JSON that is not configuration what would be a secret in it.
pub(crate) fn redact(value: &mut Json) {
    match value {
        Json::Object(fields) => fields.iter_mut().for_each(|(key, value)| match is_secret(key) {
            true => *value = Json::from(MASK),
            false => redact(value),
        }),
        Json::Array(items) => items.iter_mut().for_each(redact),
        Json::String(text) => *text = without_password(text),
        _ => {}
    }
}

/// `value` in one line of a report: scalars as they are, tables and arrays by their kind.
pub(super) fn shown(value: &Value, secret: bool) -> String {
    match value {
        Value::Dict(..) | Value::Array(..) => super::tree::kind_of(value).to_owned(),
        scalar => match masked(scalar, secret) {
            Json::String(text) if secret && text == MASK => text,
            json => json.to_string(),
        },
    }
}

/// `text` (somebody else's message) without the secrets that `value` holds.
pub(super) fn scrub(text: String, value: &Value, secret: bool) -> String {
    match value {
        Value::Dict(_, table) => table
            .iter()
            .fold(text, |text, (key, value)| scrub(text, value, secret || is_secret(key))),
        Value::Array(_, items) => items.iter().fold(text, |text, item| scrub(text, item, secret)),
        scalar => scrub_scalar(text, scalar, secret),
    }
}

fn scrub_scalar(text: String, scalar: &Value, secret: bool) -> String {
    let plain = match masked(scalar, false) {
        Json::Null => return text,
        Json::String(_) => scalar.as_str().unwrap_or_default().to_owned(),
        other => other.to_string(),
    };
    let safe = if secret { MASK.to_owned() } else { without_password(&plain) };
    if plain.is_empty() || plain == safe {
        return text;
    }
    let escaped = plain.escape_debug().to_string();
    text.replace(&plain, &safe).replace(&escaped, &safe)
}

/// `text` with the passwords of the URLs in it masked, in the user part (RFC 3986, section 3.2.1),
/// and what stands behind a secret's name and `=`: in a query, in a fragment, or in a text such as
/// `host=a password=b`.
fn without_password(text: &str) -> String {
    without_secret_parameters(&without_user_password(text))
}

/// An `@` in a path is taken for the end of the user part, because a password in which `/` was
/// not escaped looks the same: rather too much is hidden than too little.
fn without_user_password(text: &str) -> String {
    let parts = text
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
        .and_then(|(scheme, (user, rest))| Some((scheme, user.split_once(':')?.0, rest)));
    match parts {
        Some((scheme, name, rest)) => format!("{scheme}://{name}:{MASK}@{rest}"),
        None => text.to_owned(),
    }
}

/// What separates parameters may also be a part of a secret one: what follows that and is no
/// parameter itself is hidden with it.
fn without_secret_parameters(text: &str) -> String {
    let (mut shown, mut hides) = (String::new(), false);
    for part in text.split_inclusive(|c: char| "?&;#".contains(c) || c.is_whitespace()) {
        let separator =
            part.trim_start_matches(|c: char| !("?&;#".contains(c) || c.is_whitespace()));
        match part.split_once('=') {
            Some((name, value)) if is_secret(name) && value != separator => {
                hides = true;
                shown += &format!("{name}={MASK}{separator}");
            }
            None if hides => {}
            _ => {
                hides = false;
                shown += part;
            }
        }
    }
    shown
}

fn json_number(number: &Num) -> Json {
    serde_json::to_value(number).unwrap_or_else(|_| {
        let wide =
            number.to_i128().map(|n| n.to_string()).or(number.to_u128().map(|n| n.to_string()));
        wide.map_or(Json::Null, Json::from)
    })
}

/// The words of `snake_case`, `kebab-case` and `camelCase` keys.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split(|c: char| !c.is_alphanumeric()).flat_map(camel_words)
}

/// A word begins at a capital that follows a small letter (`api|Key`) or that a small letter
/// follows (`AWS|Key`).
fn camel_words(part: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = part.char_indices().collect();
    let begins = |window: &[(usize, char)]| match window {
        [(_, before), (at, here), rest @ ..] if here.is_uppercase() => {
            let after = rest.first().is_some_and(|(_, after)| after.is_lowercase());
            (!before.is_uppercase() || after).then_some(*at)
        }
        _ => None,
    };
    let cuts = (0..letters.len()).filter_map(|at| begins(&letters[at..letters.len().min(at + 3)]));
    let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([part.len()]).collect();
    bounds.windows(2).map(|bounds| &part[bounds[0]..bounds[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_of_a_key_tell_a_secret() {
        let secrets = [
            "password",
            "db_password",
            "api_key",
            "apiKey",
            "auth-token",
            "tokens",
            "SECRET",
            "client_secret",
            "JWT_KEY",
            "accessTokenSecret",
            "AWSKey",
            "key2",
            "db_pass",
            "PGPASSWORD",
            "authtoken",
            "clientsecrets",
        ];
        for key in secrets {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "keyboard",
            "monkey",
            "tokenizer",
            "secretary",
            "passwordless",
            "port",
            "ke_y",
            "bypass",
            "passage",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn passwords_in_urls_are_masked_and_the_rest_is_kept() {
        let cases = [
            ("amqp://guest:guest@127.0.0.1:5672/%2f", "amqp://guest:***@127.0.0.1:5672/%2f"),
            ("postgres://u:p@ss/w?rd@host/db", "postgres://u:***@host/db"),
            ("redis://:hunter2@host", "redis://:***@host"),
            ("https://host/x?token=abc&page=2", "https://host/x?token=***&page=2"),
            ("amqp://u:p@h?api_key=abc", "amqp://u:***@h?api_key=***"),
            ("http://host:80/path?x=1", "http://host:80/path?x=1"),
            ("https://user@host/", "https://user@host/"),
            ("a@b:c", "a@b:c"),
            ("https://h/x?email=a@b.c&token=abc", "https://h/x?email=a@b.c&token=***"),
            ("https://h/?next=http://a/?token=abc", "https://h/?next=http://a/?token=***"),
            ("https://h/cb#access_token=abc&x=1", "https://h/cb#access_token=***&x=1"),
            ("https://h/?token=a;b c&x=1", "https://h/?token=***;x=1"),
            (
                "jdbc:sqlserver://h:1;user=sa;password=abc",
                "jdbc:sqlserver://h:1;user=sa;password=***",
            ),
            ("host=h password='a b' user=u", "host=h password=*** user=u"),
            ("key= value", "key= value"),
        ];
        for (url, expected) in cases {
            assert_eq!(without_password(url), expected);
        }
    }

    #[test]
    fn other_peoples_messages_are_scrubbed() {
        let value = Value::serialize(serde_json::json!({
            "password": "hun\"ter2", "empty_key": "", "url": "amqp://u:pw@h", "pin_key": 4711,
        }))
        .unwrap();
        let message = r#"bad: hun"ter2, "hun\"ter2", amqp://u:pw@h, 4711"#.to_owned();
        assert_eq!(scrub(message, &value, false), r#"bad: ***, "***", amqp://u:***@h, ***"#);
    }
}
