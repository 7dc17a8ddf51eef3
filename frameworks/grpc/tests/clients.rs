//! Clients of other services, as providers.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::{collections::BTreeSet, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use polyport_bootstrap::{
    Bootstrap, Fault, ModuleBuilder, Provide,
    operation::{Ctx, Inject, Input},
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use polyport_grpc::{
    GrpcApp, GrpcChannel, GrpcClientSettings, GrpcClients, GrpcFramework, GrpcKeepAlive,
    GrpcModule, GrpcOperations, OrFault, fault_from_status, testing::GrpcTest,
};
use polyport_proto::helloworld::{
    HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server::GreeterServer,
};
use serde_json::{Value, json};
use support::{Gate, Greeting, SAY_HELLO, Serves, TonicGreeter, address, named, soon};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};
use tonic::{Code, Request as Call, Status, transport::Server};

#[derive(Provide)]
#[provide(crate = polyport_bootstrap)]
struct Back {
    #[inject(grpc = "back")]
    greeter: GreeterClient<GrpcChannel>,
}

/// Asks the other service the same.
async fn relay(Inject(back): Inject<Back>, Input(asked): Input<Asked>) -> Result<Greeting, Fault> {
    let reply = back.greeter.clone().say_hello(named(&asked.0)).await.or_fault()?;
    Ok(Greeting::from_text(&reply.into_inner().message))
}

#[derive(Debug, garde::Validate)]
#[garde(allow_unvalidated)]
struct Asked(String);

impl From<HelloRequest> for Asked {
    fn from(message: HelloRequest) -> Self {
        Self(message.name)
    }
}

/// The one that is asked: says what the call brings along.
async fn tell(
    Inject(gate): Inject<Gate>,
    Ctx(call): Ctx,
    Input(asked): Input<Asked>,
) -> Result<Greeting, Fault> {
    let text = match asked.0.as_str() {
        "nobody" => return Err(Fault::not_found("USER_NOT_FOUND", "no such user")),
        "forever" => {
            let _watched = support::Watched(Arc::clone(&gate));
            std::future::pending().await
        }
        "left" => call.remaining().map_or(0, |left| left.as_millis()).to_string(),
        name => {
            let value = call.metadata.get(name).map(|value| value.to_str().expect("text"));
            value.unwrap_or("none").to_owned()
        }
    };
    Ok(Greeting::from_text(&text))
}

type Says = mpsc::UnboundedReceiver<&'static str>;

async fn back() -> (TestApp, Says) {
    let (gate, says) = Gate::new();
    let module = Serves(gate, |m: &mut ModuleBuilder<'_>| {
        m.grpc(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, tell));
    });
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(module);
    (soon(create_bootstrap(bootstrap)).await.expect("it starts"), says)
}

fn front(client: Value) -> TestBootstrap {
    let module = Serves(Gate::new().0, |m: &mut ModuleBuilder<'_>| {
        m.provide::<Back>();
        m.grpc(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, relay));
    });
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(GrpcClients).module(module);
    create_bootstrap(bootstrap).config("grpc.clients.back", client)
}

fn at(addresses: &[SocketAddr]) -> GrpcClientSettings {
    let addresses = addresses.iter().map(ToString::to_string).collect();
    GrpcClientSettings { addresses, ..GrpcClientSettings::default() }
}

async fn both(client: Value) -> (TestApp, TestApp, Says) {
    let (back, says) = back().await;
    let mut client = client;
    client["addresses"] = json!([address(&back).to_string()]);
    let front = soon(front(client)).await.expect("it starts");
    (front, back, says)
}

async fn ask(front: &TestApp, call: Call<HelloRequest>) -> Result<String, Status> {
    let mut client = front.grpc(GreeterClient::new);
    Ok(soon(client.say_hello(call)).await?.into_inner().message)
}

async fn close(apps: [TestApp; 2]) {
    for app in apps {
        soon(app.close()).await.expect("stops cleanly");
    }
}

