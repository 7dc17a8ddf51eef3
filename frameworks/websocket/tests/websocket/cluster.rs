//! Several instances behave as one.

use std::{env, future::Future};

use polyport_amqp::AmqpFramework;
use polyport_amqp_embedded::EmbeddedBroker;
use polyport_bootstrap::{
    Bootstrap, ErrorKind, Fault, Module, ModuleBuilder, Result,
    operation::{App, Input, Query},
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use polyport_websocket::{
    Socket, SocketId, WebSocketApp, WebSocketFramework, WebSocketModule,
    testing::{Received, WebSocketClient, WebSocketTest},
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{LONG, Text, eventually, websocket, within};

#[derive(Deserialize)]
struct Login {
    user: Option<String>,
    room: Option<String>,
}

async fn enter(socket: Socket, Query(login): Query<Login>) -> Result<(), Fault> {
    if let Some(user) = login.user {
        socket.identify(&user);
    }
    if let Some(room) = login.room {
        socket.join(&room);
    }
    Ok(())
}

async fn whoami(socket: Socket) -> Result<SocketId, Fault> {
    Ok(socket.id())
}

async fn say(
    socket: Socket,
    App(app): App<WebSocketApp>,
    Input(Text(text)): Input<Text>,
) -> Result<usize, Fault> {
    Ok(app.room("lobby").except(socket.id()).emit("said", &text)?)
}

struct Chat;

impl Module for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| g.on_connect(enter).on("whoami", whoami).on("say", say));
        Ok(())
    }
}

fn instance(url: &str, exchange: &str) -> TestBootstrap {
    let bootstrap =
        Bootstrap::new().load(WebSocketFramework::new()).load(AmqpFramework::new()).module(Chat);
    create_bootstrap(bootstrap)
        .config("websocket.port", 0)
        .config("websocket.cluster", "amqp")
        .config("websocket.cluster_exchange", exchange)
        .config("amqp.url", url)
}

/// Two instances on one broker.
struct Pair(TestApp, TestApp);

impl Pair {
    async fn start(url: &str) -> Self {
        let exchange = format!("test.websocket.{}", uuid::Uuid::now_v7().simple());
        let start = async |()| instance(url, &exchange).await.expect("starts");
        Self(start(()).await, start(()).await)
    }

    async fn close(self) {
        self.0.close().await.unwrap();
        self.1.close().await.unwrap();
    }
}

/// A client that is surely there, and its id.
async fn client(app: &TestApp, path: &str) -> (WebSocketClient, SocketId) {
    let mut client = app.websocket(path).await;
    let id = client.call("whoami", &()).await["data"].clone();
    (client, serde_json::from_value(id).unwrap())
}

async fn with_each<F: Future<Output = ()>>(test: impl Fn(String) -> F) {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    timeout(LONG * 3, test(broker.url())).await.expect("hangs");
    broker.stop().await;
    if let Ok(url) = env::var("POLYPORT_TEST_AMQP_URL") {
        timeout(LONG * 3, test(url)).await.expect("hangs");
    }
}

fn frame(event: &str, data: impl serde::Serialize) -> Received {
    Received::Frame(json!({ "event": event, "data": data }))
}

