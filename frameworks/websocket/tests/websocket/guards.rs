//! Guards and middleware, before a client is let in and around its events.

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use polyport_bootstrap::{
    Bootstrap, Context, Fault, Module, ModuleBuilder, Result,
    operation::{Answer, Ctx, Interceptor, Next, OperationExt, PeerAddr, Reply},
    testing::{TestApp, create_bootstrap},
};
use polyport_websocket::{
    Socket, WebSocketFramework, WebSocketModule,
    testing::{WebSocketClient, WebSocketConnect, WebSocketRefusal, WebSocketTest, frame_fault},
};
use serde_json::json;

use crate::support::{HANDSHAKE, Raw, address};

#[derive(Clone)]
struct User(String);

struct Room(&'static str);

fn named(context: &Context, header: &str) -> Option<String> {
    context.metadata.get(header)?.to_str().ok().map(str::to_owned)
}

/// Asked when a client connects, and at each of its events.
fn logged_in(context: &Context) -> std::result::Result<(), Fault> {
    match named(context, "authorization").as_deref() {
        Some("tom") => context.set(User("tom".to_owned())),
        Some(_) => return Err(Fault::permission_denied("NOT_YOU", "not you")),
        None => {
            let fault = Fault::unauthenticated("NO_USER", "who are you?");
            return Err(fault.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
    }
    Ok(())
}

/// Leaves something only when a client connects.
struct AtConnect;

#[async_trait]
impl Interceptor for AtConnect {
    async fn intercept(
        &self,
        context: &Context,
        next: Next<'_>,
    ) -> std::result::Result<Reply, Fault> {
        if context.operation().name() == "connect" {
            if context.metadata.contains_key("x-hangs") {
                std::future::pending::<()>().await;
            }
            if context.metadata.contains_key("x-teapot") {
                return Ok(Reply::json("a teapot").with_status(StatusCode::IM_A_TEAPOT));
            }
            context.set(Room("lobby"));
            let name = HeaderName::from_static("x-room");
            let reply = next.run(context).await?;
            return Ok(reply.with_header(name, HeaderValue::from_static("lobby")));
        }
        match context.operation().name() {
            "refusal" if context.metadata.contains_key("x-silent") => Ok(Reply::json("silence")),
            "fallback" if context.metadata.contains_key("x-silent") => Ok(Reply::json("silence")),
            _ => next.run(context).await,
        }
    }
}

async fn entered(_: Socket, Ctx(context): Ctx) -> std::result::Result<(), Fault> {
    let User(name) = context.value::<User>().expect("a guard has left it").clone();
    context.set(format!("{name} in {}", context.value::<Room>().expect("left, too").0));
    Ok(())
}

async fn place(Ctx(context): Ctx) -> std::result::Result<Answer<String>, Fault> {
    let place = context.value::<String>().expect("on_connect has left it").clone();
    context.set("a later event does not see this".to_owned());
    Ok(Answer::new(place).status(StatusCode::CREATED))
}

async fn header(Ctx(context): Ctx) -> std::result::Result<serde_json::Value, Fault> {
    let of = |name| named(&context, name);
    let limited = context.deadline.is_some();
    Ok(json!([
        of("x-user"),
        of("authorization"),
        of("x-other"),
        context.request_id.as_str(),
        limited
    ]))
}

async fn peer(socket: Socket, Ctx(context): Ctx) -> std::result::Result<bool, Fault> {
    let PeerAddr(peer) = context.extension::<PeerAddr>().expect("of every event");
    Ok(*peer == socket.peer() && peer.ip().is_loopback())
}

async fn never() -> std::result::Result<(), Fault> {
    std::future::pending().await
}

fn admins_only(_: &Context) -> std::result::Result<(), Fault> {
    Err(Fault::permission_denied("ADMINS_ONLY", "not for you"))
}

struct Guarded;

impl Module for Guarded {
    fn name(&self) -> &'static str {
        "guarded"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| {
            g.on("place", place)
                .on("header", header)
                .on("peer", peer)
                .on("never", never)
                .on("admin", header.pipeline(|p| p.guard(admins_only)))
                .on_connect(entered)
        });
        Ok(())
    }
}

async fn start() -> TestApp {
    let bootstrap = Bootstrap::new()
        .pipeline(|p| p.guard(logged_in).middleware("at-connect", AtConnect))
        .load(WebSocketFramework::new())
        .module(Guarded);
    create_bootstrap(bootstrap)
        .config("websocket.port", 0)
        .config("websocket.timeout", "0s")
        .config("websocket.handshake_timeout", "2s")
        .await
        .unwrap()
}

type Headers<'a> = &'a [(&'static str, &'a str)];

async fn connect(app: &TestApp, headers: Headers<'_>) -> WebSocketClient {
    with(app, headers).await
}

async fn refused(app: &TestApp, headers: Headers<'_>) -> WebSocketRefusal {
    with(app, headers).refused().await
}

fn with(app: &TestApp, headers: Headers<'_>) -> WebSocketConnect {
    let connect = app.websocket("/ws");
    headers.iter().fold(connect, |connect, (name, value)| connect.header(name, value))
}

#[tokio::test]
async fn a_guard_refuses_before_the_upgrade_in_the_envelope() {
    let app = start().await;
    let named = refused(&app, &[("x-request-id", "r-1")]).await;
    assert_eq!(named.headers()["x-request-id"], "r-1");
    for (headers, status, reason) in
        [(&[][..], 401, "NO_USER"), (&[("authorization", "eve")], 403, "NOT_YOU")]
    {
        let response = refused(&app, headers).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
        assert_eq!(response.fault().reason(), reason, "{response:?}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_middleware_can_answer_instead() {
    let app = start().await;
    let response = refused(&app, &[("authorization", "tom"), ("x-teapot", "1")]).await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.text(), "\"a teapot\"");
    app.close().await.unwrap();
}

#[tokio::test]
async fn events_see_what_was_left_when_the_client_connected_and_not_what_other_events_leave() {
    let app = start().await;
    let mut client = connect(&app, &[("authorization", "tom")]).await;
    for _ in 0..2 {
        assert_eq!(client.call("place", &json!(null)).await["data"], "tom in lobby");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_frames_metadata_are_the_events_but_for_kept_headers_of_the_handshake() {
    let app = start().await;
    let mut client = connect(&app, &[("authorization", "tom"), ("x-other", "1")]).await;
    let metadata = [
        ("x-user", "ann"),
        ("authorization", "eve"),
        ("x-request-id", "r-1"),
        ("x-request-timeout-ms", "5000"),
    ];
    let answer = client.call_with("header", &json!(null), &metadata).await;
    assert_eq!(answer["data"], json!(["ann", "tom", null, "r-1", true]), "{answer}");
    let answer = client.call("header", &json!(null)).await;
    assert_eq!(answer["data"][4], false, "without a timeout there is no deadline: {answer}");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_frame_says_how_long_its_sender_waits() {
    let app = start().await;
    let mut client = connect(&app, &[("authorization", "tom")]).await;
    for (timeout, reason) in
        [("20", "DEADLINE_EXCEEDED"), ("0", "DEADLINE_EXCEEDED"), ("soon", "MALFORMED_TIMEOUT")]
    {
        let metadata = [("x-request-timeout-ms", timeout)];
        let answer = client.call_with("never", &json!(null), &metadata).await;
        assert_eq!(frame_fault(&answer).expect("a fault").reason(), reason, "{answer}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_guard_of_an_event_answers_with_an_exception_and_the_connection_lives_on() {
    let app = start().await;
    let mut client = connect(&app, &[("authorization", "tom")]).await;
    let answer = client.call("admin", &json!(null)).await;
    assert_eq!(frame_fault(&answer).expect("a fault").reason(), "ADMINS_ONLY");
    assert_eq!(client.call("place", &json!(null)).await["data"], "tom in lobby");
    app.close().await.unwrap();
}

#[tokio::test]
async fn middleware_stands_around_unknown_events_too() {
    let app = start().await;
    let mut client = connect(&app, &[("authorization", "tom")]).await;
    let answer = client.call("nope", &json!(null)).await;
    let fault = frame_fault(&answer).expect("a fault");
    assert_eq!((fault.reason(), fault.message()), ("UNKNOWN_EVENT", "there is no event \"nope\""));
    let answer = client.call_with("nope", &json!(null), &[("x-silent", "1")]).await;
    assert_eq!(answer["data"], "silence");
    app.close().await.unwrap();
}

#[tokio::test]
async fn middleware_stands_around_refused_handshakes_too() {
    let app = start().await;
    let mut client = Raw::connect(address(&app)).await;
    let no_version = [HANDSHAKE[0], HANDSHAKE[1], HANDSHAKE[2]];
    for (line, headers, status) in [
        ("GET /other", &HANDSHAKE[..], 404),
        ("POST /ws", &HANDSHAKE[..], 405),
        ("GET /ws", &[][..], 426),
        ("GET /ws", &no_version[..], 426),
    ] {
        let head = client.request(line, headers).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        client.body(&head).await;
        let silent = [headers, &["X-Silent: 1"]].concat();
        let head = client.request(line, &silent).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert_eq!(client.body(&head).await, "\"silence\"");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_handshake_has_a_time_limit() {
    let app = start().await;
    let response = refused(&app, &[("authorization", "tom"), ("x-hangs", "1")]).await;
    assert_eq!(response.status(), 504);
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_event_knows_its_peer() {
    let app = start().await;
    let mut client = connect(&app, &[("authorization", "tom")]).await;
    assert_eq!(client.call("peer", &json!(null)).await["data"], true);
    app.close().await.unwrap();
}
