//! What belongs to a connection.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use polyport_bootstrap::{
    Bootstrap, Context, Fault, Module, ModuleBuilder, Result,
    operation::{Ctx, Inject, Input},
    testing::create_bootstrap,
};
use polyport_websocket::{
    Socket, State, WebSocketFramework, WebSocketModule, testing::WebSocketTest,
};
use serde_json::json;

use crate::support::{Text, eventually, websocket, within};

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

struct Count(AtomicU64);

struct Name(String, Arc<Log>);

impl Drop for Name {
    fn drop(&mut self) {
        self.1.add(format!("dropped {}", self.0));
    }
}

/// A value that cannot be dropped in peace.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

/// Left by a guard, before there is a socket.
struct Tenant(&'static str);

fn tenant(context: &Context) -> std::result::Result<(), Fault> {
    if context.operation().name() == "connect" {
        context.set(Tenant("acme"));
        context.set(Bomb);
    }
    Ok(())
}

async fn enter(socket: Socket, Inject(log): Inject<Log>) -> Result<(), Fault> {
    socket.set_state(Count(AtomicU64::new(0)));
    socket.set_state(Name("nobody".to_owned(), log));
    socket.set_state(Bomb);
    Ok(())
}

async fn count(State(count): State<Count>) -> Result<u64, Fault> {
    Ok(count.0.fetch_add(1, SeqCst) + 1)
}

async fn rename(
    socket: Socket,
    Inject(log): Inject<Log>,
    Input(Text(name)): Input<Text>,
) -> Result<(), Fault> {
    socket.set_state(Name(name, log));
    Ok(())
}

async fn name(State(name): State<Name>, State(tenant): State<Tenant>) -> Result<String, Fault> {
    Ok(format!("{} of {}", name.0, tenant.0))
}

async fn absent(_: State<u8>) -> Result<(), Fault> {
    Ok(())
}

async fn replace_bomb(socket: Socket) -> Result<&'static str, Fault> {
    socket.set_state(Bomb);
    Ok("survived")
}

async fn exit(
    socket: Socket,
    State(name): State<Name>,
    Inject(log): Inject<Log>,
    Ctx(context): Ctx,
) -> Result<(), Fault> {
    assert!(context.value::<Tenant>().is_some() && socket.state::<Count>().is_some());
    log.add(format!("{} leaves", name.0));
    Ok(())
}

struct Keeping(Arc<Log>);

impl Module for Keeping {
    fn name(&self) -> &'static str {
        "keeping"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0));
        m.websocket(|g| {
            g.on_connect(enter)
                .on_disconnect(exit)
                .on("count", count)
                .on("rename", rename)
                .on("name", name)
                .on("absent", absent)
                .on("bomb", replace_bomb)
        });
        Ok(())
    }
}

#[tokio::test]
async fn state_is_set_at_connect_changed_by_events_and_from_outside_and_dropped_at_the_end() {
    let log = Arc::new(Log::default());
    let framework = WebSocketFramework::new().pipeline(|p| p.guard(tenant));
    let bootstrap = Bootstrap::new().load(framework).module(Keeping(Arc::clone(&log)));
    let app = create_bootstrap(bootstrap).config("websocket.port", 0).await.unwrap();
    let mut client = app.websocket("/ws").await;
    assert_eq!(client.call("count", &()).await["data"], 1);
    assert_eq!(client.call("count", &()).await["data"], 2);
    assert_eq!(client.call("name", &()).await["data"], "nobody of acme");
    client.call("rename", &json!("tom")).await;
    assert_eq!(client.call("name", &()).await["data"], "tom of acme");
    assert_eq!(client.call("absent", &()).await["event"], "exception");

    let mut other = app.websocket("/ws").await;
    assert_eq!(other.call("count", &()).await["data"], 1, "it is each connection's own");
    other.call("bomb", &()).await;
    assert_eq!(other.call("bomb", &()).await["data"], "survived");

    other.call("rename", &json!("ann")).await;
    drop(other);
    eventually("the other is gone", || log.lines().iter().any(|line| line == "dropped ann")).await;

    let handle = websocket(&app);
    let socket = handle.sockets().remove(0);
    socket.set_state(Name("outside".to_owned(), Arc::clone(&log)));
    assert_eq!(client.call("name", &()).await["data"], "outside of acme");
    client.close().await;
    eventually("all is dropped", || log.lines().iter().any(|l| l == "dropped outside")).await;
    let lines = log.lines();
    let of = |line: &str| lines.iter().position(|known| known == line).unwrap();
    assert!(of("outside leaves") < of("dropped outside"), "{lines:?}");

    // Kept handles keep nothing alive, and nothing new is kept.
    assert!(socket.state::<Count>().is_none());
    socket.set_state(Count(AtomicU64::new(7)));
    assert!(socket.state::<Count>().is_none());
    app.close().await.unwrap();
}

/// In virtual time: to write the trace of a panic can take longer than the stop lets anybody.
#[tokio::test(start_paused = true)]
async fn values_that_cannot_be_dropped_hold_up_no_stop() {
    let framework = WebSocketFramework::new().pipeline(|p| p.guard(tenant));
    let bootstrap = Bootstrap::new().load(framework).module(Keeping(Arc::default()));
    let app = create_bootstrap(bootstrap).in_memory().config("websocket.port", 0).await.unwrap();
    let (mut one, mut two) = (app.websocket("/ws").await, app.websocket("/ws").await);
    for client in [&mut one, &mut two] {
        assert_eq!(client.call("count", &()).await["data"], 1);
    }
    let closing = tokio::spawn(app.close());
    assert_eq!((one.expect_close().await.0, two.expect_close().await.0), (1001, 1001));
    within(closing).await.unwrap().unwrap();
}
