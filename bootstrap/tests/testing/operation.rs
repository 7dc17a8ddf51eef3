//! Operations are called without a protocol, through all that stands around them.

use std::time::Duration;

use futures_util::stream;
use garde::Validate;
use polyport_bootstrap::{
    Bootstrap, Fault, FaultKind, module,
    operation::{
        Context, Ctx, FromContext, Input, InputSlot, Items, NoPayload, OperationExt, OperationInfo,
        Path, Protocol,
    },
    testing::{TEST, TestApp},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{
    Fake, Log,
    calls::{alone, answer, fake},
};

#[derive(Deserialize, Validate)]
struct Greet {
    #[garde(length(min = 2))]
    name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Greeting {
    text: String,
}

/// Who calls, as the guard knows it.
struct Caller(&'static str);

async fn greet(Ctx(context): Ctx, Input(greet): Input<Greet>) -> Result<Greeting, Fault> {
    let caller = context.value::<Caller>().map_or("nobody", |caller| caller.0);
    Ok(Greeting { text: format!("{caller} greets {}", greet.name) })
}

async fn count() -> Result<Items<u32>, Fault> {
    Ok(Items::new(stream::iter((1..=3).map(Ok::<_, Fault>))))
}

/// Some text again and again, without ever waiting.
async fn endless() -> Result<Items<String>, Fault> {
    Ok(Items::new(stream::repeat_with(|| Ok::<_, Fault>("x".repeat(16 * 1024)))))
}

async fn protocol(Ctx(context): Ctx) -> Result<String, Fault> {
    Ok(context.protocol.to_string())
}

async fn hangs() -> Result<(), Fault> {
    std::future::pending().await
}

async fn places(Path(id): Path<u32>, Ctx(context): Ctx) -> Result<String, Fault> {
    let query = &context.input.uri;
    let agent = context.metadata["user-agent"].to_str().unwrap_or_default().to_owned();
    Ok(format!("{id} {query} {agent} {}", context.request_id))
}

/// Takes what exists on the protocol `fake` only.
struct FakeSocket;

impl FromContext for FakeSocket {
    type Payload = NoPayload;

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(Protocol::new("fake"), "FakeSocket");
    }

    async fn from_context(_: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self)
    }
}

async fn bound(_: FakeSocket) -> Result<(), Fault> {
    Ok(())
}

fn not_eve(context: &Context) -> Result<(), Fault> {
    match context.value::<Caller>() {
        Some(Caller("eve")) => Err(Fault::permission_denied("NOT_YOU", "not you")),
        _ => Ok(()),
    }
}

fn application() -> Bootstrap {
    fake().load(Fake::new(&Log::default()).named("second")).module(module("app", |m| {
        answer(
            m,
            "default",
            "GET /greet",
            greet.named("users.greet").pipeline(|p| p.guard(not_eve)),
        );
        answer(m, "default", "count", count);
        answer(m, "default", "endless", endless);
        answer(m, "default", "protocol", protocol);
        answer(m, "second", "elsewhere", protocol);
        answer(m, "default", "hangs", hangs);
        answer(m, "default", "/places/{id}", places);
        answer(m, "default", "bound", bound);
        Ok(())
    }))
}

async fn start() -> TestApp {
    alone(application()).await.expect("starts")
}

#[tokio::test]
async fn an_operation_is_found_by_its_name_and_by_its_route() {
    let app = start().await;
    for asked in ["users.greet", "GET /greet"] {
        let greeting: Greeting =
            app.operation(asked).call(json!({ "name": "Tom" })).await.expect("is answered");
        assert_eq!(greeting, Greeting { text: "nobody greets Tom".to_owned() });
    }
    app.close().await.expect("stops");
}

#[tokio::test]
#[should_panic(expected = "no operation or route is called \"users.gret\"; the nearest is \
                           \"users.greet\"")]
async fn an_unknown_name_is_told_with_the_nearest() {
    let app = start().await;
    let _ = app.operation("users.gret");
}

