//! By hand on hyper: no router, no extractor.

use std::convert::Infallible;

use ::hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use polyport::Result;

use super::payload::{Envelope, user};
use crate::servers::listen;

pub(super) async fn serve() -> Result<()> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let id = request.uri().query().and_then(|query| query.strip_prefix("userId="));
    let body = serde_json::to_vec(&Envelope::of(user(id.unwrap_or_default().to_owned())));
    let mut response = Response::new(Full::from(body.unwrap_or_default()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
