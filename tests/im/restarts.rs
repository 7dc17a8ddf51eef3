//! Restarts behind sockets that outlive each process, under constant load on all protocols at once.

use std::{
    collections::HashSet,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    process::{Folder, Program, example_path},
    support::{rabbitmq_vhost, unique},
    under_load::{Calls, http, journal},
};

/// How often the process is restarted; 200 is what was measured.
const RESTARTS: &str = "POLYPORT_TEST_RESTARTS";
const FEW: usize = 3;
/// How many calls each protocol has answered before the next restart.
const BETWEEN: usize = 10;
const CLIENTS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

/// The two sockets that a service manager would hold.
struct Sockets {
    http: TcpListener,
    grpc: TcpListener,
}

impl Sockets {
    fn listen() -> Self {
        let [http, grpc] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("is free"));
        Self { http, grpc }
    }

    /// Starts a process that is handed the sockets, and waits until it is ready.
    fn activate(&self, variables: &[(&str, &str)]) -> Program {
        let hand_over = |socket: &TcpListener| {
            Stdio::from(OwnedFd::from(socket.try_clone().expect("can be handed over")))
        };
        let mut command = Command::new("sh");
        let script = "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ exec \"$0\"";
        command.args(["-c", script]).arg(example_path("slow"));
        command.stdin(hand_over(&self.http)).stdout(hand_over(&self.grpc));
        command.envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "http:grpc")]);
        let program = Program::run(command, "slow", variables);
        program.unwrap_or_else(|(status, said)| panic!("{status}: {said}"))
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [&self.http, &self.grpc].map(|socket| socket.local_addr().expect("is bound"))
    }
}

/// What the clients of one protocol have in common.
#[derive(Clone)]
struct Load {
    calls: Calls,
    stop: Arc<AtomicBool>,
    /// Calls that were told to come again: nothing of them was begun.
    refused: Arc<AtomicUsize>,
}

impl Load {
    fn new(protocol: &'static str, stop: &Arc<AtomicBool>) -> Self {
        Self { calls: Calls::new(protocol), stop: Arc::clone(stop), refused: Arc::default() }
    }

    /// The name of a further call; none at the end.
    fn next(&self) -> Option<String> {
        (!self.stop.load(Ordering::SeqCst)).then(|| self.calls.next())
    }

    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn answered(&self) -> usize {
        self.calls.answered.lock().expect("no panic").len()
    }
}

/// Every request on a connection of its own.
async fn load_http(address: SocketAddr, load: Load) {
    while let Some(name) = load.next() {
        let body = json!({ "name": name }).to_string();
        let reply = http(address, "POST /work", &body).await.expect("no connection is refused");
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(&name), "{name}: {reply:?}");
        load.calls.answered(&name);
    }
}

/// Every request on the same connection, until an answer says that it is the last one.
async fn load_kept_alive(address: SocketAddr, load: Load) {
    let mut kept: Option<TcpStream> = None;
    while let Some(name) = load.next() {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => TcpStream::connect(address).await.expect("no connection is refused"),
        };
        let body = json!({ "name": name }).to_string();
        let head = "POST /work HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.expect("an open connection is read");
        let reply = read_answer(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(&name), "{name}: {reply:?}");
        load.calls.answered(&name);
        kept = (!reply.to_ascii_lowercase().contains("connection: close")).then_some(stream);
    }
}

/// One answer, with the body that its head announces.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).await.expect("is answered");
        answer.push_str(std::str::from_utf8(&bytes[..read]).expect("is text"));
        let length = answer.split_once("\r\n\r\n").map(|(head, body)| {
            let lengths = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths =
                lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = lengths.next().map_or(0, |(_, length)| length.parse().expect("a number"));
            body.len() >= length
        });
        if read == 0 || length == Some(true) {
            return answer;
        }
    }
}

