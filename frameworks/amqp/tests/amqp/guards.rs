//! Guards and interceptors around consumers.

use std::sync::Arc;

use polyport_amqp::Message;
use polyport_bootstrap::{
    Context, Fault, FaultKind,
    operation::{Ctx, Input, OperationExt},
};

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    a_message_that_a_guard_refuses_is_parked_with_the_reason,
    a_request_that_a_guard_refuses_is_answered_with_its_fault,
    guards_are_asked_before_a_body_of_an_unknown_content_type_is_refused,
}

struct User(String);

/// Says who published, by a header.
fn logged_in(context: &Context) -> Result<(), Fault> {
    let name = context.metadata.get("x-user").and_then(|name| name.to_str().ok());
    let Some(name) = name else { return Err(Fault::unauthenticated("NO_USER", "who are you?")) };
    context.set(User(name.to_owned()));
    Ok(())
}

async fn who(Ctx(context): Ctx) -> Result<String, Fault> {
    Ok(context.value::<User>().expect("a guard has left it").0.clone())
}

async fn a_message_that_a_guard_refuses_is_parked_with_the_reason(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let guarded = who.pipeline(|p| p.guard(logged_in));
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, guarded.clone())).await;
    let app = app.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-kind").as_deref(), Some("UNAUTHENTICATED"));
    assert_eq!(parked.header("x-exception-reason").as_deref(), Some("NO_USER"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_request_that_a_guard_refuses_is_answered_with_its_fault(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let guarded = who.pipeline(|p| p.guard(logged_in));
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, guarded.clone())).await;
    let app = app.expect("starts");
    let fault = broker.client.request(&queue, &text("hi")).await.fault().expect("a fault");
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::Unauthenticated, "NO_USER"));
    let message = Message::new("", &queue, "").header("x-user", "tom");
    assert_eq!(broker.client.request_message(message).await.json::<String>(), "tom");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 0);
    broker.delete(&queue).await;
}

async fn echo(Input(text): Input<Text>) -> Result<String, Fault> {
    Ok(text.text)
}

async fn guards_are_asked_before_a_body_of_an_unknown_content_type_is_refused(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let guarded = echo.pipeline(|p| p.guard(logged_in));
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, guarded.clone())).await;
    let app = app.expect("starts");
    let unknown = Message::new("", &queue, "hi").content_type("application/x-unknown");
    let reason = async |message| {
        let fault = broker.client.request_message(message).await.fault().expect("a fault");
        fault.reason().to_owned()
    };
    assert_eq!(reason(unknown.clone()).await, "NO_USER");
    assert_eq!(reason(unknown.header("x-user", "tom")).await, "UNSUPPORTED_MEDIA_TYPE");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
