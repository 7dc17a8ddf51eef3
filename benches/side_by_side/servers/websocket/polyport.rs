//! polyport with all of its chain: request id, timeout, panics caught, one guard, binding,
//! validation and envelope.

use ::polyport::{module as new_module, prelude::*, websocket::WebSocketSettings};

use super::talk::{Said, Say};
use crate::servers::{has_token, say};

async fn talk(Input(say): Input<Say>) -> Result<Said, Fault> {
    Ok(super::talk::said(say))
}

/// What is served.
pub(in crate::servers) fn module() -> impl Module {
    new_module("talk", |m| {
        m.websocket(|g| g.on("say", talk));
        Ok(())
    })
}

pub(super) async fn serve() -> Result<()> {
    let settings = WebSocketSettings { port: Some(0), ..WebSocketSettings::default() };
    let process = Bootstrap::new()
        .load(WebSocketFramework::new().configure(settings))
        .pipeline(|p| p.guard(has_token))
        .module(module())
        .start()
        .await?;
    let address = process.app::<WebSocketApp>()?.local_addr();
    say(address.ok_or_else(|| Error::other("it is not bound"))?)?;
    process.wait().await?;
    Ok(())
}