#[tokio::test]
async fn a_call_takes_along_what_belongs_to_the_call_that_it_is_made_in() {
    let (front, back, _) = both(json!({})).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let said = [
        ("x-request-id", "id-1", "id-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", trace),
        ("tracestate", "a=1", "a=1"),
        ("baggage", "tenant=7", "tenant=7"),
    ];
    for (name, _, expected) in said {
        let mut call = Call::new(named(name));
        for (name, value, _) in said {
            call.metadata_mut().insert(name, value.parse().expect("a value"));
        }
        let told = ask(&front, call).await.expect("answered");
        assert!(told.contains(expected), "{name}: {told}");
    }
    close([front, back]).await;
}

#[tokio::test]
async fn the_remaining_deadline_goes_along_or_the_default() {
    let (front, back, _) = both(json!({ "deadline": "3s" })).await;
    let mut call = Call::new(named("left"));
    call.set_timeout(Duration::from_secs(2));
    let left: u64 = ask(&front, call).await.expect("answered").parse().expect("a number");
    assert!((1_000..2_000).contains(&left), "{left} ms");
    let mut client =
        GreeterClient::new(GrpcChannel::open("back", &at(&[address(&back)])).expect("fits"));
    let left = soon(client.say_hello(named("left"))).await.expect("answered").into_inner();
    let left: u64 = left.message.parse().expect("a number");
    assert!((9_000..10_000).contains(&left), "{left} ms");
    let mut call = Call::new(named("left"));
    call.set_timeout(Duration::from_secs(20));
    let left = soon(client.say_hello(call)).await.expect("answered").into_inner();
    assert!(left.message.parse::<u64>().expect("a number") > 10_000, "its own comes first");
    close([front, back]).await;
}

#[tokio::test]
async fn the_default_deadline_ends_a_call_on_both_sides() {
    let (back, mut says) = back().await;
    let settings =
        GrpcClientSettings { deadline: Duration::from_millis(100), ..at(&[address(&back)]) };
    let mut client = GreeterClient::new(GrpcChannel::open("back", &settings).expect("it fits"));
    let status = soon(client.say_hello(named("forever"))).await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(soon(says.recv()).await, Some("dropped"));
    soon(back.close()).await.expect("stops cleanly");
}

#[tokio::test]
async fn a_deadline_that_is_over_costs_no_call() {
    let (front, back, _) = both(json!({})).await;
    let settings = at(&[address(&back)]);
    let mut client = GreeterClient::new(GrpcChannel::open("back", &settings).expect("it fits"));
    let mut call = Call::new(named("left"));
    call.set_timeout(Duration::ZERO);
    let status = soon(client.say_hello(call)).await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    close([front, back]).await;
}

#[tokio::test]
async fn a_fault_of_the_other_side_is_a_fault_here() {
    let (front, back, _) = both(json!({})).await;
    let status = ask(&front, Call::new(named("nobody"))).await.expect_err("nobody");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(fault_from_status(&status).reason(), "USER_NOT_FOUND");
    close([front, back]).await;
}

#[tokio::test]
async fn a_client_that_is_not_configured_is_an_error_at_start_that_names_the_key() {
    let module = Serves(Gate::new().0, |m: &mut ModuleBuilder<'_>| {
        m.provide::<Back>();
        m.grpc(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, relay));
    });
    let with_module = || Bootstrap::new().load(GrpcFramework::new()).module(GrpcClients);
    let bootstrap = create_bootstrap(with_module().module(module));
    let bootstrap = bootstrap.config("grpc.clients.bach", json!({ "addresses": ["a:1"] }));
    let error = soon(bootstrap).await.map(drop).expect_err("it is missing");
    let report = format!("{error:?}");
    for part in ["Back", "GrpcChannel \"back\"", "grpc.clients.back", "\"bach\""] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
    let module = Serves(Gate::new().0, |m: &mut ModuleBuilder<'_>| {
        m.provide::<Back>();
        m.grpc(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, relay));
    });
    let alone = create_bootstrap(Bootstrap::new().load(GrpcFramework::new()).module(module));
    let report = format!("{:?}", soon(alone).await.map(drop).expect_err("it is missing"));
    assert!(report.contains("GrpcClients"), "{report}");
}

