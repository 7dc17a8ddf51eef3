//! The reflection service, and what descriptors are checked against.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::collections::BTreeSet;

use futures_util::stream;
use polyport_bootstrap::{
    Bootstrap, Context, Fault, ModuleBuilder,
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use polyport_grpc::{GrpcFramework, GrpcModule, GrpcOperations, testing::GrpcTest};
use polyport_proto::{FILE_DESCRIPTOR_SET, helloworld as hello, im::v1 as im};
use prost::Message;
use prost_types::FileDescriptorProto;
use support::{Gate, SAY_HELLO, Serves, numbers, sample, say_hello, soon};
use tonic::Request;

fn described(m: &mut ModuleBuilder<'_>) {
    m.grpc(|s| {
        s.descriptors(FILE_DESCRIPTOR_SET)
            .unary::<hello::HelloRequest, hello::HelloReply>(SAY_HELLO, say_hello)
    });
}

fn reflecting() -> TestBootstrap {
    sample(described).0.config("grpc.reflection", true)
}

/// What both versions are asked in the same way.
macro_rules! asks {
    ($version:ident) => {
        mod $version {
            use tonic_reflection::pb::$version as pb;

            use super::*;

            pub(super) async fn ask(
                app: &TestApp,
                what: pb::server_reflection_request::MessageRequest,
            ) -> pb::server_reflection_response::MessageResponse {
                let mut client =
                    app.grpc(pb::server_reflection_client::ServerReflectionClient::new);
                let message_request = Some(what);
                let request = pb::ServerReflectionRequest { host: String::new(), message_request };
                let request = Request::new(stream::iter([request]));
                let answers = soon(client.server_reflection_info(request)).await;
                let mut answers = answers.expect("it is served").into_inner();
                let answer = soon(answers.message()).await.expect("no fault").expect("one");
                answer.message_response.expect("a message")
            }

            pub(super) async fn services(app: &TestApp) -> BTreeSet<String> {
                let what =
                    pb::server_reflection_request::MessageRequest::ListServices(String::new());
                match ask(app, what).await {
                    pb::server_reflection_response::MessageResponse::ListServicesResponse(list) => {
                        list.service.into_iter().map(|service| service.name).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }

            pub(super) async fn file_with(app: &TestApp, symbol: &str) -> FileDescriptorProto {
                let symbol = symbol.to_owned();
                let what =
                    pb::server_reflection_request::MessageRequest::FileContainingSymbol(symbol);
                match ask(app, what).await {
                    pb::server_reflection_response::MessageResponse::FileDescriptorResponse(
                        files,
                    ) => FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice())
                        .expect("a file"),
                    other => panic!("{other:?}"),
                }
            }
        }
    };
}

asks!(v1);
asks!(v1alpha);

#[tokio::test]
async fn both_versions_name_what_is_served_and_nothing_else() {
    let app = soon(reflecting()).await.expect("it starts");
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "helloworld.Greeter",
    ];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    assert_eq!(v1::services(&app).await, expected);
    assert_eq!(v1alpha::services(&app).await, expected);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn both_versions_describe_every_service_that_they_name() {
    let app = soon(reflecting()).await.expect("it starts");
    for service in v1::services(&app).await {
        let file = v1::file_with(&app, &service).await;
        assert_eq!(v1alpha::file_with(&app, &service).await, file, "{service}");
        let name = service.rsplit('.').next();
        assert_eq!(file.service[0].name.as_deref(), name, "{service}");
    }
    let health = v1::file_with(&app, "grpc.health.v1.HealthCheckResponse").await;
    assert_eq!(health.message_type[1].field[0].type_name(), {
        ".grpc.health.v1.HealthCheckResponse.ServingStatus"
    });
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    let app = soon(sample(described).0).await.expect("it starts");
    for service in ["v1", "v1alpha"] {
        let path = format!("grpc.reflection.{service}.ServerReflection/ServerReflectionInfo");
        let answer = support::call(&app, &path, &[], Vec::new()).await;
        assert_eq!(answer.grpc_status(), Some("12"));
    }
    app.close().await.expect("stops cleanly");
}

fn locked() -> TestBootstrap {
    let module = Serves(Gate::new().0, described);
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(module).pipeline(|p| {
        p.guard(|_: &Context| -> Result<(), Fault> {
            Err(Fault::unauthenticated("LOCKED", "nobody gets in"))
        })
    });
    create_bootstrap(bootstrap).config("grpc.reflection", true)
}

#[tokio::test]
async fn the_applications_guards_stand_around_it_only_where_asked() {
    let app = soon(locked()).await.expect("it starts");
    assert_eq!(v1::services(&app).await.len(), 4);
    app.close().await.expect("stops cleanly");
    let app = soon(locked().config("grpc.reflection_behind_guards", true)).await;
    let app = app.expect("it starts");
    for service in ["v1", "v1alpha"] {
        let path = format!("grpc.reflection.{service}.ServerReflection/ServerReflectionInfo");
        let answer = support::call(&app, &path, &[], Vec::new()).await;
        assert_eq!(answer.grpc_status(), Some("16"), "{service}");
    }
    app.close().await.expect("stops cleanly");
}

async fn refused(routes: impl Fn(&mut ModuleBuilder<'_>) + Send + Sync + 'static) -> String {
    let error = soon(sample(routes).0.config("grpc.reflection", true)).await;
    let report = format!("{:?}", error.map(drop).expect_err("it does not fit"));
    report.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_method_that_its_descriptor_does_not_know_or_has_of_another_kind_is_an_error() {
    let report = refused(|m| {
        m.grpc(|s| {
            s.server_streaming::<(), im::Message>("im.v1.UserService/GetUser", numbers)
                .server_streaming::<(), im::Message>("im.v1.ChatService/Subscribed", numbers)
                .descriptors(FILE_DESCRIPTOR_SET)
        });
    });
    let report = report.await;
    let kind = "operation numbers: im.v1.UserService/GetUser is unary by its descriptor, and \
                server streaming by its registration";
    let name = "service im.v1.ChatService has no method Subscribed by its descriptor";
    assert!(report.contains(kind) && report.contains(name), "{report}");
}

#[tokio::test]
async fn a_descriptor_set_that_is_none_is_an_error_that_names_the_module() {
    let report = refused(|m| {
        m.grpc(|s| s.descriptors(&b"\xff"[..]));
    });
    let report = report.await;
    assert!(report.contains("module sample") && report.contains("FileDescriptorSet"), "{report}");
}

#[tokio::test]
async fn one_of_the_applications_own_is_told_how_to_be() {
    let report = refused(|m| {
        let own = tonic_reflection::server::Builder::configure().build_v1().expect("it is built");
        m.grpc(|s| s.service(own));
    });
    let report = report.await;
    assert!(report.contains("grpc.reflection = false"), "{report}");
}
