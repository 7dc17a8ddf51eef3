//! What peers do to a process that stops, and what becomes of them.
//!
//! Other frameworks of this kind were measured before this one was written. Each case in which one
//! of them was wrong has a test on a real process here; those without a file are in this one.
//!
//! | Midway 3.20 is wrong where | tests |
//! |---|---|
//! | the start throws | `start`: `an_error_at_any_stage_rolls_back_and_names_its_place`, `a_panic_at_any_stage_…` |
//! | one stop hook throws | `stop`: `an_error_at_any_stage_of_the_stop_skips_nobody_…`, `a_panic_at_any_stage_of_the_stop_…`, `all_errors_of_a_stop_are_in_its_report` |
//! | SIGTERM comes during the start | `start`: `sigterm_at_any_stage_cancels_the_start` |
//! | a stop hangs | `stop`: `whoever_hangs_at_any_stage_of_the_stop_…`, `a_handler_that_never_returns_…`; `blocked`: `a_framework_that_blocks_its_thread_in_the_stop_…` |
//! | a port is in use | `start`: `ports_in_use_are_told_together_…`, `a_port_in_use_is_told_beside_…` |
//! | an HTTP request is in flight at SIGTERM | `a_request_in_flight_is_answered_…` |
//! | a WebSocket is open at SIGTERM | `an_open_websocket_is_told_1001_…`; `idle` |
//! | a gRPC call is in flight at SIGTERM | `a_grpc_call_in_flight_is_answered` |
//! | many ask for one singleton at once | `faults`: `a_singleton_that_many_ask_for_at_once_is_built_once` |
//! | a WebSocket guard refuses | `faults`: `a_websocket_client_that_a_guard_refuses_is_told_…` |
//! | a WebSocket handler throws | `faults`: `a_websocket_client_hears_of_faults_panics_guards_and_unknown_events` |
//! | a gRPC guard refuses | `faults`: `a_grpc_client_hears_at_once_of_faults_panics_and_guards` |
//! | a RabbitMQ guard refuses | `messages`: `a_message_that_ends_in_a_fault_a_panic_or_a_guard_is_parked_…` |
//! | the entry of `createBootstrap` fails | `test_runner`, all of it |
//!
//! | Nest 11 and 12 are wrong where | tests |
//! |---|---|
//! | one part is served before all are ready | `start`: `nothing_is_served_before_on_ready_has_finished`; `messages`: `no_message_is_taken_before_on_ready_…` |
//! | a stop closes the pool under its users | `a_request_in_flight_is_answered_and_the_pool_is_open_to_its_end`, `an_open_websocket_…`, `a_grpc_call_in_flight_…` |
//! | a connection is idle at the stop | `silent_half_sent_and_idle_connections_do_not_hold_the_stop`; `idle` |
//! | a WebSocket is open at the stop | `an_open_websocket_is_told_1001_…`; `idle` |
//! | a handler throws, a guard refuses, an event is unknown | `faults`: `a_websocket_client_hears_of_faults_panics_guards_and_unknown_events` |
//! | a RabbitMQ handler throws | `messages`: `a_message_that_ends_in_a_fault_a_panic_or_a_guard_is_parked_…` |
//! | the stop comes during a handler | `messages`: `messages_in_flight_at_the_stop_are_finished_once_…`; the three calls in flight; `im::under_load` |
//! | 5,000 messages wait | `messages`: `five_thousand_messages_are_handled_sixteen_at_once_by_default` |
//! | a message has no envelope of its own | `messages`: `a_message_without_header_property_or_envelope_is_handled` |
//! | the broker is down at the start | `faults`: `a_broker_that_is_down_at_the_start_is_named_…`; `broker`, all of it |
//! | a second SIGTERM comes | `stop`: `a_second_signal_at_any_stage_of_the_stop_…`; `signals`: `a_second_signal_says_what_it_has_cut` |

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
use tokio_tungstenite::tungstenite::Message;

use crate::program::{Program, answer, call, connect, within};

/// How long a stop with nothing to wait for may take.
const SOON: Duration = Duration::from_secs(8);

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
            async move { greeter.say_hello(HelloRequest { name: "2500".to_owned() }).await },
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
