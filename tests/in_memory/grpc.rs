//! What `app.grpc(…)` can.

use polyport::{grpc::fault_from_status, testing::GrpcTest};
use polyport_proto::{
    helloworld::{HelloRequest, greeter_client::GreeterClient},
    im::v1::{SubscribeRequest, chat_service_client::ChatServiceClient},
};

use crate::{app::app, both_ways};

pub(crate) fn named(name: &str) -> HelloRequest {
    HelloRequest { name: name.to_owned() }
}

both_ways! {
    any_generated_client_calls(way) {
        let app = app(way).await.expect("it starts");
        let mut greeter = app.grpc(GreeterClient::new);
        let reply = greeter.say_hello(named("tom")).await.expect("is answered");
        assert_eq!(reply.into_inner().message, "Hello tom!");
        let status = greeter.say_hello(named("nobody")).await.expect_err("a fault");
        assert_eq!(fault_from_status(&status).reason(), "NO_USER");
        app.close().await.expect("it stops");
    }

    streams_are_read_item_by_item(way) {
        let app = app(way).await.expect("it starts");
        let mut chat = app.grpc(ChatServiceClient::new);
        let room = SubscribeRequest { room: "lobby".to_owned() };
        let mut messages = chat.subscribe(room).await.expect("begins").into_inner();
        for text in ["lobby", "lobby again"] {
            assert_eq!(messages.message().await.expect("lives").expect("an item").text, text);
        }
        drop(messages);
        app.close().await.expect("it stops");
    }
}
