//! What an axum user writes first: the baseline.

use axum::{
    Json, Router,
    extract::Query,
    routing::{get, post},
};
use polyport::Result;

use super::payload::{Envelope, Filed, Form, GetUser, User, user};
use crate::servers::listen;

pub(super) async fn serve() -> Result<()> {
    Ok(axum::serve(listen().await?, router()).await?)
}

pub(in crate::servers) fn router() -> Router {
    Router::new().route("/users", get(get_user)).route("/forms", post(file))
}

async fn get_user(Query(query): Query<GetUser>) -> Json<Envelope<User>> {
    Json(Envelope::of(user(query.user_id)))
}

async fn file(Json(form): Json<Form>) -> Json<Envelope<Filed>> {
    Json(Envelope::of(form.filed()))
}
