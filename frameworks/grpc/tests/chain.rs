//! Guards, interceptors and middleware around operations and around services that tonic generates.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use polyport_bootstrap::{
    Bootstrap, Fault, FaultKind,
    operation::{Context, Ctx, Input, Interceptor, Next, Operation, OperationExt, Protocol, Reply},
    testing::{TestApp, create_bootstrap},
};
use polyport_grpc::{
    GrpcFramework, GrpcMetadata, GrpcModule, GrpcOperations, fault_from_status, testing::GrpcTest,
};
use polyport_proto::helloworld::{
    HelloReply, HelloRequest,
    greeter_client::GreeterClient,
    greeter_server::{Greeter, GreeterServer},
};
use support::{Gate, Greeting, Hello, SAY_HELLO, Serves, call, framed, named, soon};
use tonic::{Code, Request, Response, Status};

#[derive(Debug, Clone, PartialEq)]
struct User(String);

/// Lets in whoever says a name, and leaves it in the call.
fn logged_in(context: &Context) -> Result<(), Fault> {
    let name = context.metadata.get("x-user").and_then(|name| name.to_str().ok());
    let Some(name) = name else { return Err(Fault::unauthenticated("NO_USER", "who are you?")) };
    context.set(User(name.to_owned()));
    Ok(())
}

/// Leaves its name among the headers of every reply, and in the log.
struct Mark(&'static str, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Interceptor for Mark {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        self.1.lock().expect("a log").push(format!("{} {}", self.0, context.operation().name()));
        let name = HeaderName::from_static("x-mark");
        Ok(next.run(context).await?.with_header(name, HeaderValue::from_static(self.0)))
    }
}

async fn say_hello(Ctx(context): Ctx, Input(_): Input<Hello>) -> Result<Greeting, Fault> {
    let user = context.value::<User>().expect("a guard has left it");
    Ok(Greeting::from_text(&user.0))
}

struct Generated;

#[tonic::async_trait]
impl Greeter for Generated {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let context = request.extensions().get::<Context>().expect("the call");
        let User(message) = context.value::<User>().expect("a guard has left it").clone();
        Ok(Response::new(HelloReply { message }))
    }
}

type Log = Arc<Mutex<Vec<String>>>;

/// Keeps its call in what it answers with.
struct Keeps;

#[tonic::async_trait]
impl Greeter for Keeps {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let context = request.extensions().get::<Context>().expect("the call").clone();
        let mut response = Response::new(HelloReply::default());
        response.extensions_mut().insert(context);
        Ok(response)
    }
}

/// Refuses what has been answered.
struct TooLate;

#[async_trait]
impl Interceptor for TooLate {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        next.run(context).await?;
        Err(Fault::unavailable("TOO_LATE", "nobody wants it any more"))
    }
}

#[tokio::test]
async fn an_answer_that_middleware_throws_away_keeps_nothing_alive() {
    let module = Serves(Gate::new().0, |m: &mut polyport_bootstrap::ModuleBuilder<'_>| {
        m.grpc(|s| s.service(GreeterServer::new(Keeps)));
    });
    let framework = GrpcFramework::new().pipeline(|p| p.interceptor(TooLate));
    let app = soon(create_bootstrap(Bootstrap::new().load(framework).module(module))).await;
    let app = app.expect("it starts");
    let status = soon(app.grpc(GreeterClient::new).say_hello(named("Tom"))).await;
    assert_eq!(status.expect_err("refused").code(), Code::Unavailable);
    app.close().await.expect("no call is left");
}

/// With a greeter that is an operation, or a service that tonic generated.
async fn start(generated: bool) -> (TestApp, Log) {
    let log = Log::default();
    let module = Serves(Gate::new().0, move |m: &mut polyport_bootstrap::ModuleBuilder<'_>| {
        m.grpc(|s| match generated {
            true => s.service(GreeterServer::new(Generated)),
            false => s.unary::<HelloRequest, HelloReply>(SAY_HELLO, say_hello),
        });
    });
    let (outer, inner) = (Mark("middleware", Arc::clone(&log)), Mark("own", Arc::clone(&log)));
    let framework = GrpcFramework::new().pipeline(|p| p.interceptor(inner));
    let bootstrap = Bootstrap::new()
        .pipeline(|p| p.guard(logged_in).middleware("mark", outer))
        .load(framework)
        .module(module);
    (soon(create_bootstrap(bootstrap)).await.expect("it starts"), log)
}

#[tokio::test]
async fn a_guard_refuses_operations_and_services_with_its_status() {
    for generated in [false, true] {
        let (app, log) = start(generated).await;
        let mut client = app.grpc(GreeterClient::new);
        let status = soon(client.say_hello(named("Tom"))).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "who are you?"));
        let fault = fault_from_status(&status);
        assert_eq!((fault.kind(), fault.reason()), (FaultKind::Unauthenticated, "NO_USER"));
        assert_eq!(log.lock().expect("a log").len(), 1, "the interceptor stands behind the guard");
        app.close().await.expect("stops cleanly");
    }
}

