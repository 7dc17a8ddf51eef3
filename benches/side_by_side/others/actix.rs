//! actix-web, as its own page has it, with a worker for each core.

use std::net::TcpListener;

use actix_web::{
    App, HttpServer, rt,
    web::{Json, Query, get},
};

use crate::{
    Result,
    payload::{Envelope, GetUser, User, user},
    say,
};

pub(crate) fn serve(cores: usize) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(|| App::new().route("/users", get().to(get_user)));
    let server = server.workers(cores).listen(listener)?;
    Ok(rt::System::new().block_on(async {
        say(address)?;
        server.run().await
    })?)
}

async fn get_user(Query(query): Query<GetUser>) -> Json<Envelope<User>> {
    Json(Envelope::of(user(query.user_id)))
}
