//! What peers do to a process that stops, and what becomes of them.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
use tokio_tungstenite::tungstenite::Message;

use crate::program::{Program, answer, call, connect, within};

/// How long a stop with nothing to wait for may take.
const SOON: Duration = Duration::from_secs(3);

#[test]
fn a_request_in_flight_is_answered_and_the_pool_is_open_to_its_end() {
    let mut program = Program::start(&[]);
    let http = program.ready().of("http");
    let slow = call(http, "700");
    program.until_journal("work");
    program.signal("-TERM");
    program.until_journal("drain");
    let answered = answer(slow);
    assert!(
        answered.starts_with("HTTP/1.1 200") && answered.contains("pool open: true"),
        "{answered}"
    );
    program.end().assert_code(0);
}

#[test]
fn silent_half_sent_and_idle_connections_do_not_hold_the_stop() {
    let mut program = Program::start(&[]);
    let http = program.ready().of("http");
    let silent = connect(http);
    let mut half = connect(http);
    half.write_all(b"POST /work HTTP/1.1\r\nhost:").expect("is sent");
    let mut idle = connect(http);
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").expect("is sent");
    let mut answered = [0; 12];
    idle.read_exact(&mut answered).expect("is answered");
    assert_eq!(&answered, b"HTTP/1.1 200");
    // Speaks HTTP/2, and then neither reads nor writes.
    let mut http2 = connect(http);
    http2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("is sent");
    http2.read_exact(&mut answered[..9]).expect("answers with its settings");
    let began = Instant::now();
    program.stop().assert_code(0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop((silent, half, idle, http2));
}

#[test]
fn a_client_that_holds_half_a_body_is_cut_at_the_drain_deadline_and_named() {
    let mut program = Program::start(&[("POLYPORT__SHUTDOWN__DRAIN", "500ms")]);
    let http = program.ready().of("http");
    let mut half = connect(http);
    half.write_all(
        b"POST /work HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n",
    )
    .expect("is sent");
    // The server asks for the body when it reads it: then the call has begun.
    let mut asked = [0; 12];
    half.read_exact(&mut asked).expect("is asked for");
    assert_eq!(&asked, b"HTTP/1.1 100");
    half.write_all(b"{\"na").expect("is sent");
    let began = Instant::now();
    let ended = program.stop();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    ended.assert_code(75);
    ended.assert_says(
        "framework http: 1 call was cut, not finished after 500ms: work (POST /work): 1",
    );
    ended.assert_says("the client of 1 does not finish its request");
    assert_eq!(ended.count("dispose"), 1);
}

#[test]
fn a_client_that_does_not_read_its_answer_is_cut_at_the_drain_deadline_and_named() {
    let mut program = Program::start(&[("POLYPORT__SHUTDOWN__DRAIN", "500ms")]);
    let http = program.ready().of("http");
    let mut lazy = connect(http);
    lazy.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").expect("is sent");
    let mut begun = [0; 12];
    lazy.read_exact(&mut begun).expect("begins");
    let began = Instant::now();
    let ended = program.stop();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    ended.assert_code(75);
    let own = lazy.local_addr().expect("is connected");
    ended.assert_says(&format!(
        "1 call was cut, not finished after 500ms: {own} does not read its answer"
    ));
}

#[tokio::test]
async fn an_open_websocket_is_told_1001_and_does_not_hold_the_stop() {
    let mut program = Program::start(&[]);
    let http = program.ready().of("http");
    let url = format!("ws://{http}/ws");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("connects");
    let event = r#"{"event":"work","data":{"name":"300"},"id":1}"#;
    socket.send(Message::text(event)).await.expect("is sent");
    program.until_journal("work");
    program.signal("-TERM");
    let began = Instant::now();
    let mut closed = None;
    let mut answered = false;
    while let Some(Ok(message)) = within(socket.next()).await {
        match message {
            Message::Text(text) => answered |= text.contains("pool open: true"),
            Message::Close(frame) => closed = frame.map(|frame| u16::from(frame.code)),
            _ => {}
        }
    }
    assert_eq!((answered, closed), (true, Some(1001)));
    program.end().assert_code(0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_grpc_call_in_flight_is_answered() {
    let mut program = Program::start(&[]);
    let grpc = program.ready().of("grpc");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{grpc}"));
    let channel = endpoint.expect("a URL").connect().await.expect("connects");
    let mut greeter = GreeterClient::new(channel);
    let call =
        tokio::spawn(
            async move { greeter.say_hello(HelloRequest { name: "700".to_owned() }).await },
        );
    let program = tokio::task::spawn_blocking(move || {
        program.until_journal("work");
        program.signal("-TERM");
        program
    });
    let program = program.await.expect("no panic");
    let reply = within(call).await.expect("no panic").expect("is answered");
    assert_eq!(reply.into_inner().message, "pool open: true");
    program.end().assert_code(0);
}