#[tokio::test]
async fn settings_that_do_not_fit_are_errors_at_start_that_name_the_key() {
    for (client, part) in [
        (json!({}), "it has no addresses"),
        (json!({ "addresses": ["http://users:7002"] }), "\"http://users:7002\" is no address"),
        (json!({ "addresses": ["users"] }), "\"users\" is no address"),
        (json!({ "addresses": ["users:1"], "tls": { "ca": "no/such.pem" } }), "no/such.pem"),
        (json!({ "addresses": ["users:1"], "retries": 11 }), "retries"),
        (json!({ "addresses": ["users:1"], "dedline": "1s" }), "deadline"),
        (json!({ "addresses": ["users:1"], "tls": {} }), "tls.ca"),
    ] {
        let error = soon(front(client.clone())).await.map(drop).expect_err("it does not fit");
        let report = format!("{error:?}");
        assert!(
            report.contains("grpc.clients.back") && report.contains(part),
            "{client}: {report}"
        );
    }
}

#[tokio::test]
async fn defaults_hold_for_all_clients() {
    let (back, _) = back().await;
    let bootstrap = front(json!({ "addresses": [address(&back).to_string()] }));
    let front = soon(bootstrap.config("grpc.default.deadline", "4s")).await.expect("it starts");
    let mut client = front.container().get::<Back>().await.expect("there").greeter.clone();
    let left = soon(client.say_hello(named("left"))).await.expect("answered").into_inner();
    let left: u64 = left.message.parse().expect("a number");
    assert!((3_000..4_000).contains(&left), "{left} ms");
    close([front, back]).await;
}

#[tokio::test]
async fn nobody_has_to_be_there_at_the_start() {
    let front = soon(front(json!({ "addresses": [nobody().await.to_string()], "retries": 0 })));
    let front = front.await.expect("it starts");
    let status = ask(&front, Call::new(named("left"))).await.expect_err("nobody is there");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "no address of the gRPC client back can be reached");
    soon(front.close()).await.expect("stops cleanly");
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}

async fn name_of(client: &mut GreeterClient<GrpcChannel>) -> Result<String, Status> {
    let reply = soon(client.say_hello(named(":authority"))).await?;
    Ok(reply.into_inner().message)
}

/// Two that say who they are.
async fn named_backs() -> [(TestApp, Says); 2] {
    [named_back("one").await, named_back("two").await]
}

async fn named_back(name: &'static str) -> (TestApp, Says) {
    let (gate, says) = Gate::new();
    let module = Serves(gate, move |m: &mut ModuleBuilder<'_>| {
        let tell = move || async move { Ok::<_, Infallible>(Greeting::from_text(name)) };
        m.grpc(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, tell));
    });
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(module);
    (soon(create_bootstrap(bootstrap)).await.expect("it starts"), says)
}

#[tokio::test]
async fn calls_are_spread_over_all_addresses_and_go_on_when_one_is_lost() {
    let [(one, _), (two, _)] = named_backs().await;
    let addresses = [address(&one), nobody().await, address(&two)];
    let channel = GrpcChannel::open("back", &at(&addresses)).expect("it fits");
    let mut client = GreeterClient::new(channel);
    let mut told = BTreeSet::new();
    for _ in 0..8 {
        told.insert(name_of(&mut client).await.expect("answered"));
    }
    assert_eq!(told, ["one", "two"].map(str::to_owned).into());
    soon(one.close()).await.expect("stops cleanly");
    for _ in 0..8 {
        assert_eq!(name_of(&mut client).await.expect("answered"), "two");
    }
    soon(two.close()).await.expect("stops cleanly");
}

