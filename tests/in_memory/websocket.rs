//! What `app.websocket(…)` can.

use polyport::{
    prelude::Fault,
    testing::{RecordedKind, WebSocketTest},
};
use serde_json::json;

use crate::{
    app::{Post, app, post},
    both_ways,
};

both_ways! {
    a_request_has_a_typed_answer_or_a_fault(way) {
        let app = app(way).await.expect("it starts");
        let mut client = app.websocket("/ws").await;
        let sent = post("tom", &["a"]);
        assert_eq!(client.request::<Post>("echo", &sent).await.expect("a value"), sent);
        let refused: Result<Post, Fault> = client.request("echo", &post("nobody", &[])).await;
        assert_eq!(refused.expect_err("a fault").reason(), "NO_USER");
        assert_eq!(client.close().await, 1000);
        app.close().await.expect("it stops");
    }

    envelopes_are_taken_off(way) {
        let app = app(way).config("websocket.envelope", "return-code").await.expect("it starts");
        let mut client = app.websocket("?room=1").await;
        let sent = post("tom", &[]);
        assert_eq!(client.request::<Post>("echo", &sent).await.expect("a value"), sent);
        let refused = client.request::<Post>("echo", &post("nobody", &[])).await;
        assert_eq!(refused.expect_err("a fault").message(), "there is no such user");
        client.close().await;
        app.close().await.expect("it stops");
    }

    events_are_expected_in_any_order(way) {
        let app = app(way).await.expect("it starts");
        let mut client = app.websocket("").await;
        let sent = post("tom", &["a"]);
        client.emit("announce", &sent).await;
        assert_eq!(client.expect_event::<Post>("announced").await, sent);
        assert_eq!(client.expect_event::<u32>("other").await, 1);
        client.send_binary(&b"abc"[..]).await;
        assert_eq!(client.expect_binary().await, &b"cba"[..]);
        client.emit("leave", &()).await;
        assert_eq!(client.expect_close().await, (4001, "you asked for it".to_owned()));
        app.close().await.expect("it stops");
    }

    what_a_client_has_sent_is_waited_for_before_it_is_read(way) {
        let app = app(way).await.expect("it starts");
        let mut client = app.websocket("").await;
        for _ in 0..100 {
            client.emit("announce", &post("tom", &[])).await;
        }
        client.send_binary(&b"abc"[..]).await;
        app.settled().await.expect("nothing fails");
        let announced = app.recorder().by_route(RecordedKind::Sent, "announced");
        assert_eq!(announced.len(), 100, "{}", app.recorder());
        assert_eq!(client.expect_binary().await, &b"cba"[..]);
        client.close().await;
        app.settled().await.expect("nothing is unread where nobody reads");
        app.close().await.expect("it stops");
    }

    what_the_application_asks_is_acknowledged(way) {
        let app = app(way).await.expect("it starts");
        let mut client = app.websocket("").await;
        for answer in [true, false] {
            client.send_text(r#"{"event":"confirm","id":1}"#).await;
            assert_eq!(client.acknowledge("sure?", &answer).await, json!({ "what": "delete" }));
            assert_eq!(client.expect_frame("confirm").await["data"], answer);
        }
        client.close().await;
        app.close().await.expect("it stops");
    }

    a_client_leaves_with_a_code_and_a_reason_of_its_own(way) {
        let app = app(way).await.expect("it starts");
        for (code, reason) in [(1000, "done"), (3000, ""), (4999, "tired of it")] {
            let mut client = app.websocket("").await;
            assert_eq!(client.close_with(code, reason).await, code);
            let told = format!("a client is gone code={code} reason={reason}");
            app.recorder().wait_for(|one| one.text.as_deref() == Some(&*told)).await;
        }
        app.close().await.expect("it stops");
    }

    a_refused_handshake_is_a_value(way) {
        let app = app(way).await.expect("it starts");
        let refusal = app.websocket_on("admin", "").refused().await;
        assert_eq!((refusal.status().as_u16(), refusal.fault().reason()), (401, "NO_TOKEN"));
        let connect = app.websocket_on("admin", "").bearer("t0k3n").subprotocol("chat.v1");
        let mut client = connect.await;
        assert_eq!(client.subprotocol(), Some("chat.v1"));
        assert!(client.request::<Post>("echo", &post("tom", &[])).await.is_ok());
        client.close().await;
        app.close().await.expect("it stops");
    }
}
