//! What a test says that has failed: at which line, and what there was instead.

use std::process::Command;

use polyport::testing::{AmqpTest, HttpTest, WebSocketTest};
use serde_json::json;

use crate::{Way, amqp, app, app::post};

/// Tests that fail, over sockets and in memory, and what they say.
macro_rules! failures {
    ($($name:ident($app:ident: $start:path) $body:block says $($part:literal),+;)*) => {
        mod fails { $(
            mod $name {
                use super::super::*;

                async fn test(way: Way) {
                    let $app = $start(way).await.expect("it starts");
                    let _unused = $body;
                }

                #[tokio::test]
                #[ignore = "is run by the last one"]
                async fn over_sockets() {
                    test(Way::Sockets).await;
                }

                #[tokio::test]
                #[ignore = "is run by the last one"]
                async fn in_memory() {
                    test(Way::Memory).await;
                }
            }
        )* }

        const SAID: &[(&str, &[&str])] = &[$((stringify!($name), &[$($part),+])),*];
    };
}

failures! {
    http_json_of_another_type(app: app::app) {
        app.http_on("admin").get("/admin").await.json::<u32>()
    } says "panicked at tests/in_memory/failures.rs:", "invalid type: string \"admin\", expected u32",
        "> GET /admin", "< 200", "\n\"admin\"";

    http_another_status(app: app::app) {
        app.http().get("/me").await.expect_status(200)
    } says "panicked at tests/in_memory/failures.rs:", "> GET /me", "< 401", "NO_USER";

    http_no_path(app: app::app) {
        app.http().get("hops/1").await
    } says "\"hops/1\" is no path", "a path begins with a slash";

    http_endless_redirects(app: app::app) {
        app.http().get("/hops/30").follow_redirects().await
    } says "GET /hops/10: more than 20 redirects, the last to \"9\"";

    http_a_cookie_that_is_none(app: app::app) {
        app.http().set_cookie("x", "a b;c=1")
    } says "panicked at tests/in_memory/failures.rs:", "\"x\" = \"a b;c=1\" is no cookie";

    http_an_event_of_another_type(app: app::app) {
        app.http().get("/ticks").events().await.expect_event::<String>("odd").await
    } says "invalid type: integer `1`, expected a string", "event: \"odd\"", "data: \"1\"";

    http_no_such_event(app: app::app) {
        app.http().get("/ticks").events().await.expect_event::<u32>("seventh").await
    } says "the stream ends without an event \"seventh\"", "data: \"3\"";

    http_no_events_at_all(app: app::app) {
        app.http().get("/me").events().await
    } says "it is no stream of events", "> GET /me", "< 401";

    websocket_an_event_of_another_type(app: app::app) {
        let mut client = app.websocket("").await;
        client.emit("announce", &post("tom", &["a"])).await;
        client.expect_event::<u32>("announced").await
    } says "invalid type: map, expected u32", "\"event\":\"announced\"", "\"from\":\"tom\"";

    websocket_an_answer_of_another_type(app: app::app) {
        let mut client = app.websocket("").await;
        client.request::<u32>("echo", &post("tom", &[])).await
    } says "invalid type: map, expected u32", "\"event\":\"echo\"", "\"from\":\"tom\"";

    websocket_an_end_instead_of_an_event(app: app::app) {
        let mut client = app.websocket("").await;
        client.emit("leave", &()).await;
        client.expect_frame("news").await
    } says "an event \"news\" does not come", "4001", "you asked for it";

    websocket_a_refusal(app: app::app) {
        app.websocket_on("admin", "").await
    } says "cannot connect to /ws", "< 401", "NO_TOKEN";

    websocket_a_code_that_nobody_may_send(app: app::app) {
        app.websocket("").await.close_with(1006, "lost").await
    } says "no close frame may have 1006 and \"lost\"";

    amqp_no_such_queue(app: amqp::app) {
        app.amqp().publish("", "ordres", &1).await
    } says "publish to queue \"ordres\": there is no such queue (312 NO_ROUTE)";

    amqp_a_request_to_nobody(app: amqp::app) {
        app.amqp().request("greeting", &json!({ "of": "Tom" })).await
    } says "publish to queue \"greeting\": there is no such queue (312 NO_ROUTE)";

    amqp_a_value_of_another_type(app: amqp::app) {
        app.amqp().request("greetings", &json!({ "of": "Tom" })).await.json::<u32>()
    } says "panicked at tests/in_memory/failures.rs:", "invalid type: string \"Hello Tom!\"",
        "the message \"\\\"Hello Tom!\\\"\"";

    amqp_an_ack_of_what_is_parked(app: amqp::app) {
        let id = app.amqp().publish("", "orders", &json!({ "of": "nobody" })).await;
        app.amqp().expect_acked("orders", &id).await
    } says "of queue \"orders\" is not acked: ", "parked     amqp orders", "there is no such user";

    amqp_a_retry_of_what_is_acknowledged(app: amqp::app) {
        let id = app.amqp().publish("", "orders", &json!({ "of": "Tom" })).await;
        app.amqp().expect_retried("orders", &id).await
    } says "of queue \"orders\" is not retried: ", "acked      amqp orders";

    amqp_a_letter_that_is_not_dead(app: amqp::app) {
        let id = app.amqp().publish("", "orders", &json!({ "of": "busy" })).await;
        app.amqp().expect_dead_lettered("orders", &id).await
    } says "of queue \"orders\" is not parked: ", "acked      amqp orders";

    amqp_an_ack_of_another_queue(app: amqp::app) {
        let id = app.amqp().publish("", "orders", &json!({ "of": "Tom" })).await;
        app.amqp().expect_acked("ordres", &id).await
    } says "of queue \"ordres\" is not acked in 10s; what has happened to it:",
        "consumed   amqp orders", "acked      amqp orders";

    amqp_an_unknown_id(app: amqp::app) {
        app.amqp().expect_acked("orders", "nobody's").await
    } says "message nobody's of queue \"orders\" is not acked in 10s",
        "nothing has happened to any message of this id";

    amqp_no_message(app: amqp::app) {
        app.amqp().delete("orders.dead").await;
        app.amqp().expect_on("orders.dead").await
    } says "consume from queue \"orders.dead\": NOT_FOUND - no queue 'orders.dead'";
}

#[test]
fn a_failure_names_the_line_of_the_test_and_what_there_was_instead() {
    let mut own = Command::new(std::env::current_exe().expect("is known"));
    own.args(["failures::fails::", "--ignored", "--test-threads=8"]).env("RUST_BACKTRACE", "0");
    let output = String::from_utf8_lossy(&own.output().expect("runs").stdout).into_owned();
    for (name, parts) in SAID {
        for way in ["over_sockets", "in_memory"] {
            let head = format!("---- failures::fails::{name}::{way} stdout ----");
            let section = output.split(&head).nth(1).and_then(|rest| rest.split("\n----").next());
            let Some(section) = section else { panic!("{head} is not in {output}") };
            for part in parts.iter().chain(&["tests/in_memory/failures.rs:"]) {
                assert!(section.contains(part), "{name} {way}: {part:?} is not in {section}");
            }
        }
    }
}
