//! The admin port, from the start of a process to its end, on real sockets.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{future::IntoFuture, net::SocketAddr, sync::Arc, time::Duration};

use polyport_admin::{AdminApp, AdminFramework, AdminSettings};
use polyport_bootstrap::{
    Application, Bootstrap, Container, Error, Health, HealthCheck, Phase, Tasks,
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpApp, HttpFramework};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
    time::timeout,
};

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

/// A whole answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> Reply {
    let mut stream = soon(TcpStream::connect(address)).await.expect("is listening");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.expect("is answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply {
        status: status.expect("a status"),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

async fn get(address: SocketAddr, path: &str) -> Reply {
    ask(address, "GET", path).await
}

async fn is_refused(address: SocketAddr) -> bool {
    soon(TcpStream::connect(address)).await.is_err()
}

fn bootstrap() -> Bootstrap {
    Bootstrap::new().load(HttpFramework::new()).load(AdminFramework::new())
}

/// The report, without the breaks of its lines.
fn told(error: &Error) -> String {
    format!("{error:?}").split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn address(app: &TestApp) -> SocketAddr {
    app.app::<AdminApp>().expect("loaded").local_addr().expect("bound")
}

/// A hook that says that it has begun, and where the ports are, and then waits.
struct Gate {
    begun: mpsc::UnboundedSender<(SocketAddr, Option<SocketAddr>)>,
    open: Semaphore,
}

type Begun = mpsc::UnboundedReceiver<(SocketAddr, Option<SocketAddr>)>;

impl Gate {
    fn new() -> (Arc<Self>, Begun) {
        let (begun, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { begun, open: Semaphore::new(0) }), receiver)
    }

    async fn pass(self: Arc<Self>, container: Container) -> polyport_bootstrap::Result<()> {
        let admin = container.app::<AdminApp>()?.local_addr().expect("bound already");
        let http = container.app::<HttpApp>()?.local_addr();
        self.begun.send((admin, http)).expect("the test waits");
        let _open = self.open.acquire().await;
        Ok(())
    }
}

#[tokio::test]
async fn it_answers_before_anything_else_is_bound() {
    let (gate, mut begun) = Gate::new();
    let own = Arc::clone(&gate);
    let (lifecycle, start) =
        create_bootstrap(bootstrap().did_load(move |container| own.pass(container))).starting();
    let start = tokio::spawn(start);
    let (admin, http) = soon(begun.recv()).await.expect("the hook runs");
    assert_eq!((http, lifecycle.phase()), (None, Phase::Starting));

    assert_eq!(get(admin, "/health/live").await.status, 200);
    let ready = get(admin, "/health/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reason"], "the process is starting");
    assert_eq!(get(admin, "/health/started").await.status, 503);
    let status = get(admin, "/status").await.json();
    assert_eq!((&status["phase"], &status["stage"]), (&"starting".into(), &"check".into()));

    gate.open.add_permits(1);
    let app = soon(start).await.expect("no panic").expect("it starts");
    for path in ["/health/ready", "/health/started"] {
        assert_eq!(get(admin, path).await.status, 200, "{path}");
    }
    assert_eq!(address(&app), admin);
}

#[tokio::test]
async fn it_answers_when_everything_else_is_closed() {
    let (gate, mut begun) = Gate::new();
    let own = Arc::clone(&gate);
    let bootstrap = bootstrap().closed(move |container| own.pass(container));
    let app = soon(create_bootstrap(bootstrap).config("shutdown.closed", "20s")).await;
    let app = app.expect("it starts");
    app.stop("test");
    let (admin, http) = soon(begun.recv()).await.expect("the hook runs");
    assert!(is_refused(http.expect("was bound")).await);

    assert_eq!(get(admin, "/health/live").await.status, 200);
    assert_eq!(get(admin, "/health/started").await.status, 200);
    let ready = get(admin, "/health/ready").await;
    assert_eq!(
        (ready.status, ready.json()["reason"].clone()),
        (503, "the process is stopping".into())
    );
    let status = get(admin, "/status").await.json();
    assert_eq!((&status["stage"], &status["stop_reason"]), (&"closed".into(), &"test".into()));

    gate.open.add_permits(1);
    soon(app.wait()).await.expect("stops cleanly");
    assert!(is_refused(admin).await);
}

