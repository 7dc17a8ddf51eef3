//! What an axum user writes who is careful: the layers that every service should have.

use std::time::Duration;

use axum::http::StatusCode;
use polyport::Result;
use tower::ServiceBuilder;
use tower_http::{
    ServiceBuilderExt,
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    request_id::MakeRequestUuid,
    timeout::TimeoutLayer,
    trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer},
};
use tracing::Level;

use super::raw::router;
use crate::servers::{listen, log};

/// With `logs` there is a span and two lines for each call, else the layer finds the log off.
pub(super) async fn serve(logs: bool) -> Result<()> {
    if logs {
        log::to_nowhere()?;
    }
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_request(DefaultOnRequest::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let layers = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .propagate_x_request_id()
        .layer(trace)
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
        .layer(RequestBodyLimitLayer::new(1024 * 1024));
    Ok(axum::serve(listen().await?, router().layer(layers)).await?)
}
