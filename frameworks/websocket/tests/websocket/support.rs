//! An application to test, and clients that say what no proper client would.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use garde::Validate;
use polyport_bootstrap::{
    Application, Bootstrap, Fault, Module, ModuleBuilder, Result,
    operation::{Inject, Input},
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use polyport_websocket::{Socket, WebSocketApp, WebSocketFramework, WebSocketModule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Notify, Semaphore},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Longer than anything here may take; a test that reaches it has failed.
pub const LONG: Duration = Duration::from_secs(10);

pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("hangs")
}

/// Waits until what can only be looked at is so.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let looked = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, looked).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// An operation says that it has begun and waits to be let go on.
pub struct Gate {
    reached: Semaphore,
    open: Notify,
}

impl Gate {
    pub async fn reached(&self) {
        within(self.reached.acquire()).await.unwrap().forget();
    }

    pub fn open(&self) {
        self.open.notify_one();
    }

    pub async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.notified().await;
    }
}

pub struct Chat(pub Arc<Gate>);

impl Chat {
    pub fn new() -> Self {
        Self(Arc::new(Gate { reached: Semaphore::new(0), open: Notify::new() }))
    }
}

#[derive(Deserialize, Validate)]
pub struct Hello {
    #[garde(length(min = 1))]
    name: String,
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct GetUser {
    #[garde(length(min = 1))]
    user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    user_id: String,
    age: u32,
}

#[derive(Deserialize, Validate)]
pub struct Room {
    #[garde(length(min = 1))]
    room: String,
}

#[derive(Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct Say {
    room: String,
    text: String,
}

/// Data that is a number and nothing else.
#[derive(Deserialize, Validate)]
#[serde(transparent)]
pub struct Number(#[garde(skip)] pub u32);

/// Data that is a text and nothing else.
#[derive(Deserialize, Validate)]
#[serde(transparent)]
pub struct Text(#[garde(skip)] pub String);

async fn hello(Input(hello): Input<Hello>) -> Result<String, Fault> {
    Ok(format!("hello, {}", hello.name))
}

async fn get_user(Input(query): Input<GetUser>) -> Result<User, Fault> {
    match query.user_id.as_str() {
        "tom" => Ok(User { user_id: query.user_id, age: 10 }),
        _ => Err(Fault::not_found("USER_NOT_FOUND", "no such user")),
    }
}

async fn slow(Inject(gate): Inject<Gate>) -> Result<&'static str, Fault> {
    gate.pass().await;
    Ok("done")
}

async fn nothing() -> Result<(), Fault> {
    Ok(())
}

async fn panics() -> Result<(), Fault> {
    panic!("on purpose")
}

async fn join(socket: Socket, Input(room): Input<Room>) -> Result<(), Fault> {
    socket.join(&room.room);
    Ok(())
}

async fn leave(socket: Socket, Input(room): Input<Room>) -> Result<(), Fault> {
    socket.leave(&room.room);
    Ok(())
}

/// To all in the room but whoever says it.
async fn say(
    socket: Socket,
    polyport_bootstrap::operation::App(app): polyport_bootstrap::operation::App<WebSocketApp>,
    Input(say): Input<Say>,
) -> Result<usize, Fault> {
    Ok(app.room(&say.room).except(socket.id()).emit("message", &json!({ "text": say.text }))?)
}

async fn kick(socket: Socket) -> Result<&'static str, Fault> {
    socket.send_event("bye", &"you were kicked")?;
    socket.close(4001, "kicked");
    assert!(socket.send_event("late", &1).is_err());
    Ok("nobody reads this")
}

impl Module for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0)).websocket(|g| {
            g.on("hello", hello)
                .on("users.get", get_user)
                .on("slow", slow)
                .on("nothing", nothing)
                .on("panics", panics)
                .on("rooms.join", join)
                .on("rooms.leave", leave)
                .on("say", say)
                .on("kick", kick)
        });
        Ok(())
    }
}

/// An application on a port of its own, in the `return-code` envelope.
pub fn chat(module: impl Module) -> TestBootstrap {
    create_bootstrap(Bootstrap::new().load(WebSocketFramework::new()).module(module))
        .config("websocket.port", 0)
        .config("websocket.envelope", "return-code")
}

pub async fn start() -> (TestApp, Arc<Gate>) {
    let module = Chat::new();
    let gate = Arc::clone(&module.0);
    (chat(module).await.unwrap(), gate)
}

pub fn websocket(app: &TestApp) -> WebSocketApp {
    app.app::<WebSocketApp>().unwrap()
}

pub fn address(app: &TestApp) -> SocketAddr {
    let url = websocket(app).url().unwrap();
    url.trim_start_matches("ws://").split('/').next().unwrap().parse().unwrap()
}

pub fn answer(event: &str, id: u64, data: Value) -> Value {
    json!({ "event": event, "id": id, "data": { "returnCode": "SUC00000", "data": data } })
}

/// tungstenite's own client, for messages that the test client hides.
pub type Plain = WebSocketStream<TcpStream>;

pub async fn plain(app: &TestApp) -> Plain {
    over(TcpStream::connect(address(app)).await.unwrap(), app).await
}

/// A client whose system takes in little before it reads.
pub async fn narrow(app: &TestApp) -> Plain {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    over(socket.connect(address(app)).await.unwrap(), app).await
}

async fn over(stream: TcpStream, app: &TestApp) -> Plain {
    let url = websocket(app).url().unwrap();
    within(client_async(url, stream)).await.unwrap().0
}

pub async fn send(client: &mut Plain, message: Message) {
    within(client.send(message)).await.unwrap();
}

/// The next message; none at the end of the connection.
pub async fn receive(client: &mut Plain) -> Option<Message> {
    within(client.next()).await.and_then(Result::ok)
}

pub async fn receive_json(client: &mut Plain) -> Value {
    loop {
        match receive(client).await {
            Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            other => panic!("no text, but {other:?}"),
        }
    }
}

/// Reads to the end, and gives the code of the server's close frame.
pub async fn close_code(client: &mut Plain) -> Option<u16> {
    let mut code = None;
    while let Some(message) = receive(client).await {
        if let Message::Close(Some(frame)) = message {
            code = Some(frame.code.into());
        }
    }
    code
}

/// A bare socket.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.unwrap())
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// A request with these further header lines, and the head of its answer in lower case.
    pub async fn request(&mut self, line: &str, headers: &[&str]) -> String {
        let mut request = format!("{line} HTTP/1.1\r\nHost: test\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        self.write(request + "\r\n").await;
        self.head().await
    }

    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.expect("ended in the head"));
        }
        String::from_utf8(head).unwrap().to_lowercase()
    }

    pub async fn body(&mut self, head: &str) -> String {
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        within(self.0.read_exact(&mut body)).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    pub async fn upgrade(&mut self) {
        let head = self.request("GET /ws", &HANDSHAKE).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
    }

    /// So many bytes.
    pub async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        within(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// What still comes until the server ends the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.unwrap();
        rest
    }
}

/// The headers of RFC 6455, section 1.2.
pub const HANDSHAKE: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A frame of a client: masked, with a mask of zeros.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}
