//! One operation on four protocols.

use std::sync::Arc;

use async_trait::async_trait;
use polyport::{prelude::*, testing::*};
use polyport_im::{User, UserRepo};
use polyport_proto::im::v1::{GetUserRequest, user_service_client::UserServiceClient};
use serde_json::{Value, json};

#[polyport::test(crate::app)]
async fn a_user_is_the_same_on_every_protocol(app: &TestApp) {
    let tom = json!({ "userId": "tom", "username": "Tom", "age": 10 });
    let asked = json!({ "userId": "tom" });

    let over_http: Value = app.http().get("/users").query(&asked).await.json();
    assert_eq!(over_http, tom);

    let mut socket = app.websocket("/ws").await;
    assert_eq!(socket.request::<Value>("users.get", &asked).await.expect("is known"), tom);

    let mut users = app.grpc(UserServiceClient::new);
    let reply = users.get_user(GetUserRequest { user_id: "tom".to_owned() }).await;
    assert_eq!(reply.expect("is known").into_inner().username, "Tom");

    let over_amqp = app.amqp().request("users.get", &asked).await;
    assert_eq!(over_amqp.value::<Value>().expect("is known"), tom);
}

#[polyport::test(crate::app)]
async fn who_is_unknown_is_the_same_fault_on_every_protocol(app: &TestApp) {
    let nobody = json!({ "userId": "nobody" });
    let mut socket = app.websocket("/ws").await;
    for fault in [
        app.http().get("/users").query(&nobody).await.expect_status(404).fault(),
        socket.request::<Value>("users.get", &nobody).await.err(),
        app.amqp().request("users.get", &nobody).await.fault(),
        app.operation("GET /users").call::<Value>(&nobody).await.err(),
    ] {
        assert_eq!(fault.expect("is unknown").reason(), "USER_NOT_FOUND");
    }
}

/// Knows everybody.
struct Everybody;

#[async_trait]
impl UserRepo for Everybody {
    async fn find(&self, user_id: &str) -> Result<Option<User>> {
        Ok(Some(User { user_id: user_id.to_owned(), username: "Somebody".to_owned(), age: 1 }))
    }
}

fn with_everybody() -> TestBootstrap {
    crate::app().override_value::<dyn UserRepo>(Arc::new(Everybody))
}

#[polyport::test(with_everybody)]
async fn a_test_brings_its_own_users(app: &TestApp) {
    let user: Value = app.http().get("/users?userId=nobody").await.json();
    assert_eq!(user["username"], "Somebody");
}