#[tokio::test]
async fn all_rooms_users_and_single_connections_are_reached_once_wherever_they_are() {
    with_each(async |url| {
        let pair = Pair::start(&url).await;
        let (mut tom, tom_id) = client(&pair.0, "/ws?user=tom&room=lobby").await;
        let (mut ann, ann_id) = client(&pair.1, "/ws?user=ann&room=lobby").await;
        let (mut phone, _) = client(&pair.1, "/ws?user=tom").await;
        let handle = websocket(&pair.0);
        assert_eq!(handle.everybody().emit("all", &1).unwrap(), 1, "of this process");
        assert_eq!(handle.room("lobby").emit("room", &2).unwrap(), 1);
        assert_eq!(handle.user("tom").emit("user", &3).unwrap(), 1);
        assert_eq!(handle.to(ann_id).emit("one", &4).unwrap(), 0);
        assert_eq!(handle.to(tom_id).emit("one", &5).unwrap(), 1);
        handle.everybody().except(ann_id).emit("but ann", &6).unwrap();
        assert_eq!(handle.room("lobby").except(tom_id).emit_binary(vec![7]), 0);
        handle.everybody().emit("last", &8).unwrap();

        for expected in [frame("all", 1), frame("room", 2), frame("user", 3), frame("one", 5)] {
            assert_eq!(tom.next().await, expected);
        }
        assert_eq!(tom.next().await, frame("but ann", 6));
        assert_eq!(tom.next().await, frame("last", 8));
        for expected in [frame("all", 1), frame("room", 2), frame("one", 4)] {
            assert_eq!(ann.next().await, expected);
        }
        assert_eq!(ann.next().await, Received::Binary(vec![7].into()));
        assert_eq!(ann.next().await, frame("last", 8));
        for expected in [frame("all", 1), frame("user", 3), frame("but ann", 6), frame("last", 8)] {
            assert_eq!(phone.next().await, expected);
        }
        pair.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_one_instance_sends_arrives_in_its_order() {
    with_each(async |url| {
        let pair = Pair::start(&url).await;
        let (mut tom, _) = client(&pair.0, "/ws?room=lobby").await;
        let (mut ann, _) = client(&pair.1, "/ws?room=lobby").await;
        for number in 0..200 {
            tom.call("say", &number.to_string()).await;
        }
        for number in 0..200 {
            assert_eq!(ann.next().await, frame("said", number.to_string()));
        }
        ann.call("say", &"answer").await;
        assert_eq!(tom.next().await, frame("said", "answer"), "nothing of its own before");
        pair.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_outage_leaves_the_own_connections_and_ends_by_itself() {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let (url, address) = (broker.url(), broker.local_addr().expect("a port"));
    let pair = Pair::start(&url).await;
    let (mut tom, _) = client(&pair.0, "/ws").await;
    let (mut ann, _) = client(&pair.1, "/ws").await;
    within(broker.stop()).await;
    assert_eq!(websocket(&pair.0).everybody().emit("outage", &1).unwrap(), 1);
    assert_eq!(tom.next().await, frame("outage", 1));

    let again = EmbeddedBroker::builder().address(address);
    let broker = within(async {
        loop {
            match again.clone().start().await {
                Ok(broker) => return broker,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    // Who is not back yet when something is sent does not get it.
    let resumed = async {
        loop {
            websocket(&pair.0).everybody().emit("again", &2).unwrap();
            let coming = timeout(std::time::Duration::from_millis(100), ann.expect_frame("again"));
            if coming.await.is_ok() {
                return;
            }
        }
    };
    timeout(LONG, resumed).await.expect("never resumed");
    pair.close().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_stop_sends_what_was_emitted_before() {
    with_each(async |url| {
        let pair = Pair::start(&url).await;
        let (mut ann, _) = client(&pair.1, "/ws").await;
        for number in 0..100 {
            websocket(&pair.0).everybody().emit("bye", &number).unwrap();
        }
        pair.0.close().await.unwrap();
        for number in 0..100 {
            assert_eq!(ann.next().await, frame("bye", number));
        }
        pair.1.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn messages_of_others_on_the_exchange_do_no_harm() {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let app = instance(&broker.url(), "test.shared").await.unwrap();
    let (mut tom, _) = client(&app, "/ws").await;
    let stranger = polyport_amqp::testing::AmqpClient::new(&broker.url());
    for body in ["", "\n", "{}\n", r#"{"from":"x","to":"all"}"#] {
        stranger.publish_bytes("test.shared", "", body).await;
    }
    let proper = "{\"from\":\"00\",\"to\":\"all\"}\nhello";
    stranger.publish_bytes("test.shared", "", proper).await;
    assert_eq!(tom.next().await, Received::Frame(json!("hello")));
    app.close().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn without_the_broker_framework_nothing_starts() {
    let bootstrap = Bootstrap::new().load(WebSocketFramework::new()).module(Chat);
    let start =
        create_bootstrap(bootstrap).config("websocket.port", 0).config("websocket.cluster", "amqp");
    let error = start.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    let report = format!("{error:?}");
    assert!(report.contains("websocket.cluster is \"amqp\""), "{report}");
    assert!(report.contains("load AmqpFramework in the bootstrap"), "{report}");

    let bootstrap =
        Bootstrap::new().load(AmqpFramework::new()).load(WebSocketFramework::new()).module(Chat);
    let start = create_bootstrap(bootstrap)
        .config("websocket.port", 0)
        .config("websocket.cluster", "amqp_orders")
        .config("amqp.url", "amqp://localhost");
    let report = format!("{:?}", start.await.unwrap_err());
    assert!(report.contains("websocket.cluster can be one of amqp"), "{report}");
}

#[tokio::test]
async fn an_exchange_of_another_kind_is_named_at_start() {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let start = instance(&broker.url(), "amq.topic");
    let report = format!("{:?}", start.await.unwrap_err());
    assert!(report.contains("cannot join exchange \"amq.topic\""), "{report}");
    broker.stop().await;
}

#[tokio::test]
async fn instances_come_and_go() {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let url = broker.url();
    let pair = Pair::start(&url).await;
    let (mut tom, _) = client(&pair.0, "/ws").await;
    let (ann, _) = client(&pair.1, "/ws").await;
    pair.1.close().await.unwrap();
    drop(ann);
    websocket(&pair.0).everybody().emit("alone", &1).unwrap();
    assert_eq!(tom.next().await, frame("alone", 1));
    eventually("tom is there", || websocket(&pair.0).connections() == 1).await;
    pair.0.close().await.unwrap();
    broker.stop().await;
}