/// On one socket until the process says that it goes away, then on another.
async fn load_websocket(address: SocketAddr, load: Load) {
    let url = format!("ws://{address}/ws");
    while !load.stop.load(Ordering::SeqCst) {
        let connected = tokio_tungstenite::connect_async(&url).await;
        let (mut socket, _) = connected.expect("no connection is refused");
        while let Some(name) = load.next() {
            let event = json!({ "event": "work", "data": { "name": name }, "id": name });
            // One that ends before the event was sent tells why.
            let _ = socket.send(Message::text(event.to_string())).await;
            let answer = match socket.next().await {
                // The process is stopping: the close frame is next.
                Some(Ok(Message::Text(text))) if text.contains("ERR50300") => socket.next().await,
                answer => answer,
            };
            match answer {
                Some(Ok(Message::Text(text))) => {
                    assert!(text.contains(&name), "{name}: {text}");
                    load.calls.answered(&name);
                }
                Some(Ok(Message::Close(frame))) => {
                    assert_eq!(frame.map(|frame| frame.code.into()), Some(1001_u16));
                    load.refused();
                    break;
                }
                other => panic!("{name}: neither an answer nor a close frame: {other:?}"),
            }
        }
    }
}

/// On one channel, which connects anew by itself.
async fn load_grpc(address: SocketAddr, load: Load) {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let channel = endpoint.expect("a URL").connect().await.expect("no connection is refused");
    let mut greeter = GreeterClient::new(channel);
    while let Some(name) = load.next() {
        match greeter.say_hello(HelloRequest { name: name.clone() }).await {
            Ok(reply) => {
                assert_eq!(reply.into_inner().message, name);
                load.calls.answered(&name);
            }
            // The client's own words for a connection that ended before the call was sent; it calls
            // a GOAWAY an internal error. That nothing was begun is looked up in the end.
            Err(status) => {
                let codes = [tonic::Code::Unavailable, tonic::Code::Cancelled];
                let is_goaway = status.message().starts_with("h2 protocol error");
                assert!(is_goaway || codes.contains(&status.code()), "{name}: {status:?}");
                load.refused();
            }
        }
    }
}

/// Publishes confirmed requests, one after the other, and collects their replies.
async fn load_amqp(url: String, load: Load) {
    let connection = Connection::connect(&url, ConnectionProperties::default()).await;
    let connection = connection.expect("connects");
    let channel = connection.create_channel().await.expect("opens");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("is set");
    let replies = format!("replies-{}", unique());
    let options = QueueDeclareOptions::durable();
    let declared = channel.queue_declare(replies.as_str().into(), options, FieldTable::default());
    declared.await.expect("declares");
    let is_last = Arc::new(AtomicBool::new(false));
    let collect = collect(channel.clone(), replies.clone(), load.clone(), Arc::clone(&is_last));
    let collecting = tokio::spawn(collect);
    while let Some(name) = load.next() {
        publish(&channel, &replies, &name).await;
    }
    let last = load.calls.next();
    is_last.store(true, Ordering::SeqCst);
    publish(&channel, &replies, &last).await;
    timeout(PATIENCE, collecting).await.expect("every message is answered").expect("no panic");
    connection.close(200, "done".into()).await.expect("closes");
}

async fn publish(channel: &Channel, replies: &str, name: &str) {
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_reply_to(replies.into())
        .with_correlation_id(name.into());
    let body = json!({ "name": name }).to_string();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publish =
        channel.basic_publish("".into(), "slow.work".into(), options, body.as_bytes(), properties);
    let confirmed = publish.await.expect("publishes").await.expect("is confirmed");
    assert!(confirmed.is_ack() && confirmed.take_message().is_none(), "{name} is not taken");
}