#[tokio::test]
async fn what_a_guard_leaves_and_interceptors_add_is_seen_by_both() {
    for generated in [false, true] {
        let (app, log) = start(generated).await;
        let answer = call(&app, SAY_HELLO, &[("x-user", "ann")], framed(&named("Tom"))).await;
        assert_eq!(answer.body, framed(&HelloReply { message: "ann".to_owned() }), "{answer:?}");
        let mut marks: Vec<_> = answer.headers.get_all("x-mark").iter().collect();
        marks.sort();
        assert_eq!(marks, ["middleware", "own"]);
        let name = if generated { "helloworld.Greeter" } else { "say_hello" };
        let lines = log.lock().expect("a log").clone();
        assert_eq!(lines, [format!("middleware {name}"), format!("own {name}")]);
        app.close().await.expect("stops cleanly");
    }
}

#[tokio::test]
async fn health_is_told_whatever_guards_say() {
    let (app, log) = start(false).await;
    let answer = call(&app, "grpc.health.v1.Health/Check", &[], framed(&())).await;
    assert_eq!(answer.grpc_status(), Some("0"), "{answer:?}");
    assert!(log.lock().expect("a log").is_empty());
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn middleware_stands_around_what_is_not_served_too() {
    for (path, service) in
        [("helloworld.Greeter/Nope", "UNKNOWN_METHOD"), ("no.Service/Nope", "UNKNOWN_SERVICE")]
    {
        let (app, log) = start(false).await;
        let answer = call(&app, path, &[("x-user", "ann")], Vec::new()).await;
        assert_eq!(answer.grpc_status(), Some("12"), "{service}: {answer:?}");
        let status = Status::from_header_map(&answer.headers).expect("a status");
        assert_eq!(fault_from_status(&status).reason(), service);
        assert_eq!(log.lock().expect("a log")[0], "middleware fallback");
        app.close().await.expect("stops cleanly");
    }
}

async fn who(GrpcMetadata(metadata): GrpcMetadata) -> Result<Greeting, Fault> {
    let bytes = metadata.get_bin("key-bin").and_then(|value| value.to_bytes().ok());
    Ok(Greeting::from_text(&format!("{bytes:?}")))
}

#[tokio::test]
async fn metadata_are_an_extractor_of_this_protocol() {
    let module = Serves(Gate::new().0, |m: &mut polyport_bootstrap::ModuleBuilder<'_>| {
        m.grpc(|s| s.unary::<(), HelloReply>("test.v1.Test/Who", who));
    });
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(module);
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    let answer = call(&app, "test.v1.Test/Who", &[("key-bin", "AP8")], framed(&())).await;
    let message = format!("{:?}", Some(bytes::Bytes::from_static(b"\x00\xff")));
    assert_eq!(answer.body, framed(&HelloReply { message }));
    app.close().await.expect("stops cleanly");
}

#[test]
fn metadata_are_refused_on_other_protocols_at_start() {
    fn refusal<M>(operation: impl Operation<M>) -> Option<String> {
        operation.info().refusal_on(Protocol::new("http"))
    }
    let refusal = refusal(who.named("who")).expect("a refusal");
    assert_eq!(refusal, "operation who takes GrpcMetadata, which exists on grpc only");
}

#[tokio::test]
async fn native_layers_stand_around_operations_services_and_what_is_not_there() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tonic::{body::Body, service::InterceptorLayer};
    use tower::util::MapRequestLayer;

    soon(async {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let framework = GrpcFramework::new()
            .layer(MapRequestLayer::new(move |mut request: http::Request<Body>| {
                count.fetch_add(1, Ordering::SeqCst);
                let user = HeaderValue::from_static("layer");
                request.headers_mut().insert("x-user", user);
                request
            }))
            .layer(InterceptorLayer::new(|request: Request<()>| {
                match request.metadata().get("x-stop") {
                    Some(_) => Err(Status::permission_denied("stopped by a layer")),
                    None => Ok(request),
                }
            }));
        let module = polyport_bootstrap::module("hello", |m| {
            m.pipeline(|p| p.guard(logged_in));
            m.grpc(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, say_hello));
            Ok(())
        });
        let app: TestApp = create_bootstrap(Bootstrap::new().load(framework).module(module))
            .await
            .expect("starts");
        let mut greeter = app.grpc(GreeterClient::new);
        let reply = greeter.say_hello(HelloRequest { name: "x".to_owned() }).await;
        assert!(reply.expect("answers").into_inner().message.contains("layer"));
        let mut stopped = Request::new(HelloRequest { name: "x".to_owned() });
        stopped.metadata_mut().insert("x-stop", "1".parse().expect("ASCII"));
        let status = greeter.say_hello(stopped).await.expect_err("is stopped");
        assert_eq!(
            (status.code(), status.message()),
            (Code::PermissionDenied, "stopped by a layer")
        );
        assert_eq!(seen.load(Ordering::SeqCst), 1, "the last layer stands outermost");
        app.close().await.expect("stops");
    })
    .await;
}
