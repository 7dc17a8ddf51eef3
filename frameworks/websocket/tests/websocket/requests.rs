//! What the server asks its clients.

use std::{sync::Arc, time::Duration};

use polyport_bootstrap::{
    Fault, FaultKind, Module, ModuleBuilder, Result,
    operation::{Inject, Input},
};
use polyport_websocket::{
    Socket, WebSocketModule,
    testing::{Received, WebSocketTest},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::support::{LONG, Number, Raw, address, chat, masked, websocket, within};

/// How asking inside an event has ended.
#[derive(Default)]
struct Outcomes(Mutex<Vec<String>>);

async fn confirm(socket: Socket, Inject(outcomes): Inject<Outcomes>) -> Result<bool, Fault> {
    let answer = socket.request::<bool>("sure?", &json!({ "what": "delete" }), LONG).await;
    let text = match &answer {
        Ok(yes) => yes.to_string(),
        Err(fault) => fault.reason().to_owned(),
    };
    outcomes.0.lock().await.push(text);
    answer
}

async fn echo(Input(Number(value)): Input<Number>) -> Result<u32, Fault> {
    Ok(value)
}

struct Asking(Arc<Outcomes>);

impl Module for Asking {
    fn name(&self) -> &'static str {
        "asking"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0));
        m.websocket(|g| g.on("confirm", confirm).on("echo", echo));
        Ok(())
    }
}

fn asking() -> Asking {
    Asking(Arc::default())
}

#[tokio::test]
async fn an_event_awaits_the_ack_of_its_own_client() {
    let app = chat(asking()).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"confirm","id":1}"#).await;
    assert_eq!(client.acknowledge("sure?", &true).await, json!({ "what": "delete" }));
    assert_eq!(client.expect_frame("confirm").await["data"]["data"], true);
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_ack_is_found_behind_more_events_than_are_read_ahead() {
    let app = chat(asking()).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"confirm","id":1}"#).await;
    for number in 0..100 {
        client.send_text(&json!({ "event": "echo", "data": number, "id": 2 }).to_string()).await;
    }
    client.acknowledge("sure?", &false).await;
    assert_eq!(client.expect_frame("confirm").await["data"]["data"], false);
    for number in 0..100 {
        assert_eq!(client.expect_frame("echo").await["data"]["data"], number);
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_refusal_comes_back_as_the_clients_fault() {
    let app = chat(asking()).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"confirm","id":1}"#).await;
    let asked = client.expect_frame("sure?").await;
    let refusal = json!({ "returnCode": "ERR40900", "errorMessage": "not now" });
    let frame = json!({ "event": "exception", "id": asked["id"], "data": refusal });
    client.send_text(&frame.to_string()).await;
    let answer = client.expect_frame("exception").await;
    assert_eq!(answer["data"], refusal);
    assert_eq!(answer["id"], 1);
    app.close().await.unwrap();
}

