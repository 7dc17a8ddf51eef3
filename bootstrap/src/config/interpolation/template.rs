//! What stands in a text: `${target}`, `${target:-fallback}`, and `$${` for the sign itself.

use crate::config::mask;

/// How many fallbacks may lie within each other.
const MAX_DEPTH: usize = 16;

/// A text with places to fill in.
#[derive(Debug, PartialEq)]
pub(super) struct Template(pub(super) Vec<Piece>);

#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Reference(Reference),
}

/// `${target:-fallback}`
#[derive(Debug, PartialEq)]
pub(super) struct Reference {
    pub(super) target: Target,
    pub(super) fallback: Option<Template>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// An environment variable.
    Variable(String),
    /// A dotted key of the configuration.
    Key(String),
}

impl Template {
    /// Reads `text`; the error says what is wrong in it, without quoting any of it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut reader = Reader { rest: text };
        reader.template(0)
    }

    /// The whole text, where that is one reference.
    pub(super) fn as_reference(&self) -> Option<&Reference> {
        match &self.0[..] {
            [Piece::Reference(reference)] => Some(reference),
            _ => None,
        }
    }

    fn names_secret(&self) -> bool {
        self.0.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Reference(Reference { target, fallback }) => {
                target.is_secret() || fallback.as_ref().is_some_and(Self::names_secret)
            }
        })
    }
}

impl Target {
    fn parse(written: &str) -> Option<Self> {
        let is_word = |extra: &str, text: &str| {
            let fits = |c: char| c.is_alphanumeric() || c == '_' || extra.contains(c);
            !text.is_empty() && text.chars().all(fits)
        };
        match written.strip_prefix("env:") {
            Some(name) => is_word("", name).then(|| Self::Variable(name.to_owned())),
            None => {
                let fits = written.split('.').all(|part| is_word("-", part));
                fits.then(|| Self::Key(written.to_owned()))
            }
        }
    }

    /// Whether what is named looks like a secret by its name.
    pub(super) fn is_secret(&self) -> bool {
        match self {
            Self::Variable(name) => mask::is_secret(name),
            Self::Key(key) => key.split('.').any(mask::is_secret),
        }
    }
}

/// As it is written.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::Key(key) => f.write_str(key),
        }
    }
}

/// Whether a text is filled in with something that looks like a secret by its name: the rest of
/// the text is then not shown either, as it may hold what stands in when that is not set. A text
/// that cannot be read is not trusted.
pub(in crate::config) fn names_secret(text: &str) -> bool {
    text.contains("${") && Template::parse(text).map_or(true, |template| template.names_secret())
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Reads to the end, or within a fallback to what closes it.
    fn template(&mut self, depth: usize) -> Result<Template, &'static str> {
        let (mut pieces, mut text) = (Vec::new(), String::new());
        loop {
            let end = |c: char| c == '$' || (c == '}' && depth > 0);
            text.push_str(self.take_until(end));
            if self.rest.is_empty() || (depth > 0 && self.rest.starts_with('}')) {
                break;
            }
            if self.take("$${") {
                text.push_str("${");
            } else if self.take("${") {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Reference(self.reference(depth)?));
            } else {
                self.take("$");
                text.push('$');
            }
        }
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Template(pieces))
    }

    fn reference(&mut self, depth: usize) -> Result<Reference, &'static str> {
        // Nearest first: looking for what may not come at all would take the square of the length.
        let end = self.rest.find(['}', '$', '{']).unwrap_or(self.rest.len());
        let end = self.rest[..end].find(":-").unwrap_or(end);
        let target = self.take_first(end).trim();
        let fallback = match self.take(":-") {
            true if depth >= MAX_DEPTH => return Err("fallbacks lie too deep within each other"),
            true => Some(self.template(depth + 1)?),
            false => None,
        };
        if !self.take("}") {
            return Err("a ${ is not closed by }");
        }
        let target = Target::parse(target).ok_or("in ${…} stands neither a key nor env:NAME")?;
        Ok(Reference { target, fallback })
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_until(&mut self, end: impl Fn(char) -> bool) -> &'t str {
        self.take_first(self.rest.find(end).unwrap_or(self.rest.len()))
    }

    fn take_first(&mut self, bytes: usize) -> &'t str {
        let (first, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn reference(target: &str, fallback: Option<Vec<Piece>>) -> Piece {
        let target = Target::parse(target).expect("is a target");
        Piece::Reference(Reference { target, fallback: fallback.map(Template) })
    }

    #[test]
    fn references_fallbacks_and_signs_are_told_apart() {
        for (written, expected) in [
            ("", vec![text("")]),
            ("a $b $", vec![text("a $b $")]),
            ("${http.port}", vec![reference("http.port", None)]),
            ("${ env:HOME }", vec![reference("env:HOME", None)]),
            ("a${x}b", vec![text("a"), reference("x", None), text("b")]),
            ("$${x} $$x $$$${", vec![text("${x} $$x $$${")]),
            ("${x:-}", vec![reference("x", Some(vec![text("")]))]),
            ("${x:-a:-b}}", vec![reference("x", Some(vec![text("a:-b")])), text("}")]),
            (
                "${x:-${env:Y:-z}!}",
                vec![reference(
                    "x",
                    Some(vec![reference("env:Y", Some(vec![text("z")])), text("!")]),
                )],
            ),
            ("${peers.0.host-name}", vec![reference("peers.0.host-name", None)]),
        ] {
            assert_eq!(Template::parse(written), Ok(Template(expected)), "{written}");
        }
    }

    #[test]
    fn what_is_not_a_reference_is_a_fault() {
        for written in ["${", "${x", "${x:-", "${x:-${y}", "${x$y}", "a${b{c}"] {
            assert_eq!(Template::parse(written), Err("a ${ is not closed by }"), "{written}");
        }
        for written in ["${}", "${a b}", "${a..b}", "${env:}", "${env:A-B}", "${a:b}"] {
            let fault = Err("in ${…} stands neither a key nor env:NAME");
            assert_eq!(Template::parse(written), fault, "{written}");
        }
        let deep = "${x:-".repeat(100_000) + &"}".repeat(100_000);
        let fault = Err("fallbacks lie too deep within each other");
        assert_eq!(Template::parse(&deep), fault);
    }

    #[test]
    fn a_text_of_many_references_is_read_in_time_that_grows_with_its_length() {
        let many = 50_000;
        let read = Template::parse(&"${y}".repeat(many)).map(|template| template.0.len());
        assert_eq!(read, Ok(many));
    }

    #[test]
    fn a_text_that_is_filled_with_a_secret_is_known_by_the_names_in_it() {
        for secret in ["${env:DB_PASSWORD}", "x${a.token:-b}", "${a:-${env:API_KEY}}", "${open"] {
            assert!(names_secret(secret), "{secret}");
        }
        for plain in ["${env:HOME}", "password", "$${env:DB_PASSWORD}", "${http.port}"] {
            assert!(!names_secret(plain), "{plain}");
        }
    }
}
