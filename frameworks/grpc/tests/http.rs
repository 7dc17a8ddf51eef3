//! Peers that do not speak gRPC.

mod support;

use http::Request;
use support::{SAY_HELLO, address, call, framed, http2, named, soon, start};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn http1_is_told_what_is_spoken_here() {
    let app = start().await;
    for request in [
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "POST /helloworld.Greeter/SayHello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/grpc\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
    ] {
        let mut stream = TcpStream::connect(address(&app)).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("is sent");
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.expect("is answered");
        assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
        assert!(answer.ends_with("This port speaks gRPC, which needs HTTP/2.\n"), "{answer}");
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn another_method_than_post_is_not_allowed() {
    let app = start().await;
    for method in ["GET", "PUT", "OPTIONS"] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/{SAY_HELLO}"))
            .header("content-type", "application/grpc");
        let answer = http2(&app, request.body(Vec::new()).expect("a request")).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
        assert!(answer.grpc_status().is_none());
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn another_content_type_is_unsupported() {
    let app = start().await;
    for content_type in ["application/json", "application/grpc-web", "application/grpc+json", ""] {
        let headers = [("content-type", content_type)];
        let answer = call(&app, SAY_HELLO, &headers, framed(&named("Tom"))).await;
        assert_eq!(answer.status, 415, "{content_type}");
        assert!(answer.grpc_status().is_none());
        assert!(String::from_utf8_lossy(&answer.body).contains("content-type"));
    }
    let request = Request::post(format!("/{SAY_HELLO}")).body(Vec::new()).expect("a request");
    assert_eq!(http2(&app, request).await.status, 415, "none at all");
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
        let headers = [("content-type", content_type)];
        let answer = call(&app, SAY_HELLO, &headers, framed(&named("Tom"))).await;
        assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, Some("0")));
        assert_eq!(answer.headers["content-type"], "application/grpc");
    }
    app.close().await.expect("stops cleanly");
}
