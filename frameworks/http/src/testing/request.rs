//! A request on its way.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use polyport_bootstrap::{Error, Result};
use serde::Serialize;

use super::{
    client::HttpClient,
    events::HttpEvents,
    multipart::Multipart,
    pairs,
    reply::HttpReply,
    sent::{Sent, add_header},
    stream::HttpStream,
};

/// How many redirects are followed, as by browsers.
const MOST_REDIRECTS: usize = 20;

/// A request on its way: add headers and a body, then await it for the whole reply, or ask for its
/// [`stream`](Self::stream) or its [`events`](Self::events).
#[must_use = "nothing is sent before it is awaited"]
#[derive(Debug)]
pub struct HttpRequest {
    client: HttpClient,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    redirects: usize,
    fault: Option<Error>,
}

impl HttpRequest {
    pub(super) fn new(client: HttpClient, method: Method, path: &str) -> Self {
        Self {
            client,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            redirects: 0,
            fault: None,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let added = add_header(&mut self.headers, name, value);
        self.blame(added)
    }

    /// Shows a token: `Authorization: Bearer …` (RFC 6750).
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Adds to the query what a struct, a map or a list of pairs says; lists repeat their name.
    pub fn query(mut self, values: &(impl Serialize + ?Sized)) -> Self {
        match pairs::encode(values) {
            Ok(query) => {
                self.path.push(if self.path.contains('?') { '&' } else { '?' });
                self.path.push_str(&query);
                self
            }
            Err(error) => self.blame(Err(error)),
        }
    }

    /// Sets the body and its content type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.remove(header::CONTENT_TYPE);
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sets the body to a value as JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            Err(error) => self.blame(Err(Error::other("the value is no JSON").caused_by(error))),
        }
    }

    /// Sets the body to what a struct, a map or a list of pairs says, as a form.
    pub fn form(self, values: &(impl Serialize + ?Sized)) -> Self {
        match pairs::encode(values) {
            Ok(body) => self.body("application/x-www-form-urlencoded", body),
            Err(error) => self.blame(Err(error)),
        }
    }

    /// Sets the body to a form with files.
    pub fn multipart(self, form: Multipart) -> Self {
        let (content_type, body) = form.finish();
        self.body(&content_type, body)
    }

    /// Goes where the reply says, up to twenty times, as browsers do: 303, and 301 and 302 to
    /// anything but GET and HEAD, make it a GET without a body (RFC 9110, section 15.4).
    pub fn follow_redirects(mut self) -> Self {
        self.redirects = MOST_REDIRECTS + 1;
        self
    }

    /// Sends it, and gives the reply or why there is none. Awaiting the request itself panics
    /// where there is none.
    ///
    /// # Errors
    /// Returns an error where the request is malformed, the server cannot be reached, the
    /// connection ends before the reply does, or anything takes longer than ten seconds.
    pub async fn send(self) -> Result<HttpReply> {
        self.open().await?.whole().await
    }

    /// Sends it, and gives the reply's head and its body bit by bit.
    ///
    /// # Panics
    /// Panics where `send` gives an error.
    pub async fn stream(self) -> HttpStream {
        self.open().await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Sends it, and gives the server-sent events that the reply is.
    ///
    /// # Panics
    /// Panics where `send` gives an error, and where the reply is no stream of events.
    pub async fn events(mut self) -> HttpEvents {
        if !self.headers.contains_key(header::ACCEPT) {
            self = self.header("accept", "text/event-stream");
        }
        HttpEvents::of(self.stream().await).await
    }

    async fn open(mut self) -> Result<HttpStream> {
        if let Some(fault) = self.fault.take() {
            return Err(fault.context(format!("{} {}", self.method, self.path)));
        }
        loop {
            let stream =
                HttpStream::open(&self.client.door, self.sent(), self.body.clone()).await?;
            self.client.cookies.learn(without_query(&self.path), stream.headers());
            match stream.header("location") {
                Some(place) if self.redirects > 0 && stream.status().is_redirection() => {
                    let (status, place) = (stream.status(), place.to_owned());
                    self.go(status, &place)?;
                }
                _ => return Ok(stream),
            }
        }
    }

    fn sent(&self) -> Sent {
        let mut headers = self.client.headers();
        for name in self.headers.keys() {
            headers.remove(name);
        }
        if let Some(cookies) = self.client.cookies.header(without_query(&self.path)) {
            headers.append(header::COOKIE, cookies);
        }
        headers.extend(self.headers.clone());
        Sent { method: self.method.clone(), path: self.path.clone(), headers }
    }

    fn go(&mut self, status: StatusCode, place: &str) -> Result<()> {
        self.redirects -= 1;
        if self.redirects == 0 {
            return Err(Error::other(format!("more than {MOST_REDIRECTS} redirects")));
        }
        let keeps = matches!(status.as_u16(), 307 | 308);
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        if !keeps && (status == StatusCode::SEE_OTHER || !is_read) {
            self.method = if self.method == Method::HEAD { Method::HEAD } else { Method::GET };
            self.body = Bytes::new();
            self.headers.remove(header::CONTENT_TYPE);
        }
        self.path = resolve(&self.path, place)?;
        Ok(())
    }

    fn blame(mut self, outcome: Result<()>) -> Self {
        self.fault = self.fault.or(outcome.err());
        self
    }
}

impl IntoFuture for HttpRequest {
    type Output = HttpReply;
    type IntoFuture = Pin<Box<dyn Future<Output = HttpReply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.send().await.unwrap_or_else(|error| panic!("{error:?}")) })
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

/// Where a reference leads from a path (RFC 3986, section 5), on the same server.
fn resolve(from: &str, place: &str) -> Result<String> {
    let place = place.split('#').next().unwrap_or_default();
    if place.starts_with("//") || place.contains("://") {
        return Err(Error::other(format!("the redirect leads to another server, {place}"))
            .advise("look at the header `location` of the reply without follow_redirects"));
    }
    let path = without_query(from);
    Ok(match place.as_bytes().first() {
        None => from.to_owned(),
        Some(b'/') => place.to_owned(),
        Some(b'?') => format!("{path}{place}"),
        Some(_) => format!("{}/{place}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_paths_of_the_same_server() {
        let to = |place| resolve("/users/7?x=1", place).expect("leads somewhere");
        assert_eq!(to("/home?y=2#top"), "/home?y=2");
        assert_eq!(to("8"), "/users/8");
        assert_eq!(to("?z=3"), "/users/7?z=3");
        assert_eq!(to(""), "/users/7?x=1");
        assert!(resolve("/", "https://example.org/").is_err());
        assert!(resolve("/", "//example.org/").is_err());
    }
}
