//! polyport with all of its frameworks.

use ::polyport::{
    amqp::AmqpSettings, grpc::GrpcSettings, http::HttpSettings, prelude::*,
    websocket::WebSocketSettings,
};

use crate::servers::{amqp, grpc, has_token, http, say, websocket};

/// With a broker's URL there is a consumer, too.
pub(super) async fn serve(broker: Option<String>) -> Result<()> {
    let http = HttpSettings { port: 0, ..HttpSettings::default() };
    let websocket = WebSocketSettings { port: Some(0), ..WebSocketSettings::default() };
    let grpc = GrpcSettings { port: Some(0), ..GrpcSettings::default() };
    let mut bootstrap = Bootstrap::new()
        .load(HttpFramework::new().configure(http))
        .load(WebSocketFramework::new().configure(websocket))
        .load(GrpcFramework::new().configure(grpc))
        .pipeline(|p| p.guard(has_token))
        .module(http::module())
        .module(websocket::module())
        .module(grpc::module());
    if let Some(url) = broker {
        let settings = AmqpSettings { url: Some(url.into()), ..AmqpSettings::default() };
        bootstrap = bootstrap
            .load(AmqpFramework::new().configure(settings))
            .module(amqp::module("side-by-side.start-polyport"));
    }
    let process = bootstrap.start().await?;
    let address = process.app::<HttpApp>()?.local_addr();
    say(address.ok_or_else(|| Error::other("it is not bound"))?)?;
    process.wait().await?;
    Ok(())
}
