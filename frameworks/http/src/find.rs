//! Which of some routes answers a request that somebody asks about.

use std::collections::BTreeMap;

use crate::{mount::patterns, pattern::Shape};

/// The position of the route that answers `METHOD /path`; without a method, GET's.
///
/// # Errors
/// Says why none does: an unknown path, or one that is served by other methods.
pub(crate) fn find(routes: &[&str], asked: &str) -> Result<usize, String> {
    let (method, path) = asked.split_once(' ').unwrap_or(("GET", asked));
    let (method, path) = (method.to_ascii_uppercase(), path.trim());
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(format!("{asked:?} is no path, which begins with /"));
    }
    let (known, mounted) = (Known::of(routes), mount_of(routes, path));
    let at = known.0.at(path).ok().map(|found| found.value);
    let of = |method: &str| at.and_then(|at| at.1.iter().find(|(known, _)| *known == method));
    let entry = of(&method).or_else(|| if method == "HEAD" { of("GET") } else { None });
    match (at, entry, mounted) {
        (Some((pattern, _)), Some((_, position)), Some((over, _)))
            if Shape::of(pattern) <= Shape::of(&over) =>
        {
            Ok(*position)
        }
        (_, _, Some((_, position))) => Ok(position),
        (_, Some((_, position)), None) => Ok(*position),
        (Some((_, by_method)), None, None) => {
            let methods: Vec<_> = by_method.iter().map(|(method, _)| *method).collect();
            Err(format!("{path} is served by {} only", methods.join(", ")))
        }
        (None, _, None) => Err(format!("nothing is served at {path}")),
    }
}

/// The operations by their paths.
struct Known<'r>(matchit::Router<(&'r str, ByMethod<'r>)>);

impl<'r> Known<'r> {
    fn of(routes: &[&'r str]) -> Self {
        let mut table = matchit::Router::new();
        for (pattern, by_method) in by_pattern(routes) {
            // What does not fit beside the others has been reported where it was added.
            let _ = table.insert(pattern, (pattern, by_method));
        }
        Self(table)
    }
}

/// The mounted router whose prefix reaches over a path, `ANY /pages/*`, with the pattern by which
/// it does.
fn mount_of(routes: &[&str], path: &str) -> Option<(String, usize)> {
    let mut table = matchit::Router::new();
    for (position, route) in routes.iter().enumerate() {
        let prefix = route.strip_prefix("ANY ").and_then(|pattern| pattern.strip_suffix("/*"));
        for pattern in prefix.into_iter().flat_map(patterns) {
            let _ = table.insert(pattern.clone(), (pattern, position));
        }
    }
    table.at(path).ok().map(|found| found.value.clone())
}

type ByMethod<'r> = Vec<(&'r str, usize)>;

fn by_pattern<'r>(routes: &[&'r str]) -> BTreeMap<&'r str, ByMethod<'r>> {
    let mut patterns: BTreeMap<&str, ByMethod<'_>> = BTreeMap::new();
    for (position, route) in routes.iter().enumerate() {
        if let Some((method, pattern)) =
            route.split_once(' ').filter(|(method, _)| *method != "ANY")
        {
            patterns.entry(pattern).or_default().push((method, position));
        }
    }
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: [&str; 4] = ["GET /users/{id}", "POST /users", "GET /users/me", "GET /f/{*rest}"];

    #[test]
    fn a_path_finds_the_closest_route() {
        assert_eq!(find(&ROUTES, "GET /users/7"), Ok(0));
        assert_eq!(find(&ROUTES, "/users/me?x=1"), Ok(2));
        assert_eq!(find(&ROUTES, "head /users/7"), Ok(0));
        assert_eq!(find(&ROUTES, "GET /f/a/b"), Ok(3));
    }

    #[test]
    fn a_mounted_router_has_what_is_below_it() {
        let routes = ["GET /pages/{id}", "ANY /pages/*", "GET /pages/about", "(fallback)"];
        assert_eq!(find(&routes, "/pages/about"), Ok(2));
        assert_eq!(find(&routes, "/pages/7"), Ok(0));
        assert_eq!(find(&routes, "POST /pages/7"), Ok(1));
        assert_eq!(find(&routes, "/pages/a/b"), Ok(1));
        assert_eq!(find(&["ANY /*"], "/x"), Ok(0));
    }

    #[test]
    fn what_is_not_served_is_told_with_the_reason() {
        let reason = |asked| find(&ROUTES, asked).expect_err("is not served");
        assert_eq!(reason("GET /users"), "/users is served by POST only");
        assert_eq!(reason("GET /nowhere"), "nothing is served at /nowhere");
        assert_eq!(reason("users"), "\"users\" is no path, which begins with /");
    }
}
