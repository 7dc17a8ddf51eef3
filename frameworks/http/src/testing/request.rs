//! A request on its way.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use polyport_bootstrap::{Error, Result, testing::or_panic};
use serde::Serialize;

use super::{
    client::HttpClient,
    events::HttpEvents,
    multipart::Multipart,
    pairs,
    redirect::{resolve, without_query},
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
            fault: no_path(path).err(),
        }
    }

    /// Adds a header. It takes the place of the client's of that name, and `cookie` that of the
    /// cookies which the client keeps.
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

    /// Goes where the reply says on the same server, up to twenty times, as browsers do: 303, and 301
    /// and 302 to anything but GET and HEAD, make it a GET without a body (RFC 9110, section 15.4).
    /// What leads to another server is an error.
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
    #[track_caller]
    pub fn stream(self) -> impl Future<Output = HttpStream> {
        or_panic(async { self.open().await.map_err(shown) })
    }

    /// Sends it, and gives the server-sent events that the reply is.
    ///
    /// # Panics
    /// Panics where `send` gives an error, and where the reply is no stream of events.
    #[track_caller]
    pub fn events(mut self) -> impl Future<Output = HttpEvents> {
        if !self.headers.contains_key(header::ACCEPT) {
            self = self.header("accept", "text/event-stream");
        }
        or_panic(async { HttpEvents::of(self.open().await.map_err(shown)?).await })
    }

    async fn open(mut self) -> Result<HttpStream> {
        if let Some(fault) = self.fault.take() {
            return Err(fault.context(format!("{} {}", self.method, self.path)));
        }
        loop {
            let sent = self.sent();
            let stream = HttpStream::open(&self.client.door, sent, self.body.clone()).await?;
            self.client.cookies.learn(without_query(&self.path), stream.headers());
            match stream.header("location") {
                Some(place) if self.redirects > 0 && stream.status().is_redirection() => {
                    self.go(&stream, place)?;
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
        headers.extend(self.headers.clone());
        if let Some(cookies) = self.client.cookies.header(without_query(&self.path)) {
            headers.entry(header::COOKIE).or_insert(cookies);
        }
        Sent { method: self.method.clone(), path: self.path.clone(), headers }
    }

    fn go(&mut self, from: &HttpStream, place: &str) -> Result<()> {
        self.redirects -= 1;
        if self.redirects == 0 {
            let many = format!("more than {MOST_REDIRECTS} redirects, the last to {place:?}");
            return Err(Error::other(many).context(from.sent().place()));
        }
        let path = resolve(from.sent(), place).map_err(|e| e.context(from.sent().place()))?;
        let status = from.status();
        let keeps = matches!(status.as_u16(), 307 | 308);
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        if !keeps && (status == StatusCode::SEE_OTHER || !is_read) {
            self.method = if self.method == Method::HEAD { Method::HEAD } else { Method::GET };
            self.body = Bytes::new();
            self.headers.remove(header::CONTENT_TYPE);
        }
        self.path = path;
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

    #[track_caller]
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(or_panic(async { self.send().await.map_err(shown) }))
    }
}

fn shown(error: Error) -> String {
    format!("{error:?}")
}

/// `*` is the whole server (RFC 9110, section 9.3.7).
fn no_path(path: &str) -> Result<()> {
    match path.starts_with('/') || path == "*" {
        true => Ok(()),
        false => Err(Error::other(format!("{path:?} is no path"))
            .advise("a path begins with a slash, and has no host: \"/users?page=2\"")),
    }
}
