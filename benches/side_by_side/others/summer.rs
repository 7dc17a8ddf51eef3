//! summer-rs with its web plugin, and none of its middleware.

use std::net::TcpListener;

use summer::{
    App,
    event::{AppEventSubscriber, ServerStartedEvent},
};
use summer_web::{
    Router, WebConfigurator, WebPlugin,
    axum::{Json, extract::Query, routing::get},
};
use tokio::runtime::Runtime;

use crate::{
    Result,
    payload::{Envelope, GetUser, User, user},
    say,
};

/// Its event tells the port that it was given, so that one has to be chosen before.
pub(crate) fn serve() -> Result {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config =
        format!("[logger]\nenable = false\n\n[web]\nbinding = \"127.0.0.1\"\nport = {port}\n");
    let mut app = App::new();
    app.use_config_str(&config).add_plugin(WebPlugin);
    app.add_router(Router::new().route("/users", get(get_user)));
    app.listen_app(|started: ServerStartedEvent, _| async move { Ok(say(started.addr)?) });
    Runtime::new()?.block_on(app.run());
    Err("summer-rs has ended".into())
}

async fn get_user(Query(query): Query<GetUser>) -> Json<Envelope<User>> {
    Json(Envelope::of(user(query.user_id)))
}
