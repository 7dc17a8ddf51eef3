//! The ordered stop: what has been answered reaches its reader to the last byte.

mod support;

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use polyport_listener::{Handler, ResponseBody, handler_fn};
use support::{Gate, LONG, Raw, get, http2, serve, text, within};
use tokio::time::timeout;

/// More than the time for which connections without a call are waited for.
const BEYOND_GRACE: Duration = Duration::from_millis(800);

async fn is_pending(future: impl Future) -> bool {
    timeout(BEYOND_GRACE, future).await.is_err()
}

/// Far more than any socket's buffers hold.
const LARGE: usize = 32 << 20;

/// In how many pieces a large answer is streamed; 0: it is no stream. Of no piece is it known that
/// it is the last.
const PIECES: [usize; 3] = [0, 1, 64];

fn large(pieces: usize) -> impl Handler {
    handler_fn(move |_| {
        std::future::ready(Response::new(match LARGE.checked_div(pieces) {
            None => vec![b'x'; LARGE].into(),
            Some(size) => {
                let piece = Bytes::from(vec![b'x'; size]);
                let frames = (0..pieces).map(move |_| Ok::<_, String>(Frame::data(piece.clone())));
                ResponseBody::boxed(StreamBody::new(futures_util::stream::iter(frames)))
            }
        }))
    })
}

#[tokio::test]
async fn a_large_answer_is_read_to_its_end_by_a_slow_client() {
    for pieces in PIECES {
        let (_shared, server) = serve(large(pieces)).await;
        let mut client = Raw::connect(server.local_addr().unwrap()).await;
        client.send("/").await;
        client.head().await;

        assert!(is_pending(server.drain()).await, "{pieces} pieces");
        let (rest, ()) = tokio::join!(client.rest(), within(server.drain()));
        assert_eq!(rest.iter().filter(|byte| **byte == b'x').count(), LARGE);
        assert_eq!(within(server.close(LONG)).await, 0);
    }
}

#[tokio::test]
async fn a_large_answer_is_read_to_its_end_over_http2() {
    for pieces in PIECES {
        let (_shared, server) = serve(large(pieces)).await;
        let (mut client, _connection) = http2(server.local_addr().unwrap()).await;
        let answer = within(client.send_request(get("/"))).await.unwrap();

        assert!(is_pending(server.drain()).await, "{pieces} pieces");
        let (body, ()) = tokio::join!(answer.into_body().collect(), within(server.drain()));
        assert_eq!(body.unwrap().to_bytes().len(), LARGE);
        assert_eq!(within(server.close(LONG)).await, 0);
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_flushed() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let handler = handler_fn(move |_| {
        let gate = waiting.clone();
        async move {
            gate.pass().await;
            let mut response = text("");
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    });
    let (_shared, server) = serve(handler).await;
    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    client.send("/").await;
    gate.reached().await;
    within(server.stop_intake()).await;
    gate.open();

    within(server.drain()).await;
    drop(server);
    assert!(client.head().await.starts_with("HTTP/1.1 204 "));
}