#[tokio::test]
async fn hooks_that_hang_at_the_end_leave_it_time_to_close() {
    let bootstrap = bootstrap().closed(|_| std::future::pending());
    let app = soon(create_bootstrap(bootstrap).config("shutdown.closed", "200ms")).await;
    let app = app.expect("it starts");
    let admin = address(&app);
    let error = soon(app.close()).await.expect_err("a hook hangs");
    let report = told(&error);
    assert!(report.contains("hook closed") && !report.contains("framework admin"), "{report}");
    assert!(is_refused(admin).await);
}

#[tokio::test]
async fn a_failed_start_closes_it_too() {
    let (sent, mut admin) = mpsc::unbounded_channel();
    let bootstrap = bootstrap().will_ready(move |container: Container| async move {
        let address = container.app::<AdminApp>()?.local_addr().expect("bound");
        assert_eq!(get(address, "/health/live").await.status, 200);
        sent.send(address).expect("the test waits");
        Err(Error::other("not today"))
    });
    soon(create_bootstrap(bootstrap)).await.expect_err("the hook fails");
    assert!(is_refused(admin.recv().await.expect("the hook ran")).await);
}

#[tokio::test]
async fn it_tells_of_components_tasks_and_times() {
    let check = HealthCheck::new("db", async |_: Container| Err(Error::other("gone")));
    let bootstrap = bootstrap().health(check.critical(false));
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    let admin = address(&app);
    let ready = get(admin, "/health/ready").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &"degraded".into()));
    assert_eq!(ready.json()["components"][0]["reason"], "gone");

    let tasks = app.container().try_get::<Tasks>().expect("always there");
    tasks.spawn("forever", std::future::pending());
    let health = app.container().try_get::<Health>().expect("always there");
    health.indicator("disk").down("full");
    assert_eq!(get(admin, "/health/ready").await.status, 503);
    let status = get(admin, "/status").await.json();
    assert_eq!(status["tasks"]["active"][0]["task"], "forever");
    assert_eq!(status["tasks"]["counts"]["running"], 1);
    assert_eq!(status["health"]["reason"], "disk is down: full");
    assert_eq!(status["frameworks"][0]["framework"], "http");
    let timeline = get(admin, "/timeline").await.json();
    let stages = timeline.as_array().expect("a list");
    assert!(stages.iter().any(|entry| entry["stage"] == "bind" && entry["outcome"] == "done"));
}

#[tokio::test]
async fn the_configuration_is_shown_where_that_is_asked_for_and_without_secrets() {
    let app = soon(create_bootstrap(bootstrap())).await.expect("it starts");
    assert_eq!(get(address(&app), "/config").await.status, 404);
    let store = json!({ "store": { "password": "hunter2", "host": "db1" } });
    let app = create_bootstrap(bootstrap().default_config(store)).config("admin.config", true);
    let app = soon(app).await.expect("it starts");
    let reply = get(address(&app), "/config").await;
    assert_eq!((reply.status, &reply.json()["store"]["host"]), (200, &"db1".into()));
    assert!(!reply.body.contains("hunter2"), "{}", reply.body);
}

#[tokio::test]
async fn paths_can_be_moved_and_are_listed() {
    let app = create_bootstrap(bootstrap()).config("admin.live", "/livez");
    let app = soon(app).await.expect("it starts");
    let admin = address(&app);
    assert_eq!(get(admin, "/livez").await.status, 200);
    let missing = get(admin, "/health/live").await;
    assert_eq!((missing.status, &missing.json()["paths"][0]), (404, &"/livez".into()));
    assert_eq!(get(admin, "/").await.status, 200);
}