#[tokio::test]
async fn what_could_not_be_sent_is_tried_again_until_somebody_is_there() {
    let address = nobody().await;
    let settings = GrpcClientSettings { retries: 10, ..at(&[address]) };
    let mut client = GreeterClient::new(GrpcChannel::open("back", &settings).expect("it fits"));
    let call = tokio::spawn(async move { client.say_hello(named("Tom")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let server = Server::builder().add_service(GreeterServer::new(TonicGreeter)).serve(address);
    let server = tokio::spawn(server);
    let reply = soon(call).await.expect("no panic").expect("answered");
    assert_eq!(reply.into_inner().message, "tonic says hello to Tom");
    server.abort();
}

#[tokio::test]
async fn the_deadline_holds_for_all_tries_together() {
    let settings = GrpcClientSettings {
        retries: 10,
        deadline: Duration::from_millis(150),
        ..at(&[nobody().await])
    };
    let mut client = GreeterClient::new(GrpcChannel::open("back", &settings).expect("it fits"));
    let begun = Instant::now();
    let status = soon(client.say_hello(named("Tom"))).await.expect_err("nobody is there");
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Unavailable), "{status:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// A server that reads a request and never answers; says what happens on its one connection.
struct Silent {
    address: SocketAddr,
    says: mpsc::UnboundedReceiver<&'static str>,
    connection: mpsc::UnboundedReceiver<JoinHandle<()>>,
}

async fn silent() -> Silent {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (say, says) = mpsc::unbounded_channel();
    let (begun, connection) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (said, ended) = (say.clone(), say.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let said = said.clone();
                async move {
                    let _ = request.into_body().collect().await;
                    let _ = said.send("request");
                    std::future::pending::<Result<Response<String>, Infallible>>().await
                }
            });
            let serve = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            let _ = begun.send(tokio::spawn(async move {
                let _ = serve.await;
                let _ = ended.send("closed");
            }));
        }
    });
    Silent { address, says, connection }
}

#[tokio::test]
async fn a_call_of_which_anything_was_sent_is_never_repeated() {
    let mut server = silent().await;
    let settings = at(&[server.address]);
    let mut client = GreeterClient::new(GrpcChannel::open("back", &settings).expect("it fits"));
    let call = tokio::spawn(async move { client.say_hello(named("Tom")).await });
    assert_eq!(soon(server.says.recv()).await, Some("request"));
    soon(server.connection.recv()).await.expect("a connection").abort();
    let status = soon(call).await.expect("no panic").expect_err("it was lost");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(server.says.try_recv().is_err(), "it was sent twice");
}

/// A way to `to` that carries nothing any more once it is frozen, and stays open.
async fn freezable(to: SocketAddr, frozen: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a client");
        let mut far = TcpStream::connect(to).await.expect("is there");
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            () = frozen.notified() => std::future::pending().await,
        }
    });
    address
}

#[tokio::test]
async fn a_call_to_who_answers_no_pings_ends_before_its_deadline() {
    let (back, _says) = back().await;
    let frozen = Arc::new(Notify::new());
    let short = Duration::from_millis(500);
    let settings = GrpcClientSettings {
        deadline: Duration::from_secs(3600),
        keep_alive: GrpcKeepAlive { interval: short, timeout: short, ..GrpcKeepAlive::default() },
        ..at(&[freezable(address(&back), Arc::clone(&frozen)).await])
    };
    let mut client = GreeterClient::new(GrpcChannel::open("back", &settings).expect("it fits"));
    assert_eq!(client.say_hello(named("x")).await.expect("answered").into_inner().message, "none");
    let call = tokio::spawn(async move { client.say_hello(named("forever")).await });
    frozen.notify_one();
    let status = soon(call).await.expect("no panic").expect_err("the other side is silent");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    drop(back);
}

#[tokio::test]
async fn the_end_of_the_container_closes_the_connections() {
    let mut server = silent().await;
    let front = soon(front(json!({ "addresses": [server.address.to_string()] }))).await;
    let front = front.expect("it starts");
    let client = front.container().get::<Back>().await.expect("there").greeter.clone();
    let mut last = client.clone();
    let begun = tokio::spawn(async move { client.clone().say_hello(named("Tom")).await });
    assert_eq!(soon(server.says.recv()).await, Some("request"));
    begun.abort();
    let _ = front.app::<GrpcApp>().expect("it is loaded");
    soon(front.close()).await.expect("stops cleanly");
    assert_eq!(soon(server.says.recv()).await, Some("closed"), "while a clone is still held");
    let status = soon(last.say_hello(named("Tom"))).await.expect_err("it is closed");
    assert_eq!(status.code(), Code::Unavailable);
}
