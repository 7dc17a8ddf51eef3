//! What stands around everything else, so that browsers can read whatever answer there is: a
//! refusal of a middleware, a time that is over, a panic.

use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use polyport_listener::{ResponseBody, normal_path};

use crate::{
    HttpSettings,
    compression::Compression,
    cors::{self, Cors},
    encoding::Coding,
    head::Said,
    table::{Found, Table},
};

/// What every answer of a framework says, whoever gives it.
#[derive(Debug)]
pub(crate) struct Outermost {
    compression: Option<Compression>,
    cors: Option<Cors>,
}

impl Outermost {
    pub(crate) fn new(settings: &HttpSettings) -> Self {
        Self {
            compression: Compression::new(&settings.compression),
            cors: Cors::new(&settings.cors),
        }
    }

    /// The answer to a preflight of something that is served; nobody else sees it.
    pub(crate) fn preflight<B: Body>(
        &self,
        request: &Request<B>,
        table: &Table,
    ) -> Option<Response<ResponseBody>> {
        let cors = self.cors.as_ref().filter(|_| cors::is_preflight(request))?;
        let checked = Said::by(request.headers()).check(request.version(), request.body());
        let is_plain = request.body().is_end_stream() && checked.is_ok();
        let path = normal_path(request.uri().path());
        let is_served = !matches!(table.find(&Method::OPTIONS, &path), Found::Nothing);
        (is_plain && is_served).then(|| cors.preflight(request.headers()))
    }

    /// Who sends these headers, as far as the answer depends on it; none where no answer does.
    pub(crate) fn asker(&self, request: &HeaderMap) -> Option<Asker> {
        if self.compression.is_none() && self.cors.is_none() {
            return None;
        }
        Some(Asker {
            reader: self.cors.as_ref().and_then(|cors| cors.reader(request)),
            coding: self.compression.as_ref().and_then(|all| all.coding_for(request)),
        })
    }

    /// Completes an answer.
    pub(crate) fn complete(
        &self,
        mut answer: Response<ResponseBody>,
        asker: Asker,
    ) -> Response<ResponseBody> {
        if let Some(compression) = &self.compression {
            answer = compression.compress(answer, asker.coding);
        }
        if let Some(cors) = &self.cors {
            cors.write(asker.reader, answer.headers_mut());
        }
        answer
    }
}

/// What of a request its answer depends on.
pub(crate) struct Asker {
    /// The origin that may read the answer.
    reader: Option<HeaderValue>,
    /// The coding that it is compressed in.
    coding: Option<Coding>,
}
