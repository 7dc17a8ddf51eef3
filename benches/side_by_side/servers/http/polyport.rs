//! polyport with all of its chain: request id, timeout, limit of the body, panics caught, one
//! guard, binding, validation and envelope.

use ::polyport::{http::HttpSettings, module as new_module, prelude::*, wire::EnvelopeStyle};

use super::payload::{Filed, Form, GetUser, User, user};
use crate::servers::{has_token, log, say};

async fn get_user(Input(query): Input<GetUser>) -> Result<User, Fault> {
    Ok(user(query.user_id))
}

async fn file(Input(form): Input<Form>) -> Result<Filed, Fault> {
    Ok(form.filed())
}

/// What is served.
pub(in crate::servers) fn module() -> impl Module {
    new_module("users", |m| {
        m.http(|r| r.get("/users", get_user).post("/forms", file));
        Ok(())
    })
}

/// With `logs` there are two lines for each call, in the log that a process of polyport sets up.
pub(super) async fn serve(logs: bool) -> Result<()> {
    let settings =
        HttpSettings { port: 0, envelope: EnvelopeStyle::ReturnCode, ..HttpSettings::default() };
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::new().configure(settings))
        .default_config(serde_json::json!({ "middleware": { "traffic": { "enable": logs } } }))
        .pipeline(|p| p.guard(has_token))
        .module(module())
        .on_server_ready(async |container| {
            let address = container.app::<HttpApp>()?.local_addr();
            say(address.ok_or_else(|| Error::other("it is not bound"))?)
        });
    if logs {
        log::own_to_nowhere()?;
        return bootstrap.run().await;
    }
    bootstrap.start().await?.wait().await
}
