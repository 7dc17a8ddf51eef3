//! Users: one operation, served on all four protocols.

use std::sync::Arc;

use async_trait::async_trait;
use garde::Validate;
use polyport::prelude::*;
use polyport_proto::im::v1 as pb;
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

/// A user, as callers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// What the user is known by.
    pub user_id: String,
    /// What the user is called.
    pub username: String,
    /// In years.
    pub age: u32,
}

/// Where users are kept.
#[async_trait]
pub trait UserRepo: Send + Sync {
    /// The user of this id, if there is one.
    ///
    /// # Errors
    /// Returns an error where the store cannot be asked.
    async fn find(&self, user_id: &str) -> Result<Option<User>>;
}

#[derive(Provide)]
struct SqlUserRepo {
    #[inject]
    pool: Arc<SqlitePool>,
}

#[async_trait]
impl UserRepo for SqlUserRepo {
    async fn find(&self, user_id: &str) -> Result<Option<User>> {
        let user = sqlx::query_as("SELECT user_id, username, age FROM users WHERE user_id = ?")
            .bind(user_id)
            .fetch_optional(&*self.pool)
            .await?;
        Ok(user)
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct GetUser {
    #[garde(length(min = 1, max = 64))]
    user_id: String,
}

/// One function. HTTP, WebSocket, gRPC and AMQP serve it below.
async fn get_user(
    Inject(users): Inject<dyn UserRepo>,
    Input(query): Input<GetUser>,
) -> Result<User, Fault> {
    let user = users.find(&query.user_id).await?;
    user.ok_or_else(|| Fault::not_found("USER_NOT_FOUND", "no such user"))
}

pub(crate) struct UserModule;

impl Module for UserModule {
    fn name(&self) -> &str {
        "user"
    }

    fn depends_on(&self) -> Vec<&str> {
        vec!["store"]
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.bind::<dyn UserRepo, SqlUserRepo>(|repo| repo)
            .http(|r| r.get("/users", get_user))
            .websocket(|g| g.on("users.get", get_user))
            .grpc(|s| {
                s.unary::<pb::GetUserRequest, pb::User>("im.v1.UserService/GetUser", get_user)
            })
            .amqp(|q| q.consume("users.get", get_user));
        Ok(())
    }
}

impl From<pb::GetUserRequest> for GetUser {
    fn from(request: pb::GetUserRequest) -> Self {
        Self { user_id: request.user_id }
    }
}

impl From<User> for pb::User {
    fn from(user: User) -> Self {
        Self { user_id: user.user_id, username: user.username, age: user.age }
    }
}
