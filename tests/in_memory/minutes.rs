//! A paused clock with all four frameworks: what takes minutes passes at once, and nothing else takes
//! any time of that clock, although lapin works on threads that tokio knows nothing of.

use std::time::Duration;

use futures_util::future::join_all;
use garde::Validate;
use polyport::{amqp::Message, prelude::*, testing::*};
use polyport_proto::helloworld::{HelloReply, HelloRequest, greeter_client::GreeterClient};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{clock::at_once, grpc::named};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize, Validate)]
struct Order {
    #[garde(skip)]
    of: String,
}

impl From<HelloRequest> for Order {
    fn from(message: HelloRequest) -> Self {
        Self { of: message.name }
    }
}

struct Greeting(String);

impl From<Greeting> for HelloReply {
    fn from(greeting: Greeting) -> Self {
        Self { message: greeting.0 }
    }
}

async fn greet(Input(order): Input<Order>) -> Result<Greeting, Fault> {
    Ok(Greeting(format!("Hello {}!", order.of)))
}

async fn name(Input(order): Input<Order>) -> Result<String, Fault> {
    Ok(order.of)
}

/// Succeeds at the third attempt.
async fn take(delivery: Delivery) -> Result<(), Fault> {
    match delivery.attempt() {
        3 => Ok(()),
        _ => Err(Fault::unavailable("BUSY", "come again")),
    }
}

async fn order(App(amqp): App<AmqpApp>, Input(order): Input<Order>) -> Result<(), Fault> {
    Ok(amqp.publish("", "orders", &json!({ "of": order.of })).await?)
}

async fn remind(App(amqp): App<AmqpApp>, Input(order): Input<Order>) -> Result<(), Fault> {
    let reminder = Message::json("", "reminders", &json!({ "of": order.of }))?;
    Ok(amqp.publish_message(reminder.delay(30 * MINUTE)).await?)
}

async fn ask(App(amqp): App<AmqpApp>) -> Result<String, Fault> {
    amqp.request("never", &json!({ "of": "Tom" })).await
}

async fn never() -> Result<String, Fault> {
    std::future::pending().await
}

fn app() -> TestBootstrap {
    let orders = module("orders", |m| {
        m.http(|r| r.post("/orders", order).post("/reminders", remind).get("/ask", ask))
            .websocket(|g| g.on("name", name).on("never", never))
            .grpc(|s| s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", greet))
            .amqp(|q| {
                q.consume("orders", take)
                    .consume("reminders", name)
                    .consume("names", name)
                    .consume("never", never)
            });
        Ok(())
    });
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(GrpcFramework::new())
        .load(AmqpFramework::new())
        .module(orders);
    create_bootstrap(bootstrap)
        .root("tests/in_memory/without_files")
        .config("amqp.retry.delays", ["5m", "20m"])
        .config("amqp.timeout", "10m")
        .config("amqp.request_timeout", "2m")
        .config("websocket.timeout", "3m")
        .in_memory()
}

#[tokio::test(start_paused = true)]
async fn no_call_takes_any_time_of_the_clock() {
    at_once(async {
        let begun = Instant::now();
        let app = app().await.expect("it starts");
        let mut socket = app.websocket("").await;
        let mut greeter = app.grpc(GreeterClient::new);
        let amqp = app.amqp();
        for round in 0..20 {
            let input = json!({ "of": round.to_string() });
            let asked = join_all((0..3).map(|_| amqp.request("names", &input))).await;
            assert!(asked.into_iter().all(|reply| reply.json::<String>() == round.to_string()));
            let answer: String = socket.request("name", &input).await.expect("is answered");
            assert_eq!(answer, round.to_string());
            greeter.say_hello(named(&round.to_string())).await.expect("is answered");
        }
        assert_eq!(socket.close().await, 1000);
        drop(greeter);
        app.settled().await.expect("nothing fails");
        app.close().await.expect("it stops");
        assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn retries_of_minutes_pass_at_once_and_on_time() {
    at_once(async {
        let app = app().await.expect("it starts");
        let begun = Instant::now();
        app.http().post("/orders").json(&json!({ "of": "Tom" })).await.expect_status(204);
        app.settled_within(60 * MINUTE).await.expect("nothing fails in the end");
        let minutes = begun.elapsed().as_secs() / 60;
        assert_eq!(minutes, 25, "{:?}: {}", begun.elapsed(), app.recorder());
        let consumed = app.recorder().by_route(RecordedKind::Consumed, "orders");
        assert_eq!(consumed.len(), 3, "{}", app.recorder());
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_comes_when_its_time_has_come() {
    at_once(async {
        let app = app().await.expect("it starts");
        let begun = Instant::now();
        app.http().post("/reminders").json(&json!({ "of": "Tom" })).await.expect_status(204);
        sleep(29 * MINUTE).await;
        let consumed = || app.recorder().by_route(RecordedKind::Consumed, "reminders").len();
        assert_eq!(consumed(), 0, "{}", app.recorder());
        app.settled_within(60 * MINUTE).await.expect("nothing fails");
        assert_eq!((consumed(), begun.elapsed().as_secs() / 60), (1, 30), "{}", app.recorder());
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn deadlines_pass_on_every_protocol_when_they_should() {
    at_once(async {
        let app = app().config("http.timeout", "10m").await.expect("it starts");
        let begun = Instant::now();
        let reply = app.http().get("/ask").await;
        assert_eq!((reply.status().as_u16(), begun.elapsed().as_secs()), (504, 120));
        let mut socket = app.websocket("").await;
        let begun = Instant::now();
        let fault = socket.request::<()>("never", &()).await.expect_err("a fault");
        assert_eq!((fault.kind(), begun.elapsed().as_secs()), (FaultKind::DeadlineExceeded, 180));
        socket.close().await;
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn connections_live_for_hours() {
    at_once(async {
        let app = app().await.expect("it starts");
        let amqp = app.amqp();
        let name = amqp.request("names", &json!({ "of": "Tom" })).await.json::<String>();
        sleep(120 * MINUTE).await;
        let later = amqp.request("names", &json!({ "of": "Tom" })).await.json::<String>();
        assert_eq!(name, later);
        assert_eq!(app.http().get("/none").await.status(), 404);
        app.close().await.expect("it stops");
    })
    .await;
}
