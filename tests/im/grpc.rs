//! gRPC's rows of the contract.

use polyport::testing::*;
use polyport_proto::{
    helloworld::{HelloRequest, greeter_client::GreeterClient},
    im::v1::{
        GetUserRequest, ListMessagesRequest, SendMessageRequest, SubscribeRequest, User,
        chat_service_client::ChatServiceClient, user_service_client::UserServiceClient,
    },
};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Im, on_both_brokers};

on_both_brokers!(
    the_greeter_greets,
    a_user_is_found_or_refused_with_error_info,
    a_message_is_sent_listed_and_streamed,
);

async fn the_greeter_greets(im: &Im) {
    let mut greeter = im.grpc(GreeterClient::new);
    let reply = greeter.say_hello(HelloRequest { name: "world".to_owned() }).await;
    assert_eq!(reply.expect("answers").into_inner().message, "Hello world");
}

async fn a_user_is_found_or_refused_with_error_info(im: &Im) {
    let mut users = im.grpc(UserServiceClient::new);
    let mut get = async |id: &str| users.get_user(GetUserRequest { user_id: id.to_owned() }).await;
    let tom = User { user_id: "tom".to_owned(), username: "Tom".to_owned(), age: 10 };
    assert_eq!(get("tom").await.expect("is known").into_inner(), tom);

    let empty = get("").await.expect_err("is refused");
    assert_eq!(empty.code(), Code::InvalidArgument);
    assert_eq!(empty.get_error_details().error_info().expect("info").reason, "INVALID_INPUT");

    let nobody = get("nobody").await.expect_err("is not there");
    assert_eq!(nobody.code(), Code::NotFound);
    assert_eq!(nobody.get_error_details().error_info().expect("info").reason, "USER_NOT_FOUND");
}

async fn a_message_is_sent_listed_and_streamed(im: &Im) {
    let mut chat = im.grpc(ChatServiceClient::new);
    let room = "lobby".to_owned();
    let subscribe = SubscribeRequest { room: room.clone() };
    let mut stream = chat.subscribe(subscribe).await.expect("subscribes").into_inner();

    let request =
        SendMessageRequest { room: room.clone(), from: "tom".to_owned(), text: "hi".to_owned() };
    let id = chat.send_message(request).await.expect("is taken").into_inner().id;
    let pushed = stream.message().await.expect("goes on").expect("is open");
    assert_eq!((pushed.id.as_str(), pushed.text.as_str()), (id.as_str(), "hi"));

    let by_http = json!({ "from": "jerry", "text": "from HTTP" });
    im.http().post("/rooms/lobby/messages").json(&by_http).await;
    assert_eq!(stream.message().await.expect("goes on").expect("is open").text, "from HTTP");

    let list = ListMessagesRequest { room, limit: 0 };
    let listed = chat.list_messages(list).await.expect("is listed").into_inner().messages;
    assert_eq!(
        listed.iter().map(|message| message.from.as_str()).collect::<Vec<_>>(),
        ["tom", "jerry"],
    );
}
