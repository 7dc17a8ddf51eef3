//! axum's router on a connection of hyper that speaks HTTP/1 only.

use ::hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use polyport::Result;

use super::raw::router;
use crate::servers::listen;

pub(super) async fn serve() -> Result<()> {
    let (listener, service) = (listen().await?, TowerToHyperService::new(router()));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
    }
}