#[tokio::test]
async fn guards_and_validation_stand_before_it_and_see_what_is_left_in_the_call() {
    let app = start().await;
    let greet = |caller| app.operation("users.greet").value(Caller(caller));
    let greeting: Greeting = greet("ann").call(json!({ "name": "Tom" })).await.expect("may");
    assert_eq!(greeting.text, "ann greets Tom");
    let refused = greet("eve").call::<Greeting>(json!({ "name": "Tom" })).await.unwrap_err();
    assert_eq!((refused.kind(), refused.reason()), (FaultKind::PermissionDenied, "NOT_YOU"));
    let invalid = greet("ann").call::<Greeting>(json!({ "name": "T" })).await.unwrap_err();
    assert_eq!(invalid.kind(), FaultKind::InvalidArgument);
    assert_eq!(invalid.details().expect("names the field")[0]["field"], "name");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn metadata_path_query_and_request_id_are_the_callers() {
    let app = start().await;
    let places = app.operation("places").path("id", 7).query("page=2");
    let places = places.metadata("user-agent", "test").request_id("r-1");
    assert_eq!(places.call::<String>(()).await.expect("is answered"), "7 /?page=2 test r-1");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn whoever_asks_for_the_protocol_sees_that_there_is_none() {
    let app = start().await;
    let said: String = app.operation("protocol").call(()).await.expect("is answered");
    assert_eq!(said, TEST.as_str());
    app.close().await.expect("stops");
}

#[tokio::test]
async fn items_become_a_list_and_a_reply_keeps_its_type() {
    let app = start().await;
    let items: Vec<u32> = app.operation("count").call(()).await.expect("is answered");
    assert_eq!(items, [1, 2, 3]);
    let reply = app.operation("protocol").reply(()).await.expect("is answered");
    assert_eq!(reply.value::<String>().map(String::as_str), Some("test"));
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_the_callers_and_the_clock_may_stand_still() {
    let app = start().await;
    let hangs = app.operation("hangs").deadline(Duration::from_secs(3600));
    let fault = hangs.call::<()>(()).await.expect_err("takes longer");
    assert_eq!(fault.kind(), FaultKind::DeadlineExceeded);
    app.close().await.expect("stops");
}

#[tokio::test]
async fn an_argument_of_one_protocol_only_is_refused_by_name() {
    let app = start().await;
    let fault = app.operation("bound").call::<()>(()).await.expect_err("is of a protocol");
    assert_eq!(fault.reason(), "NOT_WITHOUT_PROTOCOL");
    assert_eq!(fault.message(), "operation bound takes FakeSocket, which exists on fake only");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn items_are_collected_up_to_a_limit() {
    let app = start().await;
    let fault = app.operation("endless").call::<Vec<String>>(()).await.expect_err("is too long");
    assert_eq!(fault.kind(), FaultKind::Internal);
    let said = fault.source_text().expect("says why");
    assert!(said.contains("longer than 16777216 bytes"), "{said}");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn a_stream_that_never_waits_keeps_nobody_else_from_running() {
    let app = start().await;
    let call = tokio::spawn(app.operation("endless").call::<Vec<String>>(()));
    tokio::task::yield_now().await;
    call.abort();
    assert!(call.await.expect_err("has no time to end").is_cancelled());
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the call of hangs takes longer than 10s")]
async fn a_call_that_hangs_fails_the_test() {
    let app = start().await;
    let _ = app.operation("hangs").call::<()>(()).await;
}

#[tokio::test]
#[should_panic(expected = "\"bad id ü\" is no request id")]
async fn a_request_id_that_cannot_be_one_is_refused() {
    let app = start().await;
    let _ = app.operation("protocol").request_id("bad id ü");
}

#[tokio::test]
async fn nothing_is_called_when_the_application_is_stopped() {
    let app = start().await;
    app.stop("is over");
    app.wait().await.expect("stops");
    let fault = app.operation("protocol").call::<String>(()).await.expect_err("is stopped");
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::Unavailable, "STOPPED"));
    assert_eq!(fault.message(), "the application is stopped");
    app.close().await.expect("leaves nothing");
}
