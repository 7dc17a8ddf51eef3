//! What holds for the whole process, whatever the protocol.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use polyport::{Phase, prelude::*, testing::*};
use polyport_proto::helloworld::{HelloReply, HelloRequest, greeter_client::GreeterClient};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    free_port::FreePort,
    support::{Broker, pushed, run, start},
};

fn four_frameworks() -> Bootstrap {
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(GrpcFramework::new())
        .load(AmqpFramework::new())
}

const NO_VARIABLES: [(&str, &str); 0] = [];

#[tokio::test]
async fn on_ready_runs_once_for_four_frameworks() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let bootstrap = four_frameworks().on_ready(async move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let app = create_bootstrap(bootstrap).variables(NO_VARIABLES).await.expect("starts");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    app.close().await.expect("stops cleanly");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[derive(Default)]
struct Counter(AtomicUsize);

async fn count(Inject(counter): Inject<Counter>) -> Result<usize> {
    Ok(counter.0.fetch_add(1, Ordering::SeqCst) + 1)
}

async fn count_greeting(
    Inject(counter): Inject<Counter>,
    Input(_): Input<HelloRequest>,
) -> Result<HelloReply> {
    Ok(HelloReply { message: (counter.0.fetch_add(1, Ordering::SeqCst) + 1).to_string() })
}

#[tokio::test]
async fn a_singleton_of_one_module_is_the_same_in_every_framework() {
    let by_http = module("by-http", |m| {
        m.provide_value(Arc::new(Counter::default())).http(|r| r.post("/count", count));
        Ok(())
    });
    let elsewhere = module("elsewhere", |m| {
        m.websocket(|g| g.on("count", count)).amqp(|q| q.consume("count", count)).grpc(|s| {
            s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", count_greeting)
        });
        Ok(())
    });
    let bootstrap = four_frameworks().module(by_http).module(elsewhere);
    let app = create_bootstrap(bootstrap).variables(NO_VARIABLES).await.expect("starts");
    let envelope = |count: usize| json!({ "returnCode": "SUC00000", "data": count });
    assert_eq!(app.http().post("/count").await.json::<Value>(), envelope(1));
    let mut socket = app.websocket("/ws").await;
    assert_eq!(socket.call("count", &json!({})).await["data"], envelope(2));
    let mut greeter = app.grpc(GreeterClient::new);
    let reply = greeter.say_hello(HelloRequest::default()).await.expect("answers");
    assert_eq!(reply.into_inner().message, "3");
    let reply: Value = app.amqp().request("count", &json!({})).await.json();
    assert_eq!(reply, envelope(4));
    let counter = app.container().get::<Counter>().await.expect("is provided");
    assert_eq!(counter.0.load(Ordering::SeqCst), 4);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn values_added_in_a_before_hook_decide_what_every_framework_is_built_from() {
    let ports = [(); 2].map(|()| FreePort::reserve());
    let [http, grpc] = ports.each_ref().map(|port| port.address().port());
    let bootstrap = four_frameworks()
        .load(|config: &Config| {
            HttpFramework::named("remote").configure(config.section("remote.http"))
        })
        .module(module("count", |m| {
            m.provide_value(Arc::new(Counter::default())).amqp(|q| q.consume("count", count));
            Ok(())
        }))
        .before(async move |container| {
            container.config().add(json!({
                "http": { "port": http },
                "remote": { "http": { "port": 0, "envelope": "plain" } },
                "grpc": { "port": grpc },
                "websocket": { "path": "/chat" },
                "amqp": { "envelope": "code-message-data" },
            }))
        });
    let test = create_bootstrap(bootstrap).variables(NO_VARIABLES).configured_ports();
    let app = test.await.expect("starts");
    let port = |index: usize| app.addresses()[index].address.map(|address| address.port());
    assert_eq!((port(0), port(2)), (Some(http), Some(grpc)));
    assert_eq!(app.http().get("/health/ready").await.status(), 200);
    let plain = app.http_on("remote").get("/health/live").await;
    assert_eq!(plain.text(), r#"{"status":"up"}"#);
    app.websocket("/chat").await.close().await;
    let reply: Value = app.amqp().request("count", &json!({})).await.json();
    assert_eq!((&reply["code"], &reply["data"]), (&json!(0), &json!(1)));
    app.close().await.expect("stops cleanly");
}

async fn refused(address: std::net::SocketAddr) -> bool {
    let error = TcpStream::connect(address).await.err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Says whether `on_ready` had finished when the first message was handled.
struct Seen {
    finished: AtomicBool,
    handled: tokio::sync::watch::Sender<Option<bool>>,
}

async fn probe(Inject(seen): Inject<Seen>) -> Result<()> {
    seen.handled.send_replace(Some(seen.finished.load(Ordering::SeqCst)));
    Ok(())
}

async fn nothing_before_on_ready(broker: Broker) {
    let handled = tokio::sync::watch::Sender::new(None);
    let mut watched = handled.subscribe();
    let seen = Arc::new(Seen { finished: AtomicBool::new(false), handled });
    let provided = Arc::clone(&seen);
    let probing = module("probe", move |m| {
        m.provide_value(Arc::clone(&provided)).amqp(|q| q.consume("probe", probe));
        Ok(())
    });
    let bootstrap = four_frameworks().module(probing).on_ready(async move |container| {
        let http = container.app::<HttpApp>()?.local_addr().expect("is bound");
        let grpc = container.app::<GrpcApp>()?.local_addr().expect("is bound");
        assert!(refused(http).await, "HTTP and WebSocket clients are refused");
        assert!(refused(grpc).await, "gRPC clients are refused");
        let amqp = container.app::<AmqpApp>()?;
        amqp.publish("", "probe", &json!({})).await?;
        amqp.publish("", "probe", &json!({})).await?;
        seen.finished.store(true, Ordering::SeqCst);
        Ok(())
    });
    let Some(app) = start(broker, bootstrap).await else { return };
    let first = watched.wait_for(Option::is_some).await.expect("is handled").expect("is some");
    assert!(first, "a message was handled before on_ready had finished");
    assert_eq!(app.http().get("/health/ready").await.status(), 200);
    app.close().await;
}

#[tokio::test]
async fn nothing_is_answered_before_on_ready_has_finished_embedded() {
    nothing_before_on_ready(Broker::Embedded).await;
}

#[tokio::test]
async fn nothing_is_answered_before_on_ready_has_finished_rabbitmq() {
    nothing_before_on_ready(Broker::Rabbit).await;
}

#[tokio::test]
async fn ready_says_no_once_stopping_has_begun_while_all_is_still_served() {
    let app = create_bootstrap(polyport_im::bootstrap())
        .variables(NO_VARIABLES)
        .config("shutdown.delay", "500ms")
        .await
        .expect("starts");
    app.stop("the test says so");
    app.lifecycle().reached(Phase::Stopping).await;
    let ready = app.http().get("/health/ready").await;
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.json::<Value>()["returnCode"], "ERR50300");
    assert_eq!(app.http().get("/health/live").await.status(), 200);
    assert_eq!(app.http().get("/users?userId=tom").await.status(), 200);
    app.wait().await.expect("stops cleanly");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_run_at_once_in_one_process_and_know_nothing_of_each_other() {
    let each = |index: usize| async move {
        run(Broker::Embedded, async |im| {
            let text = format!("only {index}");
            let mut socket = im.websocket("/ws").await;
            socket.call("rooms.join", &json!({ "room": "lobby" })).await;
            let message = json!({ "from": "tom", "text": text });
            im.http().post("/rooms/lobby/messages").json(&message).await;
            assert_eq!(pushed(&mut socket).await["text"], text);
            let listed: Value = im.http().get("/rooms/lobby/messages").await.json();
            assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
        })
        .await;
    };
    futures_util::future::join_all((0..8).map(each)).await;
}

#[tokio::test]
async fn handles_are_there_by_type_and_the_first_framework_is_main() {
    let app = create_bootstrap(polyport_im::bootstrap()).variables(NO_VARIABLES).await;
    let app = app.expect("starts");
    assert_eq!(app.main_app().kind(), "http");
    let main: Arc<dyn Application> = app.app().expect("there is a main one");
    assert_eq!(main.local_addr(), app.app::<HttpApp>().expect("is loaded").local_addr());
    assert!(app.app::<GrpcApp>().expect("is loaded").local_addr().is_some());
    assert_eq!(app.app::<AmqpApp>().expect("is loaded").environment().as_str(), "unittest");
    assert_eq!(app.addresses().len(), 4);
    app.close().await.expect("stops cleanly");
}

struct NoUsers;

#[async_trait::async_trait]
impl polyport_im::UserRepo for NoUsers {
    async fn find(&self, _: &str) -> Result<Option<polyport_im::User>> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_test_replaces_a_provider() {
    let app = create_bootstrap(polyport_im::bootstrap())
        .variables(NO_VARIABLES)
        .override_value::<dyn polyport_im::UserRepo>(Arc::new(NoUsers))
        .await
        .expect("starts");
    assert_eq!(app.http().get("/users?userId=tom").await.status(), 404);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn production_never_falls_back_on_the_broker_in_memory() {
    let error = create_bootstrap(polyport_im::bootstrap())
        .variables(NO_VARIABLES)
        .environment(Environment::production())
        .config("im.database", ":memory:")
        .await
        .expect_err("must not start");
    assert_eq!(error.exit_code(), 78);
    assert!(error.to_string().contains("amqp.url"), "{error:?}");
}
