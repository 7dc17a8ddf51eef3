//! What `app.amqp()` can: over a port of the in-memory broker, and through pipes to it.

use garde::Validate;
use polyport::{
    prelude::*,
    testing::{AmqpTest, HttpTest, RecordedKind, TestBootstrap, create_bootstrap},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Way, both_ways};

#[derive(Debug, Deserialize, Validate)]
struct Order {
    #[garde(length(min = 1))]
    of: String,
}

/// Fails where nobody answers for it, and once where everybody is busy.
async fn take(delivery: Delivery, Input(order): Input<Order>) -> Result<(), Fault> {
    match order.of.as_str() {
        "busy" if delivery.attempt() == 1 => Err(Fault::unavailable("BUSY", "come again")),
        "broken" if delivery.attempt() == 1 => {
            Err(Fault::internal(Error::other("the disk is full")))
        }
        "nobody" => Err(Fault::not_found("NO_USER", "there is no such user")),
        _ => Ok(()),
    }
}

async fn order(App(amqp): App<AmqpApp>, Input(order): Input<Order>) -> Result<(), Fault> {
    Ok(amqp.publish("", "orders", &json!({ "of": order.of })).await?)
}

async fn greet(Input(order): Input<Order>) -> Result<String, Fault> {
    match order.of.as_str() {
        "broken" => Err(Fault::internal(Error::other("the disk is full"))),
        "nobody" => Err(Fault::not_found("NO_USER", "there is no such user")),
        name => Ok(format!("Hello {name}!")),
    }
}

fn configured() -> TestBootstrap {
    let orders = module("orders", |m| {
        m.http(|r| r.post("/orders", order))
            .amqp(|q| q.consume("orders", take).consume("greetings", greet));
        Ok(())
    });
    let bootstrap =
        Bootstrap::new().load(HttpFramework::new()).load(AmqpFramework::new()).module(orders);
    let test = create_bootstrap(bootstrap).root("tests/in_memory/without_files");
    test.config("amqp.retry.delays", ["50ms"])
}

pub(crate) fn app(way: Way) -> TestBootstrap {
    way.of(configured())
}

both_ways! {
    a_request_has_its_value_or_its_fault(way) {
        let app = app(way).await.expect("it starts");
        let amqp = app.amqp();
        let greeting = amqp.request("greetings", &json!({ "of": "Tom" })).await;
        assert_eq!(greeting.value::<String>().expect("is answered"), "Hello Tom!");
        let fault = amqp.request("greetings", &json!({ "of": "nobody" })).await.value::<String>();
        assert_eq!(fault.expect_err("is refused").reason(), "NO_USER");
        app.close().await.expect("it stops");
    }

    what_becomes_of_a_message_is_known_with_the_reason(way) {
        let app = app(way).await.expect("it starts");
        let amqp = app.amqp();
        let fine = amqp.publish("", "orders", &json!({ "of": "Tom" })).await;
        amqp.expect_acked("orders", &fine).await;
        let busy = amqp.publish("", "orders", &json!({ "of": "busy" })).await;
        let retried = amqp.expect_retried("orders", &busy).await;
        assert_eq!(retried.reason.as_deref(), Some("BUSY"));
        amqp.expect_acked("orders", &busy).await;
        app.settled().await.expect("nothing has failed so far");

        let lost = amqp.publish("", "orders", &json!({ "of": "nobody" })).await;
        let parked = amqp.expect_dead_lettered("orders", &lost).await;
        assert_eq!(parked.fault, Some(FaultKind::NotFound));
        let error = app.settled().await.expect_err("a message is parked");
        let said = "a message of queue orders is parked in orders.dead: NOT_FOUND NO_USER";
        assert!(error.to_string().starts_with(said), "{error}");
        assert_eq!(amqp.expect_on("orders.dead").await.json::<Value>()["of"], "nobody");
        app.close().await.expect("it stops");
    }

    an_attempt_that_fails_is_no_failure_where_a_later_one_succeeds(way) {
        let app = app(way).await.expect("it starts");
        let id = app.amqp().publish("", "orders", &json!({ "of": "broken" })).await;
        app.amqp().expect_acked("orders", &id).await;
        assert_eq!(app.recorder().faults().len(), 1, "{}", app.recorder());
        app.settled().await.expect("the message is handled");
        app.close().await.expect("it stops");
    }

    a_request_that_is_answered_with_an_internal_fault_is_a_failure(way) {
        let app = app(way).await.expect("it starts");
        let answer = app.amqp().request("greetings", &json!({ "of": "broken" })).await;
        answer.value::<String>().expect_err("has failed");
        let error = app.settled().await.expect_err("nobody makes it again").to_string();
        assert_eq!(error, "a request of queue greetings has failed: the disk is full");
        app.close().await.expect("it stops");
    }

    all_is_settled_when_the_last_attempt_is_made(way) {
        let app = app(way).await.expect("it starts");
        app.http().post("/orders").json(&json!({ "of": "busy" })).await.expect_status(204);
        app.settled().await.expect("nothing fails in the end");
        for (kind, times) in [
            (RecordedKind::Published, 1),
            (RecordedKind::Consumed, 2),
            (RecordedKind::Retried, 1),
            (RecordedKind::Acknowledged, 1),
        ] {
            let recorded = app.recorder().by_route(kind, "orders");
            assert_eq!(recorded.len(), times, "{kind}: {}", app.recorder());
            let call = recorded[0].request_id.as_deref().expect("belongs to the call");
            assert!(app.recorder().of_call(call).iter().any(|one| one.framework == "http"));
        }
        app.close().await.expect("it stops");
    }

    a_message_that_is_not_handled_is_left(way) {
        let test = app(way).config("amqp.retry.delays", ["1h"]);
        let app = test.await.expect("it starts");
        let id = app.amqp().publish("", "orders", &json!({ "of": "busy" })).await;
        app.amqp().expect_retried("orders", &id).await;
        let late = app.settled_within(std::time::Duration::from_millis(50)).await;
        let late = late.expect_err("waits for an hour").to_string();
        assert!(late.contains("message in queue orders.retry.1h, 1 of them"), "{late}");
        let error = format!("{:?}", app.close().await.expect_err("it is left"));
        let said = "a message was left: in queue orders.retry.1h, 1 of them";
        assert!(error.contains(said), "{error}");
    }

    the_handle_tells_where_its_broker_is(way) {
        let app = app(way).await.expect("it starts");
        let amqp = app.app::<AmqpApp>().expect("is loaded");
        assert_eq!((amqp.url().is_some(), amqp.embedded()), (way == Way::Sockets, true));
        drop(amqp);
        app.close().await.expect("it stops");
    }
}

#[tokio::test]
async fn in_memory_no_other_broker_is_asked() {
    crate::within(async {
        let test = configured().config("amqp.url", "amqp://broker.invalid").in_memory();
        let app = test.await.expect("it starts");
        let greeting = app.amqp().request("greetings", &json!({ "of": "Tom" })).await;
        assert_eq!(greeting.json::<String>(), "Hello Tom!");
        app.close().await.expect("it stops");
    })
    .await;
}
