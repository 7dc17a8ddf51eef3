//! What must not be seen: values under keys that look like secrets, and passwords in URLs.

use figment::value::{Num, Value};
use serde_json::Value as Json;

use super::interpolation::names_secret;

/// What stands in a secret's place.
const MASK: &str = "***";

const SECRET_WORDS: [&str; 9] =
    ["password", "passwd", "passphrase", "pwd", "token", "secret", "key", "apikey", "credential"];

/// Whether a key holds a secret, by one of its words, in the plural or numbered too: `password`,
/// `apiKey`, `auth_tokens`, `key2`; not `keyboard`.
pub(super) fn is_secret(key: &str) -> bool {
    words(key).any(|word| {
        let word = word.to_ascii_lowercase();
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        SECRET_WORDS.contains(&word.strip_suffix('s').unwrap_or(word))
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

/// `text` with the passwords of the URLs in it masked: in the user part (RFC 3986, section
/// 3.2.1) and in query parameters with a secret's name.
///
/// An `@` in a path is taken for the end of the user part, because a password in which `/` was
/// not escaped looks the same: rather too much is hidden than too little.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (user, rest) =
        rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let user = match user.map(|user| user.split_once(':')) {
        None => String::new(),
        Some(Some((name, _))) => format!("{name}:{MASK}@"),
        Some(None) => format!("{}@", user.unwrap_or_default()),
    };
    let (rest, query) = rest.split_once('?').map_or((rest, String::new()), |(rest, query)| {
        (rest, format!("?{}", without_secret_parameters(query)))
    });
    format!("{scheme}://{user}{rest}{query}")
}

fn without_secret_parameters(query: &str) -> String {
    let masked = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
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
        ];
        for key in secrets {
            assert!(is_secret(key), "{key}");
        }
        for key in ["keyboard", "monkey", "tokenizer", "secretary", "passwordless", "port", "ke_y"]
        {
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
