//! Which routes a middleware stands around: prefixes, globs and regular expressions.

use regex::Regex;
use serde::Deserialize;

use crate::operation::Exposure;

/// Patterns as they stand in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Patterns(pub(super) Vec<String>);

impl Patterns {
    /// The patterns, ready to be asked.
    ///
    /// # Errors
    /// Each one that is none: its position, and what is wrong with it.
    pub(super) fn compile(&self) -> Result<Vec<Pattern>, Vec<(usize, String)>> {
        let (mut patterns, mut faults) = (Vec::new(), Vec::new());
        for (position, text) in self.0.iter().enumerate() {
            match Pattern::of(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(fault) => faults.push((position, fault)),
            }
        }
        if faults.is_empty() { Ok(patterns) } else { Err(faults) }
    }
}

/// One pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// As it stands in the configuration.
    text: String,
    form: Form,
    /// It names the method, too: `GET /users`.
    with_method: bool,
}

#[derive(Debug, Clone)]
enum Form {
    Prefix(String),
    Expression(Regex),
}

impl Pattern {
    fn of(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches everything: leave it out".to_owned());
        }
        let with_method = text.contains(' ');
        let form = match text.strip_prefix("re:") {
            Some(expression) => Form::Expression(compiled(expression)?),
            None if text.contains(['*', '?']) => Form::Expression(compiled(&glob(text))?),
            None => Form::Prefix(text.to_owned()),
        };
        Ok(Self { text: text.to_owned(), form, with_method })
    }

    /// As it stands in the configuration.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether this route is one of those.
    pub(super) fn covers(&self, exposure: &Exposure) -> bool {
        self.covers_route(&exposure.route)
    }

    fn covers_route(&self, route: &str) -> bool {
        let route = match route.split_once(' ') {
            Some((_, path)) if !self.with_method => path,
            _ => route,
        };
        match &self.form {
            Form::Prefix(prefix) => is_below(route, prefix),
            Form::Expression(expression) => expression.is_match(route),
        }
    }
}

fn compiled(expression: &str) -> Result<Regex, String> {
    Regex::new(expression).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        format!("is no regular expression: {}", reason.trim_start_matches("error: "))
    })
}

/// Whether `prefix` is a whole part of `route` from its beginning: `/api` of `/api/users`, `users`
/// of `users.get`, and not `/api` of `/apikeys`.
fn is_below(route: &str, prefix: &str) -> bool {
    let Some(rest) = route.strip_prefix(prefix) else { return false };
    rest.is_empty() || prefix.ends_with(SEPARATORS) || rest.starts_with(SEPARATORS)
}

const SEPARATORS: [char; 2] = ['/', '.'];

/// A glob as a regular expression: `**` is anything, `*` a part between separators or of it, `?`
/// one character of one. In paths `/` separates, in names of events, methods and queues `.` too.
fn glob(text: &str) -> String {
    let is_path = text.starts_with('/') || text.contains(" /");
    let part = if is_path { "[^/]" } else { "[^/.]" };
    let mut expression = String::from("^");
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => expression += ".*",
            '*' => expression += &format!("{part}*"),
            '?' => expression += part,
            other => expression += &regex::escape(other.encode_utf8(&mut [0; 4])),
        }
    }
    expression + "$"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, route: &str) -> bool {
        Pattern::of(pattern).expect("is a pattern").covers_route(route)
    }

    #[test]
    fn a_prefix_covers_whole_parts_only() {
        for (pattern, route, expected) in [
            ("/api", "GET /api", true),
            ("/api", "GET /api/users/{id}", true),
            ("/api", "GET /apikeys", false),
            ("/api/", "GET /api/users", true),
            ("/", "GET /anything", true),
            ("users", "users.get", true),
            ("users", "usersget", false),
            ("im.v1.UserService", "im.v1.UserService/GetUser", true),
            ("GET /api", "GET /api/users", true),
            ("GET /api", "POST /api/users", false),
            ("GET", "GET /api", false),
        ] {
            assert_eq!(covers(pattern, route), expected, "{pattern} {route}");
        }
    }

    #[test]
    fn a_glob_covers_whole_routes() {
        for (pattern, route, expected) in [
            ("/api/*/x", "GET /api/users/x", true),
            ("/api/*/x", "GET /api/a/b/x", false),
            ("/api/**/x", "GET /api/a/b/x", true),
            ("/api/*", "GET /api/users/x", false),
            ("/files/*", "GET /files/{name}.json", true),
            ("* /api/*", "PUT /api/users", true),
            ("POST /api/*", "PUT /api/users", false),
            ("users.*", "users.get", true),
            ("users.*", "users.get.all", false),
            ("user?.get", "users.get", true),
            ("/a+b/*", "GET /a+b/c", true),
            ("/{id}*", "GET /{id}", true),
        ] {
            assert_eq!(covers(pattern, route), expected, "{pattern} {route}");
        }
    }

    #[test]
    fn a_regular_expression_is_searched_for() {
        assert!(covers("re:^/api/v[12]/", "GET /api/v2/users"));
        assert!(!covers("re:^/api/v[12]/", "GET /api/v3/users"));
        assert!(covers(r"re:^(GET|HEAD) /a", "HEAD /a"));
        assert!(covers(r"re:\.get$", "users.get"));
    }

    #[test]
    fn what_is_no_pattern_is_told_by_its_position() {
        let patterns = Patterns(["/a", "re:(", ""].map(str::to_owned).to_vec());
        let faults = patterns.compile().expect_err("two are none");
        assert_eq!(faults[0], (1, "is no regular expression: unclosed group".to_owned()));
        assert_eq!(faults[1].0, 2);
    }
}
