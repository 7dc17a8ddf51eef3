//! A reply that comes bit by bit.

use std::{fmt, future::Future};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use polyport_bootstrap::{Error, Result, testing::or_panic};
use polyport_listener::{
    Door,
    testing::{Speaks, within},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    reply::HttpReply,
    sent::{Sent, show_headers},
};

/// A reply's head, and its body bit by bit. Dropped, it ends the connection, as a client does that
/// has left.
pub struct HttpStream {
    sent: Sent,
    head: Parts,
    body: Incoming,
    _connection: AbortOnDropHandle<hyper::Result<()>>,
}

impl HttpStream {
    pub(super) async fn open(door: &Door, sent: Sent, body: Bytes) -> Result<Self> {
        let place = sent.place();
        let begun = within("the head of the reply", Self::begin(door, sent, body)).await;
        begun.unwrap_or_else(|late| Err(Error::deadline(late))).map_err(|e| e.context(place))
    }

    async fn begin(door: &Door, sent: Sent, body: Bytes) -> Result<Self> {
        let mut request = Request::builder().method(sent.method.clone()).uri(&sent.path);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&sent.headers);
        }
        let request = request.body(Full::new(body))?;
        let io = TokioIo::new(door.connect(Speaks::Http1).await?);
        let (mut sender, connection) = http1::handshake(io).await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Self { sent, head, body, _connection: connection })
    }

    pub(super) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The status; it can be compared with a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The next bytes of the body, as they come; none at its end.
    ///
    /// # Errors
    /// Returns an error where the connection ends before the body does, and where nothing comes in
    /// ten seconds.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn try_chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let next = within("the next part of the body", self.body.frame()).await;
            match next.map_err(|late| Error::deadline(late).context(self.sent.place()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::from(error).context(self.sent.place())),
                // Trailers are no data.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => continue,
                },
            }
        }
    }

    /// The next bytes of the body, as they come; none at its end.
    ///
    /// # Panics
    /// Panics where [`try_chunk`](Self::try_chunk) gives an error.
    #[track_caller]
    pub fn chunk(&mut self) -> impl Future<Output = Option<Bytes>> {
        or_panic(self.next())
    }

    pub(super) async fn next(&mut self) -> std::result::Result<Option<Bytes>, String> {
        let chunk = self.try_chunk().await;
        chunk.map_err(|error| format!("{error:?} in {self:?}"))
    }

    /// The rest of the body, and so the whole reply where nothing of it has been taken.
    ///
    /// # Errors
    /// Returns an error where the connection ends before the body does, and where nothing comes in
    /// ten seconds.
    pub async fn whole(mut self) -> Result<HttpReply> {
        let mut body = Vec::new();
        while let Some(chunk) = self.try_chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply::new(self.sent, Response::from_parts(self.head, body.into())))
    }
}

impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the reply\n{}< {}", self.sent, self.status())?;
        show_headers(f, '<', self.headers())
    }
}
