//! Compressed messages.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use polyport_bootstrap::testing::TestApp;
use polyport_grpc::testing::GrpcTest;
use polyport_proto::helloworld::greeter_client::GreeterClient;
use prost::Message;
use serde_json::json;
use support::{SAY_HELLO, all, call, named, sample, soon, start};
use tonic::codec::CompressionEncoding;

/// One message, compressed, in gRPC's frame.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("into memory");
    let body = encoder.finish().expect("into memory");
    let mut frame = vec![1];
    frame.extend(u32::try_from(body.len()).expect("small").to_be_bytes());
    frame.extend(body);
    frame
}

const GZIP: (&str, &str) = ("grpc-encoding", "gzip");

async fn with(settings: serde_json::Value) -> TestApp {
    let bootstrap = sample(all).0.config("grpc.compression", settings);
    soon(bootstrap).await.expect("it starts")
}

#[tokio::test]
async fn gzip_is_read_unless_it_is_turned_off() {
    let hello = compressed(&named("Tom").encode_to_vec());
    let app = start().await;
    let answer = call(&app, SAY_HELLO, &[GZIP], hello.clone()).await;
    assert_eq!(answer.grpc_status(), Some("0"));
    app.close().await.expect("stops cleanly");
    let app = with(json!({ "receive": [] })).await;
    let answer = call(&app, SAY_HELLO, &[GZIP], hello).await;
    assert_eq!(answer.grpc_status(), Some("12"));
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn an_unknown_encoding_is_unimplemented_and_told_which_there_are() {
    let app = start().await;
    for encoding in ["snappy", "zstd", "deflate"] {
        let answer = call(&app, SAY_HELLO, &[("grpc-encoding", encoding)], vec![0; 5]).await;
        assert_eq!(answer.grpc_status(), Some("12"), "{encoding}");
        let accepted = answer.headers["grpc-accept-encoding"].to_str().expect("text");
        assert!(accepted.split(',').any(|name| name.trim() == "gzip"), "{accepted}");
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn answers_are_compressed_where_both_sides_want_it() {
    let app = with(json!({ "send": ["gzip"] })).await;
    let accept = ("grpc-accept-encoding", "gzip");
    let hello = support::framed(&named("Tom"));
    let answer = call(&app, SAY_HELLO, &[accept], hello.clone()).await;
    assert_eq!((answer.headers["grpc-encoding"].as_bytes(), answer.body[0]), (&b"gzip"[..], 1));
    let answer = call(&app, SAY_HELLO, &[], hello.clone()).await;
    assert_eq!((answer.headers.get("grpc-encoding"), answer.body[0]), (None, 0));
    let mut client = app
        .grpc(GreeterClient::new)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let reply = soon(client.say_hello(named("Tom"))).await.expect("answered").into_inner();
    assert_eq!(reply.message, "Hello Tom!");
    app.close().await.expect("stops cleanly");
    let app = start().await;
    let answer = call(&app, SAY_HELLO, &[accept], hello).await;
    assert_eq!((answer.headers.get("grpc-encoding"), answer.body[0]), (None, 0));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_bomb_is_decompressed_no_further_than_the_limit() {
    let app = start().await;
    let bomb = compressed(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
    let answer = call(&app, SAY_HELLO, &[GZIP], bomb).await;
    assert_eq!(answer.grpc_status(), Some("8"));
    let name = "x".repeat(4 * 1024 * 1024 - 1024);
    let answer = call(&app, SAY_HELLO, &[GZIP], compressed(&named(&name).encode_to_vec())).await;
    assert_eq!(answer.grpc_status(), Some("0"), "what fits is taken");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn what_is_not_compressed_as_it_says_is_refused() {
    let app = start().await;
    let mut broken = compressed(&named("Tom").encode_to_vec());
    broken.truncate(broken.len() - 4);
    let length = u32::try_from(broken.len() - 5).expect("small").to_be_bytes();
    broken[1..5].copy_from_slice(&length);
    let answer = call(&app, SAY_HELLO, &[GZIP], broken).await;
    assert_eq!(answer.grpc_status(), Some("13"), "cut short");
    let hello = compressed(&named("Tom").encode_to_vec());
    let answer = call(&app, SAY_HELLO, &[], hello).await;
    assert_eq!(answer.grpc_status(), Some("13"), "no encoding is named");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn an_encoding_that_is_none_is_an_error_of_the_configuration() {
    let bootstrap = sample(all).0.config("grpc.compression.send", json!(["rar"]));
    let error = soon(bootstrap).await.map(drop).expect_err("it does not fit").to_string();
    assert!(error.contains("grpc.compression.send") && error.contains("gzip"), "{error}");
}
