//! The application that the cases call: each operation on all four protocols, under one name.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use garde::Validate;
use polyport::{
    Bootstrap,
    operation::{
        Answer, Aspect, Body, ByteStream, Cookie, FaultFilter, Guard, Header, Interceptor,
        Invocation, Next, NoContent, Raw, Reply, injected,
    },
    prelude::*,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The gRPC service that has a method for each operation.
pub(crate) const SERVICE: &str = "cases.v1.Cases";

/// What a call has met on its way.
#[derive(Debug, Default)]
struct Trace(Mutex<Vec<&'static str>>);

fn trace(context: &Context) -> Vec<&'static str> {
    context
        .value::<Trace>()
        .map(|trace| trace.0.lock().expect("is whole").clone())
        .unwrap_or_default()
}

/// A stage of any kind that notes that a call has met it, unless the call wants it to misbehave.
#[derive(Debug, Clone, Copy)]
struct Step(&'static str);

impl Step {
    async fn meet(self, context: &Context) -> Result<(), Fault> {
        let wants = |what: &str| context.metadata.get(what).is_some_and(|at| at == self.0);
        if wants("x-refuse") {
            return Err(Fault::permission_denied("REFUSED", self.0));
        }
        if wants("x-break") {
            return Err(Fault::internal(Error::other("the password is hunter2")));
        }
        if wants("x-hang") {
            return pending().await;
        }
        assert!(!wants("x-panic"), "as the call wants");
        if let Some(trace) = context.value::<Trace>() {
            trace.0.lock().expect("is whole").push(self.0);
        }
        Ok(())
    }
}

#[async_trait]
impl Guard for Step {
    async fn check(&self, context: &Context) -> Result<(), Fault> {
        self.meet(context).await
    }
}

#[async_trait]
impl Interceptor for Step {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        self.meet(context).await?;
        if context.metadata.get("x-answer").is_some_and(|at| at == self.0) {
            return Ok(Reply::json(json!({ "by": self.0 })));
        }
        next.run(context).await
    }
}

#[async_trait]
impl Aspect for Step {
    async fn around(
        &self,
        context: &Context,
        mut invocation: Invocation<'_>,
    ) -> Result<Reply, Fault> {
        self.meet(context).await?;
        if let Some(echo) = invocation.input_mut::<Echo>() {
            echo.text.push('!');
        }
        invocation.proceed(context).await
    }
}

/// The outermost: begins the trace.
struct Begin;

#[async_trait]
impl Interceptor for Begin {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        context.set(Trace::default());
        next.run(context).await
    }
}

/// A guard that the container builds.
#[derive(Provide)]
struct Injected {
    #[inject]
    counter: Arc<Counter>,
}

#[async_trait]
impl Guard for Injected {
    async fn check(&self, context: &Context) -> Result<(), Fault> {
        assert_eq!(self.counter.0, 7);
        Step("injected guard").meet(context).await
    }
}

#[derive(Debug)]
struct Counter(u32);

