//! What is found wrong at start, and what may be added later.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use polyport_bootstrap::{
    Application, Bootstrap, Error, ErrorKind, Module, ModuleBuilder, Result,
    operation::{Inject, Input},
    testing::create_bootstrap,
};
use polyport_grpc::{
    GrpcApp, GrpcFramework, GrpcModule, GrpcOperations, GrpcSettings, testing::GrpcTest,
};
use polyport_proto::helloworld::{
    HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server::GreeterServer,
};
use support::{
    Greeting, Hello, SAY_HELLO, TonicGreeter, all, named, nothing, sample, say_hello, soon,
};

async fn refusal(routes: fn(&mut ModuleBuilder<'_>)) -> Error {
    soon(sample(routes).0).await.expect_err("must not start")
}

#[tokio::test]
async fn malformed_paths_are_all_in_one_report() {
    let error = refusal(|m| {
        m.grpc(|s| {
            s.unary::<(), ()>("/helloworld.Greeter/SayHello", nothing)
                .unary::<(), ()>("helloworld.Greeter", nothing)
                .unary::<(), ()>("helloworld..Greeter/SayHello", nothing)
                .unary::<(), ()>("helloworld.Greeter/Say/Hello", nothing)
                .unary::<(), ()>("helloworld.Greeter/", nothing)
                .unary::<(), ()>("helloworld.Greeter/1st", nothing)
                .unary::<(), ()>("", nothing)
                .unary::<(), ()>("NoPackage/Is_Fine2", nothing)
        });
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Wiring);
    // A report is wrapped; its words are not.
    let report = format!("{error:?}").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(report.matches("is not the name of a gRPC method").count(), 7, "{report}");
    assert!(report.contains("module sample") && report.contains("package.Service/Method"));
    assert!(!report.contains("NoPackage"), "{report}");
}

#[tokio::test]
async fn two_operations_of_one_method_are_refused() {
    let error = refusal(|m| {
        all(m);
        m.grpc(|s| s.unary::<(), ()>(SAY_HELLO, nothing));
    })
    .await;
    let report = format!("{error:?}");
    assert!(report.contains("GRPC helloworld.Greeter/SayHello is served twice"), "{report}");
    assert_eq!(error.kind(), ErrorKind::Wiring);
}

#[tokio::test]
async fn two_services_of_one_name_are_refused() {
    let error = refusal(|m| {
        m.grpc(|s| s.service(GreeterServer::new(TonicGreeter)));
        m.grpc(|s| s.service(GreeterServer::new(TonicGreeter)));
    })
    .await;
    let report = format!("{error:?}");
    assert!(report.contains("GRPC helloworld.Greeter/* is served twice"), "{report}");
    let error = refusal(|m| {
        let service = || GreeterServer::new(TonicGreeter);
        m.grpc(|s| s.service(service()).service(service()));
    })
    .await;
    assert!(format!("{error:?}").contains("is served twice"));
}

struct Missing;

async fn injects_what_nobody_provides(_: Inject<Missing>) -> Result<(), polyport_bootstrap::Fault> {
    Ok(())
}

#[tokio::test]
async fn an_operation_that_injects_what_nobody_provides_is_refused() {
    let error = refusal(|m| {
        m.grpc(|s| s.unary::<(), ()>("test.v1.Test/Missing", injects_what_nobody_provides));
    })
    .await;
    let report = format!("{error:?}");
    assert!(report.contains("GRPC test.v1.Test/Missing") && report.contains("Missing"), "{report}");
}

async fn late(Input(_): Input<Hello>) -> Result<Greeting, polyport_bootstrap::Fault> {
    Ok(Greeting::from_text("late"))
}

#[tokio::test]
async fn routes_can_be_added_until_the_process_serves() {
    struct Late;
    impl Module for Late {
        fn name(&self) -> &'static str {
            "late"
        }
        fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
            m.on_ready(async |container| {
                let grpc = container.app::<GrpcApp>()?;
                assert!(grpc.routes(|s| s.unary::<(), ()>("no path", nothing)).is_err());
                grpc.routes(|s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, late))
            });
            Ok(())
        }
    }
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(Late);
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    let mut client = app.grpc(GreeterClient::new);
    let reply = soon(client.say_hello(named("Tom"))).await.expect("answered");
    assert_eq!(reply.into_inner().message, "late");
    let grpc = app.app::<GrpcApp>().expect("it is loaded");
    for routes in [
        grpc.routes(|s| s.unary::<(), ()>("test.v1.Test/TooLate", nothing)),
        grpc.routes(|s| s.service(GreeterServer::new(TonicGreeter))),
    ] {
        assert!(format!("{:?}", routes.expect_err("too late")).contains("once the process serves"));
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn two_frameworks_have_their_own_ports_and_routes() {
    let (gate, _begins) = support::Gate::new();
    let module = support::Serves(gate, |m: &mut ModuleBuilder<'_>| {
        m.grpc_on("admin", |s| s.unary::<HelloRequest, HelloReply>(SAY_HELLO, say_hello));
    });
    let bootstrap = Bootstrap::new()
        .load(GrpcFramework::new())
        .load(GrpcFramework::named("admin").configure(GrpcSettings::default()))
        .module(module);
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    let mut client = app.grpc_on("admin", GreeterClient::new);
    soon(client.say_hello(named("Tom"))).await.expect("answered");
    let mut client = app.grpc(GreeterClient::new);
    let status = soon(client.say_hello(named("Tom"))).await.expect_err("not here");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let admin = app.app_named::<GrpcApp>("admin").expect("it is loaded");
    let uri = admin.url().expect("it is bound");
    assert_eq!(uri, format!("http://127.0.0.1:{}", admin.local_addr().expect("bound").port()));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_advice() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let (bootstrap, ..) = sample(all);
    let error = soon(bootstrap.configured_ports().config("grpc.port", port))
        .await
        .expect_err("must not start");
    assert_eq!(error.kind(), ErrorKind::Connection);
    let report = format!("{error:?}");
    assert!(report.contains(&port.to_string()) && report.contains("framework grpc"), "{report}");
}

#[tokio::test]
async fn a_setting_that_does_not_exist_is_refused() {
    let (bootstrap, ..) = sample(all);
    let error = soon(bootstrap.config("grpc.prot", 7002)).await.expect_err("must not start");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(format!("{error:?}").contains("grpc.prot"), "{error:?}");
}
