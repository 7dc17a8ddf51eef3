//! Stops of a process that many clients use.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    process::{Folder, Program},
    support::{rabbitmq_vhost, unique},
};

/// One HTTP request on a connection of its own. `None` where the connection was refused.
pub(crate) async fn http(address: SocketAddr, line: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("a connection that was accepted is read");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("a connection that was accepted is answered");
    Some(reply)
}

/// Names of calls: which were answered, and how many are under way.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) protocol: &'static str,
    pub(crate) answered: Arc<std::sync::Mutex<HashSet<String>>>,
    pub(crate) begun: Arc<AtomicUsize>,
}

impl Calls {
    pub(crate) fn new(protocol: &'static str) -> Self {
        Self { protocol, answered: Arc::default(), begun: Arc::default() }
    }

    pub(crate) fn next(&self) -> String {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        format!("{}-{number}", self.protocol)
    }

    pub(crate) fn answered(&self, name: &str) {
        let new = self.answered.lock().expect("no panic").insert(name.to_owned());
        assert!(new, "{name} was answered twice");
    }
}

async fn load_http(address: SocketAddr, calls: Calls) {
    loop {
        let name = calls.next();
        let body = json!({ "name": name }).to_string();
        let Some(reply) = http(address, "POST /work", &body).await else { return };
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(&name), "{reply}");
        calls.answered(&name);
    }
}

async fn load_websocket(address: SocketAddr, calls: Calls) {
    let url = format!("ws://{address}/ws");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("connects");
    loop {
        let name = calls.next();
        let event = json!({ "event": "work", "data": { "name": name }, "id": name }).to_string();
        if socket.send(Message::text(event)).await.is_err() {
            return;
        }
        match socket.next().await {
            // What is sent after the stop has begun is refused, and not begun.
            Some(Ok(Message::Text(text))) if text.contains("exception") => {
                assert!(text.contains(&name) && text.contains("ERR50300"), "{text}");
            }
            Some(Ok(Message::Text(text))) => {
                assert!(text.contains(&name), "{text}");
                calls.answered(&name);
            }
            Some(Ok(Message::Close(frame))) => {
                assert_eq!(frame.map(|frame| frame.code.into()), Some(1001_u16));
                return;
            }
            other => panic!("neither an answer nor a close frame: {other:?}"),
        }
    }
}

async fn load_grpc(address: SocketAddr, calls: Calls) {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let channel = endpoint.expect("a URL").connect().await.expect("connects");
    let mut greeter = GreeterClient::new(channel);
    loop {
        let name = calls.next();
        match greeter.say_hello(HelloRequest { name: name.clone() }).await {
            Ok(reply) => {
                assert_eq!(reply.into_inner().message, name);
                calls.answered(&name);
            }
            // The client's own words for a connection that ended before the call was sent.
            Err(status) => {
                let codes = [tonic::Code::Unavailable, tonic::Code::Cancelled];
                // It calls a GOAWAY an internal error.
                let is_goaway = status.code() == tonic::Code::Internal
                    && status.message().starts_with("h2 protocol error");
                assert!(is_goaway || codes.contains(&status.code()), "{status:?}");
                return;
            }
        }
    }
}

/// Publishes `count` requests and notes every reply until the channel is closed.
async fn load_amqp(url: &str, count: usize, calls: Calls) -> (Connection, lapin::Channel, String) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("connects");
    let channel = connection.create_channel().await.expect("opens");
    let replies = format!("replies-{}", unique());
    let options = QueueDeclareOptions::durable();
    let declared = channel.queue_declare(replies.as_str().into(), options, FieldTable::default());
    declared.await.expect("declares");
    for _ in 0..count {
        let name = calls.next();
        let properties = BasicProperties::default()
            .with_reply_to(replies.as_str().into())
            .with_correlation_id(name.as_str().into());
        let body = json!({ "name": name }).to_string();
        let options = BasicPublishOptions::default();
        let publish = channel.basic_publish(
            "".into(),
            "slow.work".into(),
            options,
            body.as_bytes(),
            properties,
        );
        publish.await.expect("publishes").await.expect("is sent");
    }
    (connection, channel, replies)
}

async fn queue_depth(channel: &lapin::Channel, queue: &str) -> u32 {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
    declared.expect("exists").message_count()
}

pub(crate) fn journal(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const REQUESTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_call_on_any_protocol() {
    let Some(url) = rabbitmq_vhost() else { return };
    let folder = Folder::new();
    let path = folder.file("journal");
    let journal_path = path.as_str();
    let slow = Program::start(
        "slow",
        &[
            ("POLYPORT__AMQP__URL", url.as_str()),
            ("POLYPORT__SLOW__JOURNAL", journal_path),
            ("POLYPORT__SLOW__MILLIS", "300"),
        ],
    );
    let slow = slow.unwrap_or_else(|(status, said)| panic!("{status}: {said}"));

    let [http, websocket, grpc, amqp] = ["http", "websocket", "grpc", "amqp"].map(Calls::new);
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..8 {
        load.spawn(load_http(slow.address("http"), http.clone()));
        load.spawn(load_websocket(slow.address("http"), websocket.clone()));
        load.spawn(load_grpc(slow.address("grpc"), grpc.clone()));
    }
    let (connection, channel, replies) = load_amqp(&url, REQUESTS, amqp.clone()).await;

    // Every protocol has answered calls, and has further ones in flight.
    let in_the_middle = || {
        let begun = journal(Path::new(&path));
        ["http", "websocket", "grpc", "amqp"]
            .iter()
            .all(|protocol| begun.iter().filter(|name| name.starts_with(protocol)).count() > 20)
    };
    let mut check = tokio::time::interval(Duration::from_millis(20));
    while !in_the_middle() {
        check.tick().await;
    }
    slow.signal("-TERM");
    let (status, said) = slow.end().await;
    assert_eq!(status.code(), Some(0), "{said}");
    while let Some(ended) = load.join_next().await {
        ended.expect("no client saw anything but answers and an orderly end");
    }

    let left = queue_depth(&channel, "slow.work").await;
    let replied = queue_depth(&channel, &replies).await;
    let consumer = channel
        .basic_consume(
            replies.as_str().into(),
            "".into(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        )
        .await
        .expect("consumes");
    let deliveries = consumer.take(replied as usize);
    let deliveries: Vec<_> = deliveries.collect().await;
    for delivery in deliveries {
        let properties = delivery.expect("arrives").properties;
        amqp.answered(properties.correlation_id().as_ref().expect("is echoed").as_str());
    }
    assert_eq!(
        left as usize + replied as usize,
        REQUESTS,
        "every message is answered or still there"
    );
    connection.close(200, "done".into()).await.expect("closes");

    let begun = journal(Path::new(&path));
    for calls in [http, websocket, grpc, amqp] {
        let answered = calls.answered.lock().expect("no panic").clone();
        let lost: Vec<_> = begun
            .iter()
            .filter(|name| name.starts_with(calls.protocol) && !answered.contains(*name))
            .collect();
        assert!(lost.is_empty(), "begun and never answered: {lost:?}");
        assert!(answered.len() > 8, "{}: {}", calls.protocol, answered.len());
    }
    let once: HashSet<_> = begun.iter().collect();
    assert_eq!(once.len(), begun.len(), "nothing was done twice");
}
