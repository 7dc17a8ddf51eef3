//! The standard health service, as load balancers and probes use it.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::HashMap, sync::Arc};

use polyport_bootstrap::{
    Bootstrap, Container, Error, Health, HealthCheck, Phase,
    testing::{TestApp, create_bootstrap},
};
use polyport_grpc::{GrpcApp, GrpcFramework, GrpcModule, testing::GrpcTest};
use support::{Gate, Serves, all, call, framed, sample, soon, start};
use tokio::sync::watch;
use tonic::{Code, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct Ask {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Answer {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Listed {
    #[prost(map = "string, message", tag = "1")]
    statuses: HashMap<String, Answer>,
}

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;
const GREETER: &str = "helloworld.Greeter";

fn path(method: &str) -> PathAndQuery {
    format!("/grpc.health.v1.Health/{method}").parse().expect("a path")
}

async fn unary<Req, Res>(app: &TestApp, method: &str, message: Req) -> Result<Res, Status>
where
    Req: prost::Message + 'static,
    Res: prost::Message + Default + 'static,
{
    let mut client = app.grpc(Grpc::new);
    client.ready().await.expect("connected");
    let codec = ProstCodec::<Req, Res>::default();
    let reply = client.unary(tonic::Request::new(message), path(method), codec);
    soon(reply).await.map(tonic::Response::into_inner)
}

async fn check(app: &TestApp, service: &str) -> Result<i32, Status> {
    let answer = unary::<_, Answer>(app, "Check", Ask { service: service.to_owned() });
    answer.await.map(|answer| answer.status)
}

async fn watch_service(app: &TestApp, service: &str) -> Streaming<Answer> {
    let mut client = app.grpc(Grpc::new);
    client.ready().await.expect("connected");
    let codec = ProstCodec::<Ask, Answer>::default();
    let ask = tonic::Request::new(Ask { service: service.to_owned() });
    let stream = soon(client.server_streaming(ask, path("Watch"), codec)).await;
    stream.expect("begins").into_inner()
}

async fn next(stream: &mut Streaming<Answer>) -> i32 {
    soon(stream.message()).await.expect("goes on").expect("an answer").status
}

fn health(app: &TestApp) -> Arc<Health> {
    app.container().try_get::<Health>().expect("always there")
}

#[tokio::test]
async fn a_check_is_answered_for_the_process_and_for_each_service() {
    let app = start().await;
    for service in ["", GREETER, "im.v1.ChatService", "grpc.health.v1.Health"] {
        assert_eq!(check(&app, service).await.expect("known"), SERVING, "{service}");
    }
    let status = check(&app, "helloworld.Nobody").await.expect_err("is unknown");
    assert_eq!(status.code(), Code::NotFound);
    let listed: Listed = unary(&app, "List", Ask::default()).await.expect("listed");
    assert_eq!(listed.statuses[""].status, SERVING);
    assert_eq!(listed.statuses[GREETER].status, SERVING);

    let indicator = health(&app).indicator("db");
    indicator.down("gone");
    assert_eq!(check(&app, "").await.expect("known"), NOT_SERVING);
    assert_eq!(check(&app, GREETER).await.expect("known"), NOT_SERVING);
    let listed: Listed = unary(&app, "List", Ask::default()).await.expect("listed");
    assert!(listed.statuses.values().all(|answer| answer.status == NOT_SERVING));
}

#[tokio::test]
async fn the_bytes_are_those_of_the_specification() {
    let app = start().await;
    let ask = framed(&Ask { service: GREETER.to_owned() });
    assert_eq!(&ask[5..7], [0x0a, GREETER.len() as u8]);
    let reply = call(&app, "grpc.health.v1.Health/Check", &[], ask).await;
    assert_eq!((reply.grpc_status(), &reply.body[..]), (Some("0"), &[0, 0, 0, 0, 2, 8, 1][..]));
}

#[tokio::test]
async fn one_service_can_be_taken_out_while_the_others_are_served() {
    let app = start().await;
    let mut stream = watch_service(&app, GREETER).await;
    assert_eq!(next(&mut stream).await, SERVING);
    let grpc = app.app::<GrpcApp>().expect("loaded");
    grpc.set_serving(GREETER, false);
    assert_eq!(next(&mut stream).await, NOT_SERVING);
    assert_eq!(check(&app, "im.v1.ChatService").await.expect("known"), SERVING);
    assert_eq!(check(&app, "").await.expect("known"), SERVING);
    grpc.set_serving(GREETER, true);
    assert_eq!(next(&mut stream).await, SERVING);
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_stays_open_until_it_is_known() {
    let app = start().await;
    let mut stream = watch_service(&app, "later.v1.Service").await;
    assert_eq!(next(&mut stream).await, SERVICE_UNKNOWN);
    // A change that does not touch the answer is not told.
    health(&app).indicator("db").up();
    app.app::<GrpcApp>().expect("loaded").set_serving("later.v1.Service", true);
    assert_eq!(next(&mut stream).await, SERVING);
}

#[tokio::test]
async fn a_watch_follows_a_check_of_the_application() {
    let (set, up) = watch::channel(true);
    let db = HealthCheck::new("db", move |_: Container| {
        let up = *up.borrow();
        async move { if up { Ok(()) } else { Err(Error::other("gone")) } }
    });
    let (gate, _begins) = Gate::new();
    let bootstrap = Bootstrap::new()
        .load(GrpcFramework::new())
        .module(Serves(gate, all))
        .health(db.every(std::time::Duration::from_millis(10)));
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    let mut stream = watch_service(&app, "").await;
    for (state, status) in [(true, SERVING), (false, NOT_SERVING), (true, SERVING)] {
        set.send_replace(state);
        assert_eq!(next(&mut stream).await, status);
    }
}

#[tokio::test]
async fn at_a_stop_not_serving_comes_first_and_then_the_end_of_the_stream() {
    let app = soon(sample(all).0.config("shutdown.delay", "200ms")).await.expect("it starts");
    let [mut whole, mut one] = [watch_service(&app, "").await, watch_service(&app, GREETER).await];
    assert_eq!((next(&mut whole).await, next(&mut one).await), (SERVING, SERVING));
    app.stop("test");
    assert_eq!((next(&mut whole).await, next(&mut one).await), (NOT_SERVING, NOT_SERVING));
    assert_eq!(app.phase(), Phase::Stopping);
    for stream in [&mut whole, &mut one] {
        let status = soon(stream.message()).await.expect_err("it is over");
        assert_eq!(status.code(), Code::Unavailable);
    }
    soon(app.close()).await.expect("stops cleanly");
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let app = soon(sample(all).0.config("grpc.health", false)).await.expect("it starts");
    let status = check(&app, "").await.expect_err("is not served");
    assert_eq!(status.code(), Code::Unimplemented);
}

#[derive(Clone)]
struct Own;

impl tonic::server::NamedService for Own {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl tower::Service<http::Request<tonic::body::Body>> for Own {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
        std::future::ready(Ok(Status::internal("mine").into_http()))
    }
}

#[tokio::test]
async fn an_own_health_service_and_the_frameworks_exclude_each_other() {
    let own = |m: &mut polyport_bootstrap::ModuleBuilder<'_>| {
        m.grpc(|s| s.service(Own));
    };
    let error = soon(sample(own).0).await.expect_err("there are two");
    assert_eq!(error.exit_code(), 70);
    assert!(format!("{error:?}").contains("grpc.health = false"), "{error:?}");
    let app = soon(sample(own).0.config("grpc.health", false)).await.expect("it starts");
    let status = check(&app, "").await.expect_err("answers otherwise");
    assert_eq!((status.code(), status.message()), (Code::Internal, "mine"));
}
