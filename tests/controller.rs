//! A controller, served on all four protocols.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use garde::Validate;
use polyport::{Bootstrap, amqp::Message, prelude::*, testing::*};
use polyport_proto::im::v1::{self as pb, user_service_client::UserServiceClient};
use prost::Message as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    user_id: String,
    age: u32,
}

#[derive(Debug, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GetUser {
    #[garde(length(min = 1))]
    user_id: String,
}

#[derive(Debug, PartialEq)]
enum Role {
    Member,
    Admin,
}

#[derive(Provide)]
struct Ages {
    #[default(7)]
    of_all: u32,
}

#[derive(Provide)]
struct UserController {
    #[inject]
    ages: Arc<Ages>,
}

/// Lets those in who say that they are what the operation asks for.
fn has_role(context: &Context) -> Result<(), Fault> {
    let is_admin = context.operation().attribute() == Some(&Role::Admin);
    match is_admin && !context.metadata.contains_key("x-admin") {
        true => Err(Fault::permission_denied("ADMINS_ONLY", "this is for admins")),
        false => Ok(()),
    }
}

#[controller("/users", attr = Role::Member, pipeline = |p| p.guard(has_role))]
impl UserController {
    /// The user of an id.
    #[get("/{userId}")]
    #[websocket("users.get")]
    #[grpc("im.v1.UserService/GetUser", request = pb::GetUserRequest, response = pb::User)]
    #[amqp("users.get")]
    async fn get(&self, Input(query): Input<GetUser>) -> Result<User, Fault> {
        Ok(self.user(query.user_id))
    }

    #[delete("/{userId}", status = StatusCode::ACCEPTED)]
    #[operation(attr = Role::Admin, name = "users.delete")]
    async fn delete(&self, Input(query): Input<GetUser>, context: Ctx) -> Result<String, Fault> {
        Ok(format!("{} is gone by {}", query.user_id, context.operation().name()))
    }

    #[post("/find")]
    #[amqp("users.find")]
    async fn find(&self, Input(query): Input<GetUser>) -> Result<User, Fault> {
        Ok(self.user(query.user_id))
    }

    /// Is in no build, and so on no route.
    #[cfg(any())]
    #[get("/{userId}/never")]
    async fn never(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn user(&self, user_id: String) -> User {
        User { user_id, age: self.ages.of_all }
    }
}

impl From<pb::GetUserRequest> for GetUser {
    fn from(request: pb::GetUserRequest) -> Self {
        Self { user_id: request.user_id }
    }
}

impl From<User> for pb::User {
    fn from(user: User) -> Self {
        Self { username: user.user_id.clone(), user_id: user.user_id, age: user.age }
    }
}

fn bootstrap() -> Bootstrap {
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(GrpcFramework::new())
        .load(AmqpFramework::new())
        .module(module("users", |m| {
            m.provide::<Ages>().controller::<UserController>();
            m.protobuf::<pb::GetUserRequest, GetUser>();
            Ok(())
        }))
}

async fn app() -> TestApp {
    create_bootstrap(bootstrap()).root("no/such/folder").await.expect("starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_answers_on_all_four_protocols() {
    let app = app().await;
    let tom = json!({ "userId": "tom", "age": 7 });
    assert_eq!(app.http().get("/users/tom").await.json::<Value>(), tom);
    let mut socket = app.websocket("/ws").await;
    assert_eq!(socket.call("users.get", &json!({ "userId": "tom" })).await["data"], tom);
    let mut grpc = app.grpc(UserServiceClient::new);
    let request = pb::GetUserRequest { user_id: "tom".to_owned() };
    assert_eq!(grpc.get_user(request).await.expect("answers").into_inner().age, 7);
    let reply = app.amqp().request("users.get", &json!({ "userId": "tom" })).await;
    assert_eq!(reply.json::<Value>(), tom);
    app.close().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_method_declares_stands_closer_than_what_its_controller_does() {
    let app = app().await;
    let refused = app.http().delete("/users/tom").await;
    assert_eq!(refused.status(), 403);
    let deleted = app.http().delete("/users/tom").header("x-admin", "yes").await;
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    assert_eq!(deleted.json::<String>(), "tom is gone by users.delete");
    app.close().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_by_its_content_type_over_http_and_amqp() {
    let app = app().await;
    let protobuf =
        |user_id: &str| pb::GetUserRequest { user_id: user_id.to_owned() }.encode_to_vec();
    let post = async |content_type: &str, body: Vec<u8>| {
        let reply = app.http().post("/users/find").body(content_type, body).await;
        (reply.status().as_u16(), reply.json::<Value>())
    };
    let tom = json!({ "userId": "tom", "age": 7 });
    assert_eq!(post("application/protobuf", protobuf("tom")).await, (200, tom.clone()));
    assert_eq!(post("application/x-www-form-urlencoded", b"userId=tom".to_vec()).await.0, 200);
    assert_eq!(post("application/protobuf", protobuf("")).await.1["reason"], "INVALID_INPUT");
    assert_eq!(post("application/protobuf", vec![7; 9]).await.1["reason"], "MALFORMED_MESSAGE");
    assert_eq!(post("application/x-unknown", b"tom".to_vec()).await.0, 415);

    let request = async |content_type: &str, body: Vec<u8>| {
        let message = Message::new("", "users.find", body).content_type(content_type);
        app.amqp().request_message(message).await.json::<Value>()
    };
    assert_eq!(request("application/protobuf", protobuf("tom")).await, tom);
    let unknown = request("application/x-unknown", b"tom".to_vec()).await;
    assert_eq!(unknown["reason"], "UNSUPPORTED_MEDIA_TYPE");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn the_catalog_knows_every_route_of_a_controller() {
    let catalog = bootstrap().root("no/such/folder").catalog().await;
    // Only a test may do without the folder of its root.
    assert!(catalog.is_err());
    let app = app().await;
    let catalog = app.catalog();
    let routes: Vec<_> = catalog
        .operations
        .iter()
        .filter(|operation| operation.module == "users")
        .map(|operation| (operation.protocol, operation.route.as_str(), operation.name.as_str()))
        .collect();
    assert_eq!(
        routes,
        [
            ("http", "GET /users/{userId}", "UserController::get"),
            ("http", "DELETE /users/{userId}", "users.delete"),
            ("http", "POST /users/find", "UserController::find"),
            ("websocket", "users.get", "UserController::get"),
            ("grpc", "im.v1.UserService/GetUser", "UserController::get"),
            ("amqp", "users.get", "UserController::get"),
            ("amqp", "users.find", "UserController::find"),
        ]
    );
    let get = catalog.of_protocol("amqp").next().expect("is there");
    assert_eq!(get.guards().collect::<Vec<_>>(), ["has_role"]);
    assert_eq!(get.attributes, ["Role"]);
    let input = get.input.as_ref().expect("is known");
    assert!(input.get("properties").is_some_and(|fields| fields.get("userId").is_some()));
    assert_eq!(get.output.as_ref().and_then(|schema| schema.get("title")), Some(&json!("User")));
    app.close().await.expect("stops");
}
