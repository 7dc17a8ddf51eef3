//! What operations can return, and types that know their messages.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use bytes::Bytes;
use futures_util::stream;
use garde::Validate;
use http::{HeaderName, HeaderValue, StatusCode};
use polyport_bootstrap::{
    Fault, ModuleBuilder,
    operation::{Answer, ByteStream, Input, Items, NoContent, Raw},
    testing::TestApp,
};
use polyport_grpc::{GrpcModule, GrpcOperations, GrpcType};
use prost::Message;
use support::{call, framed, sample, soon};

/// A message for bytes with their type, as `google.api.HttpBody` is one.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(string, tag = "1")]
    content_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

impl From<Raw> for Body {
    fn from(raw: Raw) -> Self {
        let content_type = raw.content_type.to_str().expect("ASCII").to_owned();
        Self { content_type, data: raw.bytes }
    }
}

#[derive(Validate)]
struct Word(#[garde(length(max = 3))] String);

impl GrpcType for Word {
    type Message = String;
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

async fn raw() -> Result<Raw, Fault> {
    Ok(Raw::new("text/csv", "a,b"))
}

async fn bytes() -> Result<ByteStream, Fault> {
    let parts = ["a", ",", "b"].map(|part| Ok::<_, Fault>(Bytes::from(part)));
    Ok(ByteStream::new("text/csv", stream::iter(parts)))
}

async fn too_many_bytes() -> Result<ByteStream, Fault> {
    let endless = stream::repeat_with(|| Ok::<_, Fault>(Bytes::from(vec![0; 1 << 20])));
    Ok(ByteStream::new("text/csv", endless))
}

async fn nothing() -> Result<NoContent, Fault> {
    Ok(NoContent)
}

fn answer<T>(value: T) -> Answer<T> {
    let name = HeaderName::from_static("x-cost");
    Answer::new(value).status(StatusCode::CREATED).header(name, HeaderValue::from_static("7"))
}

async fn twice(Input(word): Input<Word>) -> Result<Answer<Word>, Fault> {
    Ok(answer(Word(word.0.repeat(2))))
}

async fn letters(Input(word): Input<Word>) -> Result<Items<Word>, Fault> {
    let letters: Vec<_> =
        word.0.chars().map(|letter| Ok::<_, Fault>(Word(letter.into()))).collect();
    Ok(Items::new(stream::iter(letters)))
}

async fn counted() -> Result<Answer<Items<u32>>, Fault> {
    Ok(answer(Items::new(stream::iter([1, 2].map(Ok::<_, Fault>)))))
}

#[derive(Clone, PartialEq, Message)]
struct Odd {}

struct Breaks;

impl From<Breaks> for Odd {
    fn from(_: Breaks) -> Self {
        panic!("the conversion breaks")
    }
}

async fn breaks() -> Result<Breaks, Fault> {
    Ok(Breaks)
}

fn routes(m: &mut ModuleBuilder<'_>) {
    m.grpc(|s| {
        s.unary::<(), Body>("test.v1.Test/Raw", raw)
            .unary::<(), Body>("test.v1.Test/Bytes", bytes)
            .unary::<(), Body>("test.v1.Test/TooManyBytes", too_many_bytes)
            .unary::<(), ()>("test.v1.Test/Nothing", nothing)
            .unary::<String, String>("test.v1.Test/Twice", twice)
            .unary::<(), Odd>("test.v1.Test/Breaks", breaks)
            .server_streaming::<(), u32>("test.v1.Test/Counted", counted)
            .method("test.v1.Named/Twice", twice)
            .method("test.v1.Named/Letters", letters)
            .method("test.v1.Named/Counted", counted)
            .method("test.v1.Named/Nothing", nothing)
    });
}

async fn start() -> TestApp {
    soon(sample(routes).0).await.expect("it starts")
}

#[tokio::test]
async fn bytes_become_a_message_that_is_made_of_them() {
    let app = start().await;
    let body = Body { content_type: "text/csv".to_owned(), data: "a,b".into() };
    for method in ["Raw", "Bytes"] {
        let answer = call(&app, &format!("test.v1.Test/{method}"), &[], framed(&())).await;
        assert_eq!(answer.body, framed(&body), "{method}: {answer:?}");
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_stream_of_bytes_is_collected_up_to_the_largest_message() {
    let app = start().await;
    let answer = call(&app, "test.v1.Test/TooManyBytes", &[], framed(&())).await;
    assert_eq!(answer.grpc_status(), Some("13"), "{answer:?}");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn no_content_is_an_empty_message() {
    let app = start().await;
    for service in ["Test", "Named"] {
        let answer = call(&app, &format!("test.v1.{service}/Nothing"), &[], framed(&())).await;
        assert_eq!((answer.grpc_status(), &answer.body[..]), (Some("0"), &[0, 0, 0, 0, 0][..]));
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn headers_of_an_answer_are_metadata_and_its_status_is_not_sent() {
    let app = start().await;
    for service in ["Test", "Named"] {
        let path = format!("test.v1.{service}/Twice");
        let answer = call(&app, &path, &[], framed(&"ab".to_owned())).await;
        assert_eq!(answer.body, framed(&"abab".to_owned()), "{answer:?}");
        assert_eq!(
            (answer.status, &answer.headers["x-cost"]),
            (StatusCode::OK, &"7".parse().expect("a value"))
        );
        let path = format!("test.v1.{service}/Counted");
        let answer = call(&app, &path, &[], framed(&())).await;
        assert_eq!(answer.body, [framed(&1_u32), framed(&2_u32)].concat());
        assert_eq!(answer.headers["x-cost"], "7");
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn types_that_know_their_messages_are_bound_validated_and_streamed() {
    let app = start().await;
    let answer = call(&app, "test.v1.Named/Letters", &[], framed(&"abc".to_owned())).await;
    let letters = ["a", "b", "c"].map(|letter| framed(&letter.to_owned()));
    assert_eq!(answer.body, letters.concat(), "{answer:?}");
    let answer = call(&app, "test.v1.Named/Letters", &[], framed(&"abcd".to_owned())).await;
    assert_eq!(answer.grpc_status(), Some("3"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_malformed_message_is_an_invalid_argument() {
    let app = start().await;
    // Field 1 is announced as a text of 100 bytes, of which one comes.
    let malformed = [0, 0, 0, 0, 3, 0x0a, 100, b'a'];
    for path in ["test.v1.Test/Twice", "test.v1.Named/Letters"] {
        let answer = call(&app, path, &[], malformed.to_vec()).await;
        assert_eq!(answer.grpc_status(), Some("3"), "{path}: {answer:?}");
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_conversion_that_panics_is_internal() {
    let app = start().await;
    let answer = call(&app, "test.v1.Test/Breaks", &[], framed(&())).await;
    assert_eq!(answer.grpc_status(), Some("13"), "{answer:?}");
    app.close().await.expect("stops cleanly");
}
