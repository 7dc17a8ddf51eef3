//! Which of some routes answers a request that somebody asks about.

use std::collections::BTreeMap;

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
    let mut table = matchit::Router::new();
    for (pattern, by_method) in by_pattern(routes) {
        // What does not fit beside the others has been reported where it was added.
        let _ = table.insert(pattern, by_method);
    }
    let Ok(found) = table.at(path) else {
        return Err(format!("nothing is served at {path}"));
    };
    let of = |method: &str| found.value.iter().find(|(known, _)| *known == method);
    let entry = of(&method).or_else(|| if method == "HEAD" { of("GET") } else { None });
    entry.map(|(_, position)| *position).ok_or_else(|| {
        let methods: Vec<_> = found.value.iter().map(|(method, _)| *method).collect();
        format!("{path} is served by {} only", methods.join(", "))
    })
}

type ByMethod<'r> = Vec<(&'r str, usize)>;

fn by_pattern<'r>(routes: &[&'r str]) -> BTreeMap<&'r str, ByMethod<'r>> {
    let mut patterns: BTreeMap<&str, ByMethod<'_>> = BTreeMap::new();
    for (position, route) in routes.iter().enumerate() {
        if let Some((method, pattern)) = route.split_once(' ') {
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
    fn what_is_not_served_is_told_with_the_reason() {
        let reason = |asked| find(&ROUTES, asked).expect_err("is not served");
        assert_eq!(reason("GET /users"), "/users is served by POST only");
        assert_eq!(reason("GET /nowhere"), "nothing is served at /nowhere");
        assert_eq!(reason("users"), "\"users\" is no path, which begins with /");
    }
}
