//! The fixed set: what a call is made of, with nothing beside it. Its instructions are recorded in
//! `benches/instructions.json`.
#![allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use std::{hint::black_box, sync::Arc};

use async_trait::async_trait;
use garde::Validate;
use http::HeaderValue;
use polyport_bootstrap::{
    Container, Environment,
    config::ConfigBuilder,
    container::ContainerBuilder,
    operation::{
        Call, Context, Endpoint, Fault, Input, Interceptor, Next, Operation, OperationExt,
        Protocol, RawInput, Reply,
    },
    wire::{EnvelopeStyle, Frame, begin_frame, end_frame},
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use crate::{
    call,
    turn::{Turn, now, turn},
};

/// All of them, in their order.
pub(crate) const NAMES: [&str; 8] = [
    "container: a singleton",
    "config: a section",
    "chain: nothing around",
    "chain: guard and interceptor",
    "binding: a query",
    "binding: a body",
    "frame: read and written",
    "http: a call through the chain",
];

/// The case of that name.
pub(crate) fn case(name: &str) -> Option<Turn> {
    Some(match name {
        "container: a singleton" => container(),
        "config: a section" => config(),
        "chain: nothing around" => whole(nothing, RawInput::default()),
        "chain: guard and interceptor" => guarded(),
        "binding: a query" => whole(get_user, query()),
        "binding: a body" => whole(get_user, RawInput::json(USER.as_bytes().into())),
        "frame: read and written" => frame(),
        "http: a call through the chain" => return call::case("polyport: the chain"),
        _ => return None,
    })
}

trait Service: Send + Sync {}

struct Plain;

impl Service for Plain {}

fn container() -> Turn {
    let mut builder = ContainerBuilder::new();
    builder.provide_value::<dyn Service>(Arc::new(Plain));
    let container = builder.build().expect("fits together");
    turn(move || container.try_get::<dyn Service>())
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "it is read, and that is all")]
struct Section {
    page_size: u32,
    title: String,
    is_open: bool,
}

fn config() -> Turn {
    let values = serde_json::json!({
        "users": { "page_size": 20, "title": "everybody", "is_open": true }
    });
    let builder = ConfigBuilder::new(Environment::production(), "/dev/null");
    let config = builder.framework_defaults("bench", values).build().expect("is whole");
    turn(move || config.get::<Section>("users").expect("is there"))
}

const USER: &str = r#"{"userId":"tom","age":10}"#;

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct GetUser {
    #[garde(length(min = 1, max = 64))]
    user_id: String,
    #[garde(range(max = 150))]
    age: u8,
}

async fn get_user(Input(user): Input<GetUser>) -> Result<usize, Fault> {
    Ok(user.user_id.len() + usize::from(user.age))
}

async fn nothing() -> Result<usize, Fault> {
    Ok(black_box(1))
}

fn query() -> RawInput {
    let uri = "/users?userId=tom&age=10".parse().expect("a path");
    RawInput { uri, ..RawInput::default() }
}

/// Goes on, as most interceptors do.
struct Passes;

#[async_trait]
impl Interceptor for Passes {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        next.run(context).await
    }
}

fn has_token(context: &Context) -> Result<(), Fault> {
    match context.metadata.contains_key("authorization") {
        true => Ok(()),
        false => Err(Fault::unauthenticated("NO_TOKEN", "the call carries no token")),
    }
}

fn guarded() -> Turn {
    let operation = nothing.pipeline(|p| p.guard(has_token).interceptor(Passes));
    whole(operation, RawInput::default())
}

/// Whole calls, each with a context of its own, as frameworks make them.
fn whole<M: 'static, O>(operation: O, input: RawInput) -> Turn
where
    O: Operation<M, Output = usize>,
    O::Input: polyport_bootstrap::operation::Bind,
{
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let container = ContainerBuilder::new().build().expect("fits together");
    let endpoint = Endpoint::json(operation);
    let endpoint = endpoint.standalone(Protocol::new("bench"), &container);
    let endpoint = runtime.block_on(endpoint).expect("can be served");
    turn(move || once(&endpoint, &container, &input))
}

fn once(endpoint: &Endpoint, container: &Container, input: &RawInput) {
    let operation = Arc::clone(endpoint.info());
    let mut call = Call::new(Protocol::new("bench"), operation, container.clone());
    call.metadata.insert("authorization", HeaderValue::from_static("Bearer x"));
    call.input = input.clone();
    let context = Context::new(call);
    black_box(now(endpoint.call(&context)).expect("answers"));
}

#[derive(Serialize, Deserialize)]
struct Said<'a> {
    room: &'a str,
    text: &'a str,
}

fn frame() -> Turn {
    let envelope = EnvelopeStyle::Plain.envelope();
    turn(move || {
        let text = r#"{"event":"say","data":{"room":"lobby","text":"hello"},"id":1}"#;
        let frame = Frame::parse(black_box(text)).expect("a frame");
        let data = frame.data.expect("has data");
        let said: Said<'_> = serde_json::from_str(data.get()).expect("as sent");
        let mut out = Vec::with_capacity(256);
        begin_frame(&mut out, &frame.event, frame.id);
        let write = &mut |out: &mut Vec<u8>| serde_json::to_writer(out, &said);
        envelope.write_value(&mut out, "", write).expect("can be written");
        end_frame(&mut out);
        out
    })
}
