//! The paths of routes, and which of two that match is the closer one.

use matchit::InsertError;
use polyport_bootstrap::Error;
use polyport_listener::normal_path;

/// How specific a path is: one number for each segment, smaller where it says more. Of two paths
/// that match the same request, the one with the smaller shape is the closer one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape(Vec<u8>);

const LITERAL: u8 = 0;
const PARAMETER: u8 = 1;
const REST: u8 = 2;

impl Shape {
    pub(crate) fn of(path: &str) -> Self {
        Self(path.split('/').skip(1).map(weight).collect())
    }
}

fn weight(segment: &str) -> u8 {
    let segment = segment.replace("{{", "");
    match segment.find('{') {
        None => LITERAL,
        Some(at) if segment[at..].starts_with("{*") => REST,
        Some(_) => PARAMETER,
    }
}

/// What is wrong with a path, as far as that can be seen without the others.
pub(crate) fn check(path: &str) -> Result<(), Error> {
    let fault = if !path.starts_with('/') {
        "does not begin with /"
    } else if path.contains(['?', '#']) {
        "has a query or a fragment, which is no part of a path"
    } else if !path.split('/').all(is_sendable) {
        "has characters that stand in no request, or only percent-encoded"
    } else if normal_path(path) != path {
        "has percent-encodings that requests are not compared by: write them with digits in upper \
         case, and letters, digits and -._~ as they are"
    } else if repeats_a_parameter(path) {
        "names two parameters alike"
    } else {
        return Ok(());
    };
    Err(malformed(path, fault))
}

/// Whether a client can send what is literal in a segment: paths are compared encoded.
fn is_sendable(segment: &str) -> bool {
    let literal = segment.split_once('{').map_or(segment, |(before, _)| before);
    literal.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`".contains(&byte))
}

fn repeats_a_parameter(path: &str) -> bool {
    let names: Vec<_> = path.split('/').filter_map(parameter).collect();
    names.iter().enumerate().any(|(i, name)| names[..i].contains(name))
}

fn parameter(segment: &str) -> Option<&str> {
    let (_, name) = segment.split_once('{')?;
    name.strip_suffix('}').map(|name| name.trim_start_matches('*'))
}

/// The error of a path that the table does not take, except for conflicts.
pub(crate) fn refused(path: &str, error: &InsertError) -> Error {
    malformed(
        path,
        match error {
            InsertError::InvalidParamSegment => {
                "has a segment with more than one parameter, or text behind it"
            }
            InsertError::InvalidParam => {
                "has a parameter without a name, or a brace without its pair"
            }
            InsertError::InvalidCatchAll => "has {*…} elsewhere than at its end",
            _ => "is not a path that the table can take",
        },
    )
}

fn malformed(path: &str, fault: &str) -> Error {
    Error::wiring(format!("the path {path:?} {fault}")).advise(
        "write it like /rooms/{room}/messages, with {*rest} only at the end; {{ and }} are \
         literal braces",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_segments_are_closer_than_parameters_and_those_than_the_rest() {
        let ordered = ["/a", "/a/b", "/a/x-{b}", "/a/{*rest}", "/{a}/b", "/{*rest}"];
        assert!(ordered.map(Shape::of).is_sorted());
        assert_eq!(Shape::of("/{{a}}"), Shape::of("/a"));
    }

    #[test]
    fn malformed_paths_are_named() {
        for path in [
            "",
            "users",
            "/users?x=1",
            "/a#b",
            "/{a}/{a}",
            "/{a}/{*a}",
            "/a b",
            "/ü",
            "/%61",
            "/%c3%bc",
        ] {
            let error = check(path).expect_err(path);
            assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
        }
        for path in ["/{a}/{b}/{*c}", "/%C3%BC/{größe}", "/{{a}}", "/~a|b"] {
            check(path).expect(path);
        }
    }
}
