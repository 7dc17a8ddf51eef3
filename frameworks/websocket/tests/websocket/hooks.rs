//! Operations that are called when a connection begins and ends.

use std::sync::{Arc, Mutex};

use garde::Validate;
use polyport_bootstrap::{
    Fault, Module, ModuleBuilder, Result,
    operation::{Ctx, Inject, Input},
};
use polyport_websocket::{
    Closed, Socket, WebSocketModule,
    testing::{Received, WebSocketTest},
};
use serde::Deserialize;
use serde_json::json;

use crate::support::{chat, eventually, websocket};

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Deserialize, Validate)]
struct Login {
    #[garde(length(min = 1))]
    name: String,
}

async fn enter(
    socket: Socket,
    Ctx(context): Ctx,
    Inject(log): Inject<Log>,
    Input(login): Input<Login>,
) -> Result<(), Fault> {
    let host = context.metadata.get("host").is_some();
    log.add(format!("{} enters, host: {host}", login.name));
    if login.name == "eve" {
        return Err(Fault::permission_denied("NOT_YOU", "not you"));
    }
    socket.join("all");
    socket.send_event("welcome", &login.name)?;
    Ok(())
}

async fn exit(socket: Socket, closed: Closed, Inject(log): Inject<Log>) -> Result<(), Fault> {
    log.add(format!("{} left {:?}", closed.code, socket.rooms()));
    Ok(())
}

async fn ping() -> Result<&'static str, Fault> {
    Ok("pong")
}

struct Door(Arc<Log>);

impl Module for Door {
    fn name(&self) -> &'static str {
        "door"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0));
        m.websocket(|g| g.on("ping", ping).on_connect(enter).on_disconnect(exit));
        Ok(())
    }
}

#[tokio::test]
async fn hooks_see_the_query_the_headers_and_the_end() {
    let log = Arc::new(Log::default());
    let app = chat(Door(Arc::clone(&log))).await.unwrap();
    let mut tom = app.websocket("/ws?name=tom").await;
    assert_eq!(tom.next().await, Received::Frame(json!({ "event": "welcome", "data": "tom" })));
    assert_eq!(websocket(&app).members("all").len(), 1);
    tom.close().await;
    eventually("both are called", || log.lines().len() == 2).await;
    let ann = app.websocket("/ws?name=ann").await;
    eventually("ann has entered", || log.lines().len() == 3).await;
    drop(ann);
    eventually("ann has left", || log.lines().len() == 4).await;
    assert_eq!(
        log.lines(),
        [
            "tom enters, host: true",
            "1000 left [\"all\"]",
            "ann enters, host: true",
            "1006 left [\"all\"]",
        ]
    );
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_connection_can_be_refused() {
    let log = Arc::new(Log::default());
    let app = chat(Door(Arc::clone(&log))).await.unwrap();
    for (path, code) in [("/ws?name=eve", "ERR40300"), ("/ws", "ERR40000")] {
        let mut client = app.websocket(path).await;
        let frame = client.expect_frame("exception").await;
        assert_eq!(frame["data"]["returnCode"], code);
        assert_eq!(client.expect_close().await.0, 1008);
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_hook_that_injects_what_nobody_provides_is_found_at_start() {
    struct Missing;
    async fn needs(_: Inject<Missing>) -> Result<(), Fault> {
        Ok(())
    }
    struct Broken;
    impl Module for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
            m.websocket(|g| g.on_connect(needs));
            Ok(())
        }
    }
    let report = format!("{:?}", chat(Broken).await.unwrap_err());
    assert!(report.contains("Missing") && report.contains("on_connect"), "{report}");
}
