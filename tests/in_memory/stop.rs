//! The stop is the same: what is in flight is answered, and nobody gets in any more.

use polyport::{
    Phase,
    testing::{GrpcTest, HttpTest, WebSocketTest},
};
use polyport_proto::{
    helloworld::greeter_client::GreeterClient,
    im::v1::{SubscribeRequest, chat_service_client::ChatServiceClient},
};
use tonic::Code;

use crate::{
    app::{Gate, configured},
    both_ways,
    grpc::named,
};

both_ways! {
    a_call_in_flight_is_answered_and_later_ones_are_refused(way) {
        let gate = Gate::new();
        let app = way.of(configured(&gate)).await.expect("it starts");
        let client = app.http();
        let call = tokio::spawn(client.get("/hold").send());
        gate.begun.acquire().await.expect("is open").forget();
        app.stop("the test");
        while client.get("/me").send().await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(app.phase(), Phase::Stopping);
        gate.open.add_permits(1);
        let reply = call.await.expect("no panic").expect("is answered");
        assert_eq!(reply.json::<String>(), "held");
        app.close().await.expect("it stops");
        assert!(client.get("/me").send().await.is_err());
    }

    sockets_and_streams_are_told_to_go(way) {
        let app = way.of(configured(&Gate::new())).await.expect("it starts");
        let mut own = app.websocket_on("admin", "").bearer("t0k3n").await;
        let mut joined = app.websocket("").await;
        let mut chat = app.grpc(ChatServiceClient::new);
        let room = SubscribeRequest { room: "lobby".to_owned() };
        let mut messages = chat.subscribe(room).await.expect("begins").into_inner();
        let mut greeter = app.grpc(GreeterClient::new);
        assert!(greeter.say_hello(named("tom")).await.is_ok());
        let read = async move {
            loop {
                match messages.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the stream ends as if all were well"),
                    Err(status) => return status.code(),
                }
            }
        };
        let (stopped, code, own, joined) =
            tokio::join!(app.close(), read, own.expect_close(), joined.expect_close());
        stopped.expect("it stops");
        assert_eq!((code, own.0, joined.0), (Code::Unavailable, 1001, 1001));
        let status = greeter.say_hello(named("tom")).await.expect_err("nobody is there");
        assert_eq!(status.code(), Code::Unavailable);
    }
}
