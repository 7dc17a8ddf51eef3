//! What goes behind the messages: trailing metadata, and codes that no kind of fault has.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use futures_util::stream;
use polyport_bootstrap::{Fault, ModuleBuilder, operation::Items};
use polyport_grpc::{
    GrpcModule, GrpcOperations, GrpcTrailers, Messages, fault_from_status, status_from_fault,
};
use support::{call, framed, sample, soon};
use tonic::{Code, Status};

async fn signed(trailers: GrpcTrailers) -> Result<String, Fault> {
    trailers.update(|metadata| {
        metadata.insert("x-cost", 7.into());
        // What says how the call went is not the operation's to say.
        metadata.insert("grpc-status", 13.into());
    });
    Ok("signed".to_owned())
}

async fn counted(trailers: GrpcTrailers) -> Result<Items<u32>, Fault> {
    let items = (1..=3_u32).map(move |number| {
        trailers.update(|metadata| metadata.insert("x-last", number.into()));
        Ok::<_, Fault>(number)
    });
    Ok(Items::new(stream::iter(items)))
}

async fn refused(trailers: GrpcTrailers) -> Result<String, Fault> {
    trailers.update(|metadata| metadata.insert("x-cost", 7.into()));
    Err(fault_from_status(&Status::aborted("somebody else was first")))
}

fn all(m: &mut ModuleBuilder<'_>) {
    m.grpc(|s| {
        s.method("test.v1.Test/Signed", signed)
            .method("test.v1.Test/Counted", counted)
            .method("test.v1.Test/Refused", refused)
    });
}

#[tokio::test]
async fn trailers_go_behind_one_message_and_not_before_it() {
    let app = soon(sample(all).0).await.expect("it starts");
    let answer = call(&app, "test.v1.Test/Signed", &[], framed(&())).await;
    assert_eq!((answer.grpc_status(), answer.headers.get("x-cost")), (Some("0"), None));
    assert_eq!(answer.trailers.expect("trailers")["x-cost"], "7");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn trailers_of_a_stream_are_what_they_are_at_its_end() {
    let app = soon(sample(all).0).await.expect("it starts");
    let answer = call(&app, "test.v1.Test/Counted", &[], framed(&())).await;
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-last"]),
        (&"0".parse().expect("one"), &"3".parse().expect("one"))
    );
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_code_that_no_kind_of_fault_has_is_answered_as_it_was_given() {
    let app = soon(sample(all).0).await.expect("it starts");
    let answer = call(&app, "test.v1.Test/Refused", &[], framed(&())).await;
    assert_eq!(answer.grpc_status(), Some("10"), "ABORTED");
    app.close().await.expect("stops cleanly");
}

#[test]
fn every_code_survives_the_way_through_a_fault() {
    for code in 1..=16 {
        let status = Status::new(Code::from_i32(code), "what happened");
        let back = status_from_fault(&fault_from_status(&status), "id", "domain");
        assert_eq!((back.code() as i32, back.message()), (code, "what happened"));
    }
}

#[test]
fn a_status_below_an_application_s_own_fault_does_not_change_its_code() {
    let status = Status::not_found("no such user");
    let fault = Fault::unavailable("USERS", "the users are away").caused_by(status);
    assert_eq!(status_from_fault(&fault, "id", "domain").code(), Code::Unavailable);
}

async fn drain(messages: Messages<String>) -> Result<String, Fault> {
    drop(messages);
    Ok(String::new())
}

#[test]
fn extractors_of_grpc_say_that_they_are_its_own() {
    use polyport_bootstrap::operation::{Operation, Protocol};
    let http = Protocol::new("http");
    let refusal = Operation::<(GrpcTrailers,)>::info(&signed).refusal_on(http);
    let expected = "operation signed takes GrpcTrailers, which exists on grpc only";
    assert_eq!(refusal.as_deref(), Some(expected));
    let refusal = Operation::<(Messages<String>,)>::info(&drain).refusal_on(http);
    assert!(refusal.is_some_and(|refusal| refusal.contains("Messages")));
}
