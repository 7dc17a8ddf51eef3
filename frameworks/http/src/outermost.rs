//! What stands around everything else, so that browsers can read whatever answer there is: a
//! refusal of a middleware, a time that is over, a panic.

use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use polyport_listener::ResponseBody;

use crate::{
    HttpSettings,
    cors::{self, Cors},
    head, normal,
    security_headers::SecurityHeaders,
    table::{Found, Table},
};

/// What every answer of a framework says, whoever gives it.
#[derive(Debug)]
pub(crate) struct Outermost {
    cors: Option<Cors>,
    security_headers: Option<SecurityHeaders>,
}

impl Outermost {
    pub(crate) fn new(settings: &HttpSettings) -> Self {
        Self {
            cors: Cors::new(&settings.cors),
            security_headers: SecurityHeaders::new(&settings.security_headers),
        }
    }

    /// The answer to a preflight of something that is served; nobody else sees it.
    pub(crate) fn preflight<B: Body>(
        &self,
        request: &Request<B>,
        table: &Table,
    ) -> Option<Response<ResponseBody>> {
        let cors = self.cors.as_ref().filter(|_| cors::is_preflight(request))?;
        let is_plain = request.body().is_end_stream() && head::check(request).is_ok();
        let path = normal::path(request.uri().path());
        let is_served = !matches!(table.find(&Method::OPTIONS, &path), Found::Nothing);
        (is_plain && is_served).then(|| cors.preflight(request.headers()))
    }

    /// Who may read the answer to a request with these headers.
    pub(crate) fn reader(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.cors.as_ref().and_then(|cors| cors.reader(request))
    }

    /// Completes an answer.
    pub(crate) fn write(&self, reader: Option<HeaderValue>, answer: &mut HeaderMap) {
        if let Some(cors) = &self.cors {
            cors.write(reader, answer);
        }
        if let Some(headers) = &self.security_headers {
            headers.write(answer);
        }
    }
}