#[tokio::test]
async fn acks_that_nobody_waits_for_are_ignored() {
    let app = chat(asking()).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.call("echo", &0).await;
    let socket = websocket(&app).sockets().remove(0);
    let late = socket.request::<Value>("quick?", &(), Duration::from_millis(10)).await;
    let fault = late.unwrap_err();
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::DeadlineExceeded, "NO_ACK"));
    client.acknowledge("quick?", &1).await;
    for frame in [
        json!({ "event": "ack" }),
        json!({ "event": "ack", "id": "request-77", "data": 1 }),
        json!({ "event": "ack", "id": { "x": 1 } }),
        json!({ "event": "exception", "id": 4, "data": "?" }),
    ] {
        client.send_text(&frame.to_string()).await;
    }
    client.send_text(&json!({ "event": "echo", "data": 7, "id": 1 }).to_string()).await;
    let Received::Frame(frame) = client.next().await else { panic!("no frame") };
    assert_eq!(frame["data"]["data"], 7, "nothing came before it");
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_ack_of_another_form_is_an_internal_fault() {
    let app = chat(asking()).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.call("echo", &0).await;
    let socket = websocket(&app).sockets().remove(0);
    let asking = tokio::spawn(socket.request::<bool>("sure?", &(), LONG));
    client.acknowledge("sure?", &"perhaps").await;
    let fault = within(asking).await.unwrap().unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Internal);
    // Without data it is null.
    let asking = tokio::spawn(socket.request::<Option<bool>>("sure?", &(), LONG));
    let frame = client.expect_frame("sure?").await;
    client.send_text(&json!({ "event": "ack", "id": frame["id"] }).to_string()).await;
    assert_eq!(within(asking).await.unwrap().unwrap(), None);
    app.close().await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_connection_ends_what_waits() {
    let module = asking();
    let outcomes = Arc::clone(&module.0);
    let app = chat(module).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.emit("confirm", &()).await;
    client.expect_frame("sure?").await;
    let socket = websocket(&app).sockets().remove(0);
    let asking = tokio::spawn(socket.request::<bool>("sure?", &(), LONG));
    client.expect_frame("sure?").await;
    drop(client);
    assert_eq!(within(asking).await.unwrap().unwrap_err().reason(), "SOCKET_CLOSED");
    within(async {
        while outcomes.0.lock().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(*outcomes.0.lock().await, ["SOCKET_CLOSED"]);
    let after = within(socket.request::<bool>("sure?", &(), LONG)).await;
    assert_eq!(after.unwrap_err().reason(), "SOCKET_CLOSED");
    app.close().await.unwrap();
}

#[tokio::test]
async fn only_so_many_wait_and_those_that_are_given_up_make_room() {
    let app = chat(asking()).config("websocket.max_requests", 2).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.call("echo", &0).await;
    let socket = websocket(&app).sockets().remove(0);
    let first = tokio::spawn(socket.request::<u32>("a?", &(), LONG));
    let given_up = socket.request::<u32>("b?", &(), LONG);
    let refused = within(socket.request::<u32>("c?", &(), LONG)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.reason()),
        (FaultKind::ResourceExhausted, "TOO_MANY_REQUESTS")
    );
    drop(given_up);
    let third = tokio::spawn(socket.request::<u32>("c?", &(), LONG));
    client.acknowledge("c?", &3).await;
    client.acknowledge("a?", &1).await;
    assert_eq!(within(third).await.unwrap().unwrap(), 3);
    assert_eq!(within(first).await.unwrap().unwrap(), 1);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_stop_waits_for_an_event_that_waits_for_its_ack() {
    let app = chat(asking()).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"confirm","id":1}"#).await;
    let asked = client.expect_frame("sure?").await;
    let address = address(&app);
    let closing = tokio::spawn(app.close());
    within(async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let ack = json!({ "event": "ack", "id": asked["id"], "data": true });
    client.send_text(&ack.to_string()).await;
    assert_eq!(client.expect_frame("confirm").await["data"]["data"], true);
    assert_eq!(client.expect_close().await.0, 1001);
    within(closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_protocols_own_events_cannot_be_taken() {
    for event in ["ack", "exception"] {
        struct Taking(&'static str);
        impl Module for Taking {
            fn name(&self) -> &'static str {
                "taking"
            }
            fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
                let event = self.0;
                m.websocket(|g| g.on(event, echo));
                Ok(())
            }
        }
        let report = format!("{:?}", chat(Taking(event)).await.unwrap_err());
        assert!(report.contains(&format!("the event {event:?} is the protocol's own")), "{report}");
    }
}

#[tokio::test]
async fn an_ack_in_fragments_beside_a_ping_is_an_ack() {
    let app = chat(asking()).await.unwrap();
    let mut client = Raw::connect(address(&app)).await;
    client.upgrade().await;
    client.write(masked(0x81, br#"{"event":"confirm","id":1}"#)).await;
    let asked = br#"{"event":"sure?","id":"request-1","data":{"what":"delete"}}"#;
    assert_eq!(client.read(2 + asked.len()).await[2..], asked[..]);
    let (head, tail) = (br#"{"event":"ack","id""#, br#":"request-1","data":true}"#);
    client.write([masked(0x01, head), masked(0x89, b""), masked(0x80, tail)].concat()).await;
    assert_eq!(client.read(2).await, [0x8a, 0]);
    let answer = client.read(2).await;
    let answer = client.read(answer[1].into()).await;
    assert!(String::from_utf8(answer).unwrap().contains(r#""id":1"#));
    app.close().await.unwrap();
}