/// Notes every reply until the last message is begun and all are answered.
async fn collect(channel: Channel, replies: String, load: Load, is_last: Arc<AtomicBool>) {
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let replies = replies.as_str().into();
    let consumer = channel.basic_consume(replies, "".into(), options, FieldTable::default()).await;
    let mut consumer = consumer.expect("consumes");
    while let Some(delivery) = consumer.next().await {
        let properties = delivery.expect("arrives").properties;
        load.calls.answered(properties.correlation_id().as_ref().expect("is echoed").as_str());
        let is_last = is_last.load(Ordering::SeqCst);
        if is_last && load.answered() == load.calls.begun.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Waits until each protocol has answered some calls.
async fn until_served(loads: &[Load]) {
    let before: Vec<_> = loads.iter().map(Load::answered).collect();
    let served = || loads.iter().zip(&before).all(|(load, seen)| load.answered() >= seen + BETWEEN);
    let mut check = tokio::time::interval(Duration::from_millis(5));
    while !served() {
        check.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_on_all_protocols_refuse_nobody_and_lose_nothing() {
    let Some(url) = rabbitmq_vhost() else { return };
    let count = std::env::var(RESTARTS).map_or(FEW, |count| count.parse().expect("a number"));
    let folder = Folder::new();
    let path = folder.file("journal");
    let variables = [
        ("POLYPORT__AMQP__URL", url.as_str()),
        ("POLYPORT__SLOW__JOURNAL", path.as_str()),
        ("POLYPORT__SLOW__MILLIS", "5"),
    ];
    let sockets = Sockets::listen();
    let [http, grpc] = sockets.addresses();
    let stop = Arc::new(AtomicBool::new(false));
    let loads = ["http", "kept", "websocket", "grpc", "amqp"].map(|name| Load::new(name, &stop));
    let [own, kept, websocket, calls, messages] = loads.clone();

    let mut program = sockets.activate(&variables);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(load_http(http, own.clone()));
        clients.spawn(load_kept_alive(http, kept.clone()));
        clients.spawn(load_websocket(http, websocket.clone()));
        clients.spawn(load_grpc(grpc, calls.clone()));
    }
    clients.spawn(load_amqp(url.clone(), messages));
    let began = Instant::now();
    for restart in 1..=count {
        let served = timeout(PATIENCE, until_served(&loads));
        tokio::select! {
            served = served => served.expect("every protocol is served"),
            Some(ended) = clients.join_next() => panic!("restart {restart}: {ended:?}"),
        }
        program.signal("-TERM");
        let (status, said) = timeout(PATIENCE, program.end()).await.expect("ends");
        assert_eq!(status.code(), Some(0), "restart {restart}: {said}");
        program = sockets.activate(&variables);
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = timeout(PATIENCE, clients.join_next()).await.expect("all end") {
        ended.expect("no client saw anything but answers and an orderly end");
    }
    program.signal("-TERM");
    let (status, said) = timeout(PATIENCE, program.end()).await.expect("ends");
    assert_eq!(status.code(), Some(0), "{said}");
    assert_nothing_was_lost(&loads, &journal(Path::new(&path)));
    tell(&loads, count, began.elapsed());
}

/// Whatever was begun was answered, and once.
fn assert_nothing_was_lost(loads: &[Load], begun: &[String]) {
    let once: HashSet<_> = begun.iter().collect();
    assert_eq!(once.len(), begun.len(), "nothing was done twice");
    for load in loads {
        let answered = load.calls.answered.lock().expect("no panic");
        let own = |name: &&String| name.split('-').next() == Some(load.calls.protocol);
        let lost: Vec<_> =
            begun.iter().filter(own).filter(|name| !answered.contains(*name)).collect();
        assert!(lost.is_empty(), "begun and never answered: {lost:?}");
    }
}

fn tell(loads: &[Load], restarts: usize, took: Duration) {
    for load in loads {
        let (protocol, refused) = (load.calls.protocol, load.refused.load(Ordering::SeqCst));
        let answered = load.answered();
        eprintln!("{protocol}: {answered} answered, {refused} told to come again, 0 lost");
    }
    eprintln!("{restarts} restarts in {took:?}");
}