#[tokio::test]
async fn head_is_answered_without_a_body_and_other_methods_are_refused() {
    let app = soon(create_bootstrap(bootstrap())).await.expect("it starts");
    let admin = address(&app);
    let head = ask(admin, "HEAD", "/health/ready").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let full = get(admin, "/health/ready").await;
    let length = format!("content-length: {}", full.body.len());
    assert!(head.head.contains(&length), "{} lacks {length}", head.head);
    let refused = ask(admin, "DELETE", "/status").await;
    assert_eq!(refused.status, 405);
    assert!(refused.head.contains("allow: get, head"), "{}", refused.head);
}

#[tokio::test]
async fn a_port_in_use_is_reported_before_anything_starts() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let settings = AdminSettings { port, ..AdminSettings::default() };
    let http = polyport_http::HttpSettings { port: 0, ..Default::default() };
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::new().configure(http))
        .load(AdminFramework::new().configure(settings));
    let start = create_bootstrap(bootstrap).configured_ports();
    let error = soon(start).await.expect_err("the port is taken");
    let report = told(&error);
    assert_eq!(error.exit_code(), 69);
    assert!(report.contains("framework admin") && report.contains(&port.to_string()), "{report}");
}

#[tokio::test]
async fn a_check_of_the_application_opens_no_port() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let settings = AdminSettings { port, ..AdminSettings::default() };
    let bootstrap =
        Bootstrap::new().load(HttpFramework::new()).load(AdminFramework::new().configure(settings));
    soon(bootstrap.check()).await.expect("fits, and the port is left alone");
}

#[tokio::test]
async fn settings_that_contradict_themselves_are_refused() {
    for (key, value, word) in [
        ("admin.live", "livez", "does not begin with"),
        ("admin.ready", "/status", "something else"),
        ("admin.started", "/health/live", "something else"),
        ("admin.pot", "7", "pot"),
    ] {
        let start = create_bootstrap(bootstrap()).config(key, value);
        let error = soon(start).await.expect_err("does not fit");
        let report = told(&error);
        assert_eq!(error.exit_code(), 78, "{report}");
        assert!(report.contains("admin") && report.contains(word), "{report}");
    }
}

#[tokio::test]
async fn it_is_never_the_main_framework_beside_others() {
    let bootstrap = Bootstrap::new().load(AdminFramework::new()).load(HttpFramework::new());
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    assert_eq!(app.main_app().kind(), "http");
    let kinds: Vec<_> = app.apps().iter().map(|app| app.kind()).collect();
    assert_eq!(kinds, ["http", "admin"]);
    let alone = create_bootstrap(Bootstrap::new().load(AdminFramework::new()));
    let alone = soon(alone).await.expect("it starts");
    assert_eq!(alone.main_app().kind(), "admin");
    assert_eq!(get(address(&alone), "/health/ready").await.status, 200);
    soon(alone.close()).await.expect("stops cleanly");
}

#[tokio::test]
async fn nothing_is_held_after_the_stop() {
    struct Pool;
    let provides = polyport_bootstrap::module("pool", |m| {
        m.provide_with(async || Ok::<_, Error>(Pool)).eager();
        m.health(HealthCheck::new("pool", async |container: Container| {
            container.get::<Pool>().await.map(drop)
        }));
        Ok(())
    });
    let app = soon(create_bootstrap(bootstrap().module(provides))).await.expect("it starts");
    assert_eq!(get(address(&app), "/health/ready").await.status, 200);
    let handle = app.app::<AdminApp>().expect("loaded");
    let held = Arc::downgrade(&app.container().try_get::<Pool>().expect("provided"));
    soon(app.close()).await.expect("stops cleanly");
    assert!(held.upgrade().is_none(), "somebody still holds a singleton");
    assert!(handle.container().is_none());
}
