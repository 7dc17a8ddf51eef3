//! The cookies of a client.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::cookie::{Cookie, time::OffsetDateTime};
use http::{HeaderMap, HeaderName, HeaderValue, header::SET_COOKIE};
use polyport_bootstrap::{Error, Result};
use tokio::time::Instant;

/// Cookies of one server, as RFC 6265 has them kept (section 5.3). A test has one server, over TLS
/// or not, so neither domains nor `Secure` make a difference.
#[derive(Debug, Clone, Default)]
pub(super) struct Jar(Arc<Mutex<Vec<Kept>>>);

#[derive(Debug)]
struct Kept {
    name: String,
    value: String,
    path: String,
    until: Option<Instant>,
}

impl Jar {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let jar = self.lock();
        jar.iter().find(|kept| kept.name == name && kept.lives()).map(|kept| kept.value.clone())
    }

    pub(super) fn set(&self, name: &str, value: &str) -> Result<()> {
        let parts = |c: char| c == ';' || c.is_control();
        // A header's name is the same kind of token.
        if HeaderName::try_from(name).is_err() || value.contains(parts) {
            return Err(Error::other(format!("{name:?} = {value:?} is no cookie"))
                .advise("encode it, or send a header `cookie` with the request"));
        }
        let (name, value, path) = (name.to_owned(), value.to_owned(), "/".to_owned());
        self.keep(Kept { name, value, path, until: None }, true);
        Ok(())
    }

    /// Keeps what the reply to a request for `path` sets, and lets go of what it removes.
    pub(super) fn learn(&self, path: &str, reply: &HeaderMap) {
        for set in reply.get_all(SET_COOKIE) {
            let text = String::from_utf8_lossy(set.as_bytes()).into_owned();
            let Ok(cookie) = Cookie::parse(text) else { continue };
            let left = time_left(&cookie);
            let kept = Kept {
                name: cookie.name().to_owned(),
                value: cookie.value().to_owned(),
                path: cookie_path(&cookie, path),
                until: left.and_then(|left| Instant::now().checked_add(left)),
            };
            self.keep(kept, left != Some(Duration::ZERO));
        }
    }

    fn keep(&self, kept: Kept, lives: bool) {
        let mut jar = self.lock();
        jar.retain(|known| (&known.name, &known.path) != (&kept.name, &kept.path));
        if lives {
            jar.push(kept);
        }
    }

    /// What is sent with a request for `path`; the longest paths stand first.
    pub(super) fn header(&self, path: &str) -> Option<HeaderValue> {
        let jar = self.lock();
        let mut sent: Vec<_> =
            jar.iter().filter(|kept| kept.lives() && kept.is_for(path)).collect();
        sent.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<_> =
            sent.iter().map(|kept| format!("{}={}", kept.name, kept.value)).collect();
        (!pairs.is_empty()).then(|| HeaderValue::try_from(pairs.join("; ")).ok()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn lives(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Section 5.1.4.
    fn is_for(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| {
            rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/')
        })
    }
}

/// None where it lives as long as the client.
fn time_left(cookie: &Cookie<'_>) -> Option<Duration> {
    let left = match (cookie.max_age(), cookie.expires_datetime()) {
        (Some(age), _) => age,
        (None, Some(end)) => end - OffsetDateTime::now_utc(),
        (None, None) => return None,
    };
    Some(left.try_into().unwrap_or(Duration::ZERO))
}

fn cookie_path(cookie: &Cookie<'_>, requested: &str) -> String {
    match cookie.path().filter(|path| path.starts_with('/')) {
        Some(path) => path.to_owned(),
        None => match requested.rfind('/') {
            None | Some(0) => "/".to_owned(),
            Some(end) => requested[..end].to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(jar: &Jar, path: &str, cookie: &'static str) {
        let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(cookie))]);
        jar.learn(path, &headers);
    }

    fn sent(jar: &Jar, path: &str) -> String {
        jar.header(path).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
    }

    #[test]
    fn cookies_are_for_their_path_and_what_is_below_it() {
        let jar = Jar::default();
        learn(&jar, "/users/login", "a=1");
        learn(&jar, "/", "b=2; Path=/; HttpOnly; Secure");
        assert_eq!(sent(&jar, "/users/7"), "a=1; b=2");
        assert_eq!(sent(&jar, "/users"), "a=1; b=2");
        assert_eq!(sent(&jar, "/usersandmore"), "b=2");
    }

    #[test]
    fn what_would_break_the_header_is_refused() {
        let jar = Jar::default();
        for (name, value) in [("x", "1; y=2"), ("x", "line\nbreak"), ("", "1"), ("x=y", "1")] {
            let error = jar.set(name, value).expect_err("is no cookie");
            assert!(error.to_string().contains(&format!("{value:?} is no cookie")), "{error}");
        }
        jar.set("user", "{\"name\": \"tom, jun.\"}").expect("is one");
        assert_eq!(sent(&jar, "/"), "user={\"name\": \"tom, jun.\"}");
    }

    #[tokio::test(start_paused = true)]
    async fn cookies_are_replaced_removed_and_end() {
        let jar = Jar::default();
        learn(&jar, "/", "a=1");
        learn(&jar, "/", "a=2");
        assert_eq!(sent(&jar, "/"), "a=2");
        learn(&jar, "/", "a=; Max-Age=0");
        learn(&jar, "/", "b=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(sent(&jar, "/"), "");
        learn(&jar, "/", "c=1; Max-Age=60");
        assert_eq!(jar.get("c").as_deref(), Some("1"));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(jar.get("c"), None);
    }
}