#[derive(Debug)]
struct Broken(&'static str);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// Gives the errors of one type a fault of their own, or a reply.
struct OfBroken;

#[async_trait]
impl FaultFilter for OfBroken {
    type Error = Broken;

    async fn filter(&self, _: &Context, error: &Broken, _: &Fault) -> Option<Result<Reply, Fault>> {
        match error.0 {
            "recover" => Some(Ok(Reply::json("recovered"))),
            "map" => Some(Err(Fault::failed_precondition("BROKEN", "it is broken"))),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize, Serialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Echo {
    #[garde(length(min = 1, max = 20))]
    text: String,
    #[garde(range(max = 9))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    how_often: Option<u8>,
    #[garde(inner(length(max = 3)))]
    #[serde(default)]
    tags: Vec<String>,
    #[garde(skip)]
    #[serde(default)]
    is_urgent: bool,
}

async fn echo(Input(echo): Input<Echo>) -> Result<Echo, Fault> {
    Ok(echo)
}

#[derive(Debug, Deserialize, Serialize, Validate)]
struct Order {
    #[garde(dive)]
    buyer: Buyer,
    #[garde(length(min = 1), dive)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize, Serialize, Validate)]
struct Buyer {
    #[garde(length(min = 1))]
    name: String,
    #[garde(skip)]
    kind: BuyerKind,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum BuyerKind {
    Person,
    Company,
}

#[derive(Debug, Deserialize, Serialize, Validate)]
struct Item {
    #[garde(range(min = 1))]
    id: u32,
}

async fn order(Input(order): Input<Order>) -> Result<Order, Fault> {
    Ok(order)
}

/// Says where its fields come from.
#[derive(Debug, Input, Validate)]
struct Sourced {
    #[from(header = "x-user")]
    #[garde(length(min = 2))]
    user: String,
    #[from(header = "x-level", body)]
    #[garde(range(max = 9))]
    level: Option<u8>,
    #[from(cookie = "session")]
    #[garde(skip)]
    session: Option<String>,
    #[from(body)]
    #[garde(length(min = 1))]
    text: String,
}

async fn sourced(Input(input): Input<Sourced>) -> Result<Value, Fault> {
    let Sourced { user, level, session, text } = input;
    Ok(json!({ "user": user, "level": level, "session": session, "text": text }))
}

#[derive(Debug, Deserialize)]
struct Who {
    x_user: String,
    x_age: Option<u8>,
}

async fn who(Header(who): Header<Who>) -> Result<Value, Fault> {
    Ok(json!({ "user": who.x_user, "age": who.x_age }))
}

#[derive(Debug, Deserialize)]
struct Session {
    session: String,
}

async fn session(Cookie(cookie): Cookie<Session>) -> Result<String, Fault> {
    Ok(cookie.session)
}

async fn body(Body(bytes): Body) -> Result<Value, Fault> {
    serde_json::from_slice(&bytes).map_err(|error| Fault::internal(Error::from(error)))
}

async fn request_id(Ctx(context): Ctx) -> Result<String, Fault> {
    Ok(context.request_id.to_string())
}

#[allow(clippy::too_many_arguments, reason = "as many as there can be")]
async fn twelve(
    _first: Ctx,
    Inject(counter): Inject<Counter>,
    Input(echo): Input<Echo>,
    Header(who): Header<Who>,
    settings: Settings<CaseSettings>,
    App(http): App<HttpApp>,
    App(grpc): App<GrpcApp>,
    App(amqp): App<AmqpApp>,
    App(websocket): App<WebSocketApp>,
    _tenth: Ctx,
    tenant: Tenant,
    _last: Inject<Counter>,
) -> Result<Value, Fault> {
    let kinds = [http.kind(), grpc.kind(), amqp.kind(), websocket.kind()];
    Ok(json!({
        "counter": counter.0, "text": echo.text, "user": who.x_user,
        "size": settings.get().size, "kinds": kinds, "tenant": tenant.0,
    }))
}

/// An extractor of the application's own.
struct Tenant(String);

impl FromContext for Tenant {
    type Payload = polyport::operation::NoPayload;

    async fn from_context(
        context: &Context,
        _: &mut polyport::operation::InputSlot<'_>,
    ) -> Result<Self, Fault> {
        Step("extractor").meet(context).await?;
        match context.metadata.get("x-tenant").and_then(|value| value.to_str().ok()) {
            Some(tenant) => Ok(Self(tenant.to_owned())),
            None => Err(Fault::unauthenticated("NO_TENANT", "the call is of no tenant")),
        }
    }
}

async fn tenant(Tenant(tenant): Tenant) -> Result<String, Fault> {
    Ok(tenant)
}

#[derive(Debug, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("cases")]
struct CaseSettings {
    #[garde(skip)]
    size: u32,
}

impl Default for CaseSettings {
    fn default() -> Self {
        Self { size: 5 }
    }
}

async fn unit() -> Result<(), Fault> {
    Ok(())
}

async fn no_content() -> Result<NoContent, Fault> {
    Ok(NoContent)
}

async fn answer() -> Result<Answer<&'static str>, Fault> {
    Ok(Answer::new("made").status(StatusCode::CREATED))
}

async fn raw() -> Result<Raw, Fault> {
    Ok(Raw::new("application/json", r#"{"raw":[1,2]}"#))
}

async fn text() -> Result<Raw, Fault> {
    Ok(Raw::new("text/plain; charset=utf-8", "plain \"text\""))
}

async fn bytes() -> Result<ByteStream, Fault> {
    let pieces = [Ok::<_, Fault>(Bytes::from("one ")), Ok(Bytes::from("two"))];
    Ok(ByteStream::new("text/plain", stream::iter(pieces)))
}

async fn wrong_status() -> Result<Answer<u8>, Fault> {
    Ok(Answer::new(1).status(StatusCode::BAD_GATEWAY))
}

async fn unwritable() -> Result<std::collections::HashMap<(u8, u8), u8>, Fault> {
    Ok(std::collections::HashMap::from([((1, 2), 3)]))
}

#[derive(Debug, Deserialize, Validate)]
struct Kind {
    #[garde(skip)]
    kind: String,
}

async fn fault(Input(input): Input<Kind>) -> Result<(), Fault> {
    let kind = FaultKind::ALL.into_iter().find(|kind| kind.as_str() == input.kind);
    let kind = kind.ok_or_else(|| Fault::invalid_argument("NO_KIND", "there is no such kind"))?;
    Err(Fault::new(kind, "AS_ASKED", "as the call wants"))
}

#[derive(Debug, Fault)]
enum ShopError {
    #[fault(not_found, "NO_SUCH_SHOP", message = "there is no shop {0}")]
    NoShop(String),
    #[fault(failed_precondition, message = "the shop is closed")]
    Closed,
}

async fn shop(Input(input): Input<Kind>) -> Result<(), ShopError> {
    match input.kind.as_str() {
        "closed" => Err(ShopError::Closed),
        name => Err(ShopError::NoShop(name.to_owned())),
    }
}

async fn broken(Input(input): Input<Kind>) -> Result<String> {
    Err(match input.kind.as_str() {
        "map" => Broken("map").into(),
        "recover" => Broken("recover").into(),
        _ => Broken("the password is hunter2").into(),
    })
}

async fn panics(Input(_): Input<Kind>) -> Result<(), Fault> {
    panic!("the password is hunter2")
}

async fn hangs() -> Result<(), Fault> {
    pending().await
}

async fn details() -> Result<(), Fault> {
    let details = json!([{ "field": "a.b", "message": "is wrong" }]);
    Err(Fault::invalid_argument("OWN_DETAILS", "see there").with_details(details))
}

async fn stages(Ctx(context): Ctx) -> Result<Value, Fault> {
    Step("operation").meet(&context).await?;
    Ok(json!(trace(&context)))
}

#[derive(Debug, PartialEq)]
struct Level(u8);

async fn level(Ctx(context): Ctx) -> Result<Value, Fault> {
    let levels: Vec<_> = context.operation().attributes::<Level>().map(|level| level.0).collect();
    Ok(
        json!({ "closest": context.operation().attribute::<Level>().map(|level| level.0), "all": levels }),
    )
}

/// Serves an operation on every protocol.
macro_rules! everywhere {
    ($module:expr, $($name:literal => $operation:expr),* $(,)?) => {
        $(
            $module
                .http(|r| r.post(concat!("/", $name), $operation))
                .websocket(|g| g.on($name, $operation))
                .grpc(|s| s.unary_struct(&format!("{SERVICE}/{}", $name), $operation))
                .amqp(|q| q.consume($name, $operation));
        )*
    };
}

fn cases(m: &mut ModuleBuilder<'_>) -> Result<()> {
    m.settings::<CaseSettings>().provide_value(Arc::new(Counter(7)));
    everywhere!(m,
        "echo" => echo, "order" => order, "sourced" => sourced, "who" => who,
        "session" => session, "body" => body, "request_id" => request_id, "twelve" => twelve,
        "tenant" => tenant, "unit" => unit, "no_content" => no_content, "answer" => answer,
        "raw" => raw, "text" => text, "bytes" => bytes, "wrong_status" => wrong_status,
        "unwritable" => unwritable, "fault" => fault, "shop" => shop, "broken" => broken,
        "panics" => panics, "hangs" => hangs, "details" => details,
        "level" => level.attr(Level(1)).attr(Level(2)),
        "loud" => echo.pipeline(|p| p.aspect(Step("loud"))),
    );
    Ok(())
}

fn staged(m: &mut ModuleBuilder<'_>) -> Result<()> {
    m.provide::<Injected>();
    m.pipeline(|p| {
        p.aspect(Step("module aspect"))
            .interceptor(Step("module interceptor"))
            .guard(Step("module guard"))
            .middleware("module", Step("module middleware"))
            .core_middleware("module-core", Step("module core middleware"))
    });
    everywhere!(m,
        "stages" => stages.pipeline(|p| {
            p.aspect(Step("operation aspect"))
                .interceptor(Step("operation interceptor"))
                .guard(Step("operation guard"))
                .guard(injected::<Injected>())
        }),
    );
    Ok(())
}

/// What stands around the operations of one framework.
fn of_framework(pipeline: polyport::operation::Pipeline) -> polyport::operation::Pipeline {
    pipeline.guard(Step("framework guard")).interceptor(Step("framework interceptor"))
}

pub(crate) fn bootstrap() -> Bootstrap {
    let settings = json!({
        "http": { "timeout": "2s", "body_limit": 65536 },
        "websocket": { "timeout": "2s" },
        "grpc": { "timeout": "2s" },
        "amqp": { "timeout": "2s", "concurrency": 64 },
    });
    Bootstrap::new()
        .load(HttpFramework::new().pipeline(of_framework))
        .load(WebSocketFramework::new().pipeline(of_framework))
        .load(GrpcFramework::new().pipeline(of_framework))
        .load(AmqpFramework::new().pipeline(of_framework))
        .default_config(settings)
        .pipeline(|p| {
            p.core_middleware("begin", Begin)
                .middleware("application", Step("application middleware"))
                .guard(Step("application guard"))
                .interceptor(Step("application interceptor"))
                .fault_filter(OfBroken)
        })
        .module(module("cases", cases))
        .module(module("staged", staged))
}
