//! One call through the neutral chain: extractors, binding, faults, panics and deadlines.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use garde::Validate;
use polyport_bootstrap::{
    Container, Context, Error, Fault, FaultKind, Result,
    container::ContainerBuilder,
    operation::{
        Call, Ctx, Endpoint, Exposure, Exposures, FromContext, Inject, Input, InputSlot, NoPayload,
        Operation, OperationInfo, Protocol, RawInput, Reply, ReplyBody,
    },
    wire::ReturnCode,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const TEST: Protocol = Protocol::new("test");

struct Greeting(&'static str);

#[derive(Deserialize, Validate)]
struct Name {
    #[garde(length(min = 1))]
    name: String,
}

#[derive(Serialize)]
struct Greeted {
    text: String,
    request_id: String,
}

async fn greet(
    Ctx(context): Ctx,
    Input(input): Input<Name>,
    Inject(greeting): Inject<Greeting>,
) -> Result<Greeted, Fault> {
    let text = format!("{} {}", greeting.0, input.name);
    Ok(Greeted { text, request_id: context.request_id.to_string() })
}

fn container() -> Container {
    let mut builder = ContainerBuilder::new();
    builder.provide_value(Arc::new(Greeting("Hello")));
    builder.build().expect("is complete")
}

async fn call(endpoint: &Endpoint, body: &'static str) -> Result<String, Fault> {
    call_within(endpoint, body, None).await
}

async fn call_within(
    endpoint: &Endpoint,
    body: &'static str,
    limit: Option<Duration>,
) -> Result<String, Fault> {
    let mut call = Call::new(TEST, Arc::clone(endpoint.info()), container());
    call.request_id = polyport_bootstrap::operation::RequestId::from_peer(Some("id-1"));
    call.deadline = limit.map(|limit| Instant::now() + limit);
    call.input = RawInput::json(Bytes::from_static(body.as_bytes()));
    let context = Context::new(call);
    let (_, _, reply) = endpoint.call(&context).await?.into_parts();
    let mut out = b"> ".to_vec();
    reply.write_json(&ReturnCode, context.request_id.as_str(), &mut out)?;
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

#[tokio::test]
async fn the_answer_is_appended_in_its_envelope() {
    let answer = call(&Endpoint::json(greet), r#"{"name":"Tom"}"#).await;
    assert_eq!(
        answer.expect("is answered"),
        r#"> {"returnCode":"SUC00000","data":{"text":"Hello Tom","request_id":"id-1"}}"#,
    );
}

#[tokio::test]
async fn what_does_not_bind_never_reaches_the_operation() {
    let endpoint = Endpoint::json(greet);
    for (body, message) in [
        ("{}", "name: is required"),
        (r#"{"name":""}"#, "name: length is lower than 1"),
        (r#"{"name":1}"#, "name: invalid type: integer `1`, expected a string"),
    ] {
        let fault = call(&endpoint, body).await.expect_err("is refused");
        assert_eq!(fault.kind(), FaultKind::InvalidArgument);
        assert_eq!(fault.reason(), "INVALID_INPUT");
        assert_eq!(fault.message(), message);
        assert!(fault.details().is_some_and(|details| details[0]["message"].is_string()));
    }
}

async fn explode() -> Result<(), Fault> {
    panic!("secret")
}

async fn break_down() -> Result<()> {
    Err(Error::other("password is hunter2"))
}

#[tokio::test]
async fn panics_and_errors_are_internal_faults_that_tell_the_caller_nothing() {
    for (endpoint, source) in [
        (Endpoint::json(explode), "the operation panicked: secret"),
        (Endpoint::json(break_down), "password is hunter2"),
    ] {
        let fault = call(&endpoint, "").await.expect_err("fails");
        assert_eq!(fault.kind(), FaultKind::Internal);
        assert_eq!(fault.message(), "internal error");
        assert_eq!(fault.source_text().as_deref(), Some(source));
    }
}

async fn never() -> Result<(), Fault> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let limit = Some(Duration::from_secs(3));
    let begun = Instant::now();
    let fault = call_within(&Endpoint::json(never), "", limit).await.expect_err("ends");
    assert_eq!(fault.kind(), FaultKind::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_secs(), 3);
}

struct OnlyHere;

impl FromContext for OnlyHere {
    type Payload = NoPayload;

    async fn from_context(_: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(TEST, "OnlyHere");
    }
}

async fn bound_to_protocol(_: OnlyHere) -> Result<(), Fault> {
    Ok(())
}

fn exposure<M: 'static>(
    operation: impl Operation<M>,
    protocol: Protocol,
    module: &str,
) -> Exposure {
    Exposure {
        protocol,
        framework: "default".to_owned(),
        route: "greet".to_owned(),
        module: module.to_owned(),
        endpoint: Endpoint::new(
            operation,
            |_| Err(Fault::unimplemented("UNBOUND", "is never called")),
            |_, _| Ok(Reply::new(ReplyBody::Empty)),
        ),
    }
}

#[test]
fn an_operation_says_what_it_is_and_needs() {
    let info = greet.info();
    assert_eq!(info.name(), "greet");
    assert_eq!(info.dependencies().len(), 1);
    assert_eq!(info.dependencies()[0].key().to_string(), "Greeting");
}

#[test]
fn two_operations_on_one_route_are_refused_by_name() {
    let exposures = Exposures::default();
    exposures.add(vec![exposure(greet, TEST, "one")]).expect("is the first");
    let error = exposures.add(vec![exposure(explode, TEST, "two")]).expect_err("is taken");
    assert_eq!(
        error.to_string(),
        "TEST greet is served twice: by greet (module one) and by explode (module two)",
    );
}

#[test]
fn an_extractor_of_another_protocol_is_refused() {
    let other = Protocol::new("other");
    let exposures = Exposures::default();
    exposures.add(vec![exposure(bound_to_protocol, TEST, "m")]).expect("fits");
    let error = exposures.add(vec![exposure(bound_to_protocol, other, "m")]).expect_err("not here");
    assert_eq!(
        error.to_string(),
        "OTHER greet (module m): operation bound_to_protocol takes OnlyHere, which exists on test \
         only",
    );
}
