//! Whatever clients send, the server lives.

use polyport_websocket::testing::WebSocketTest;
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{Raw, address, masked, start, within};

#[derive(Debug, Clone)]
enum Sent {
    Text(String),
    Binary(Vec<u8>),
    Frame(u8, Vec<u8>),
    Bytes(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let event = prop_oneof![
        Just("hello".to_owned()),
        Just("nothing".to_owned()),
        Just("rooms.join".to_owned()),
        any::<String>(),
    ];
    let frame = (event, any::<String>(), any::<i64>()).prop_map(|(event, data, id)| {
        json!({ "event": event, "data": data, "id": id }).to_string()
    });
    prop_oneof![
        4 => frame.prop_map(Sent::Text),
        2 => any::<String>().prop_map(Sent::Text),
        2 => vec(any::<u8>(), 0..200).prop_map(Sent::Binary),
        1 => (any::<u8>(), vec(any::<u8>(), 0..125)).prop_map(|(first, data)| Sent::Frame(first, data)),
        1 => vec(any::<u8>(), 0..50).prop_map(Sent::Bytes),
    ]
}

/// A message as a client sends it, of any length.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    if payload.len() < 126 {
        return masked(first, payload);
    }
    let mut frame = vec![first, 0xfe];
    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

fn bytes(sent: &Sent) -> Vec<u8> {
    match sent {
        Sent::Text(text) => frame(0x81, text.as_bytes()),
        Sent::Binary(bytes) => frame(0x82, bytes),
        Sent::Frame(first, payload) => frame(*first, payload),
        Sent::Bytes(bytes) => bytes.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_of_a_client_harm_the_others() {
    let (app, _) = start().await;
    let mut runner = TestRunner::deterministic();
    let strategy = vec(sent(), 1..20);
    let mut witness = app.websocket("/ws").await;
    for _ in 0..200 {
        let messages = strategy.new_tree(&mut runner).unwrap().current();
        let mut client = Raw::connect(address(&app)).await;
        client.upgrade().await;
        for message in &messages {
            if client.0.write_all(&bytes(message)).await.is_err() {
                break;
            }
        }
        // The connection ends, with a close frame or by the client's own end.
        let _ = client.0.shutdown().await;
        let mut rest = Vec::new();
        let _ = within(tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest)).await;
        assert_eq!(witness.call("nothing", &()).await["event"], "nothing", "after {messages:?}");
    }
    witness.close().await;
    within(app.close()).await.unwrap();
}
