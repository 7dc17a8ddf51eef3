//! Where redirects lead.

use http::header::HOST;
use polyport_bootstrap::{Error, Result};

use super::sent::Sent;

/// The path that a reference leads to from a request (RFC 3986, section 5.2), on the same server.
pub(super) fn resolve(from: &Sent, place: &str) -> Result<String> {
    let place = place.split('#').next().unwrap_or_default();
    let host = from.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some(reference) = on(host, place) else {
        return Err(Error::other(format!("the redirect leads to another server, {place}"))
            .advise("look at the header `location` of the reply without follow_redirects"));
    };
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*reference, None),
    };
    let base = without_query(&from.path);
    let path = match path.as_bytes().first() {
        None if query.is_none() => return Ok(from.path.clone()),
        None => base.to_owned(),
        Some(b'/') => without_dots(path),
        Some(_) => without_dots(&format!("{}/{path}", folder(base))),
    };
    Ok(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
}

/// What stands behind scheme and authority; none where these are not of this host. A test has one
/// server, over TLS or not, so both schemes mean that.
fn on(host: &str, place: &str) -> Option<String> {
    let is_http = |scheme: &str| matches!(&*scheme.to_ascii_lowercase(), "http" | "https");
    match (scheme(place), place.strip_prefix("//")) {
        (Some((scheme, rest)), _) => {
            rest.strip_prefix("//").filter(|_| is_http(scheme)).and_then(|rest| at(host, rest))
        }
        (None, Some(rest)) => at(host, rest),
        (None, None) => Some(place.to_owned()),
    }
}

/// A reference without one has no colon in its first segment (RFC 3986, section 4.2).
fn scheme(place: &str) -> Option<(&str, &str)> {
    let first = place.split(['/', '?']).next().unwrap_or_default();
    let scheme = first.split_once(':')?.0;
    Some((scheme, &place[scheme.len() + 1..]))
}

fn at(host: &str, rest: &str) -> Option<String> {
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    authority.eq_ignore_ascii_case(host).then(|| format!("{slash}{path}"))
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// RFC 3986, section 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

pub(super) fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;

    fn lead(path: &str, place: &str) -> Result<String> {
        let host = HeaderValue::from_static("127.0.0.1:80");
        let headers = HeaderMap::from_iter([(HOST, host)]);
        resolve(&Sent { method: Method::GET, path: path.to_owned(), headers }, place)
    }

    #[test]
    fn references_are_resolved_as_the_standard_has_it() {
        // RFC 3986, sections 5.4.1 and 5.4.2.
        for (place, path) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/../x", "/b/c/g?y/../x"),
        ] {
            assert_eq!(lead("/b/c/d;p?q", place).expect("leads somewhere"), path, "{place}");
        }
    }

    #[test]
    fn only_this_server_is_gone_to() {
        for (place, path) in [
            ("/ok?next=https://example.org/back", "/ok?next=https://example.org/back"),
            ("ok?at=12:30", "/ok?at=12:30"),
            ("http://127.0.0.1:80/ok?x=1#top", "/ok?x=1"),
            ("HTTPS://127.0.0.1:80", "/"),
            ("http://127.0.0.1:80?x=1", "/?x=1"),
            ("//127.0.0.1:80/a/../ok", "/ok"),
        ] {
            assert_eq!(lead("/next", place).expect("leads somewhere"), path, "{place}");
        }
        for place in [
            "https://example.org/",
            "//example.org/",
            "http://127.0.0.1:8080/",
            "mailto:tom@example.org",
            "ftp://127.0.0.1:80/",
            "http:/ok",
        ] {
            let error = lead("/next", place).expect_err("leads away").to_string();
            assert_eq!(error, format!("the redirect leads to another server, {place}"));
        }
    }
}
