//! Start, health, stop, and several frameworks in one process.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use polyport_bootstrap::{
    AppCore, AppHandle, Application, Bootstrap, Container, DEFAULT_NAME, Error, ErrorKind, Fault,
    Framework, Health, HealthCheck, Module, ModuleBuilder, Phase, Result, Transport,
    framework::{Built, FrameworkContext, NoSettings},
    module,
    operation::Inject,
    testing::create_bootstrap,
};
use polyport_http::{
    HttpApp, HttpFramework, HttpModule, HttpSettings,
    testing::{HttpClient, HttpTest},
};
use polyport_listener::{ListenerRegistry, Mount, ResponseBody, handler_fn};
use serde_json::{Value, json};
use support::{Raw, address, bootstrap, hello, refused, serve, within};
use tokio::sync::Semaphore;

#[tokio::test]
async fn live_and_ready_say_how_the_process_is() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r)).config("http.envelope", "return-code").await;
        let app = app.expect("it starts");
        let reply = app.http().get("/health/live").await;
        assert_eq!(reply.status(), 200);
        assert_eq!(
            reply.json::<Value>(),
            json!({ "returnCode": "SUC00000", "data": { "status": "up" } })
        );
        let reply = app.http().get("/health/ready").await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.json::<Value>()["data"]["ready"], true);
        let reply = app.http().get("/health/started").await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.json::<Value>()["data"], json!({ "started": true }));
    })
    .await;
}

#[tokio::test]
async fn a_component_that_is_down_makes_the_process_unready() {
    within(async {
        let app = serve(|r| r).await;
        let health = app.container().try_get::<Health>().expect("always there");
        let broker = health.indicator("broker");
        health.indicator("cache").critical(false).down("cold");
        let reply = app.http().get("/health/ready").await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.json::<Value>()["status"], "degraded");
        broker.down("connection refused");
        let reply = app.http().get("/health/ready").await;
        assert_eq!(reply.status(), 503);
        let problem: Value = reply.json();
        assert_eq!(problem["reason"], "NOT_READY");
        assert_eq!(problem["details"][0]["name"], "broker");
        assert_eq!(problem["details"][0]["reason"], "connection refused");
        assert_eq!(app.http().get("/health/live").await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn ready_is_503_while_a_stop_is_under_way_and_all_is_still_served() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r.get("/hello", hello)))
            .config("shutdown.delay", "1h")
            .await
            .expect("it starts");
        app.stop("test");
        app.lifecycle().reached(Phase::Stopping).await;
        let problem: Value = app.http().get("/health/ready").await.json();
        assert_eq!(problem["detail"], "no calls are wanted now: the process is stopping");
        assert_eq!(app.http().get("/health/live").await.status(), 200);
        assert_eq!(app.http().get("/health/started").await.status(), 200);
        assert_eq!(app.http().get("/hello").await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn neither_started_nor_ready_before_all_hooks_have_run() {
    within(async {
        let asked = bootstrap(|r| r).on_server_ready(async |container| {
            let address = container.app::<HttpApp>()?.local_addr().expect("bound");
            let client = HttpClient::new(address);
            assert_eq!(client.get("/health/live").await.status(), 200);
            assert_eq!(client.get("/health/ready").await.status(), 503);
            let started = client.get("/health/started").await;
            assert_eq!(started.status(), 503);
            assert_eq!(started.json::<Value>()["reason"], "NOT_STARTED");
            Ok(())
        });
        let app = create_bootstrap(asked).await.expect("it starts");
        assert_eq!(app.http().get("/health/started").await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_check_of_a_module_is_asked_with_what_it_provides_and_decides_about_readiness() {
    struct Pool(AtomicBool);
    let pool = || {
        module("pool", |m| {
            m.provide_value(Arc::new(Pool(AtomicBool::new(true))));
            let ping = async |container: Container| {
                let up = container.get::<Pool>().await?.0.load(Ordering::SeqCst);
                if up { Ok(()) } else { Err(Error::other("no route to host")) }
            };
            m.health(HealthCheck::new("pool", ping).every(Duration::from_millis(10)));
            Ok(())
        })
    };
    within(async {
        let app = create_bootstrap(bootstrap(|r| r).module(pool())).await.expect("it starts");
        assert_eq!(app.http().get("/health/ready").await.status(), 200);
        let health = app.container().get::<Health>().await.expect("always there");
        let mut watch = health.watch();
        app.container().try_get::<Pool>().expect("provided").0.store(false, Ordering::SeqCst);
        watch.changed().await;
        let problem: Value = app.http().get("/health/ready").await.json();
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["detail"], "no calls are wanted now: pool is down: no route to host");
        app.close().await.expect("a clean stop");
    })
    .await;
}

#[tokio::test]
async fn checks_of_one_name_are_refused() {
    let check = || HealthCheck::new("pool", async |_: Container| Ok(()));
    let error = support::refused(bootstrap(|r| r).health(check()).health(check())).await;
    assert_eq!(error.kind(), ErrorKind::Wiring);
}

#[tokio::test]
async fn health_routes_can_be_moved_and_turned_off() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r)).config("http.health.live", "/livez").await;
        let app = app.expect("it starts");
        assert_eq!(app.http().get("/livez").await.status(), 200);
        assert_eq!(app.http().get("/health/live").await.status(), 404);
        let app = create_bootstrap(bootstrap(|r| r)).config("http.health.enabled", false).await;
        let app = app.expect("it starts");
        assert_eq!(app.http().get("/health/ready").await.status(), 404);
    })
    .await;
}

struct Gate;

impl Module for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::new(Gates::default())).http(|r| r.get("/waits", waits));
        Ok(())
    }
}

struct Gates {
    entered: Semaphore,
    open: Semaphore,
}

impl Default for Gates {
    fn default() -> Self {
        Self { entered: Semaphore::new(0), open: Semaphore::new(0) }
    }
}

async fn waits(gates: Inject<Gates>) -> Result<&'static str, Fault> {
    gates.entered.add_permits(1);
    let _open = gates.open.acquire().await;
    Ok("done")
}

#[tokio::test]
async fn a_slow_request_is_finished_during_the_stop_and_new_clients_are_refused() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r).module(Gate)).await.expect("it starts");
        let gates = app.container().try_get::<Gates>().expect("provided");
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let _entered = gates.entered.acquire().await.expect("open");
        app.stop("test");
        let address = address(&app);
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        gates.open.add_permits(1);
        let reply = raw.reply().await;
        assert_eq!((reply.status(), reply.body.as_str()), (200, "\"done\""));
        assert_eq!(reply.header("connection"), Some("close"));
        app.wait().await.expect("a clean stop");
    })
    .await;
}

#[tokio::test]
async fn routes_are_added_in_on_ready_and_refused_later() {
    within(async {
        let bootstrap = bootstrap(|r| r.get("/users", hello)).on_ready(async |container| {
            let http = container.app::<HttpApp>()?;
            assert!(http.url().is_some(), "bound before on_ready");
            http.routes(|r| r.get("/late", hello).mount("/m", axum::Router::new()))
        });
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        assert_eq!(app.http().get("/late").await.json::<String>(), "hello");
        let http = app.app::<HttpApp>().expect("loaded");
        for late in [
            http.routes(|r| r.get("/x", hello)),
            http.routes(|r| r.mount("/y", axum::Router::new())),
        ] {
            let error = late.expect_err("it serves already");
            assert_eq!(error.kind(), ErrorKind::Wiring);
            assert!(format!("{error:?}").contains("on_ready"), "{error:?}");
        }
        assert_eq!(app.http().get("/x").await.status(), 404);
    })
    .await;
}

#[tokio::test]
async fn a_route_that_is_added_in_on_ready_is_checked_at_once() {
    struct Missing;
    async fn needs(_: Inject<Missing>) -> Result<(), Fault> {
        Ok(())
    }
    within(async {
        for (path, word) in
            [("/users", "served twice"), ("/{id}", "match the same"), ("/new", "Missing")]
        {
            let bootstrap = bootstrap(|r| r.get("/users", hello).get("/{name}", hello)).on_ready(
                async move |container| {
                    let http = container.app::<HttpApp>()?;
                    http.routes(|r| {
                        if path == "/new" { r.get(path, needs) } else { r.get(path, hello) }
                    })
                },
            );
            let error = refused(bootstrap).await;
            let text = format!("{error:?}");
            assert!(text.contains(word) && text.contains("routes of http"), "{text}");
        }
    })
    .await;
}

struct Admin;

impl Module for Admin {
    fn name(&self) -> &'static str {
        "admin"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.http(|r| r.get("/hello", hello)).http_on("admin", |r| r.get("/secret", hello));
        Ok(())
    }
}

#[tokio::test]
async fn two_frameworks_live_side_by_side() {
    within(async {
        let bootstrap = Bootstrap::new()
            .load(HttpFramework::new())
            .load(HttpFramework::named("admin"))
            .module(Admin);
        let app = create_bootstrap(bootstrap).config("http_admin.envelope", "return-code").await;
        let app = app.expect("it starts");
        let (public, admin) = (app.http(), app.http_on("admin"));
        assert_eq!(public.get("/hello").await.json::<Value>(), json!("hello"));
        assert_eq!(public.get("/secret").await.status(), 404);
        assert_eq!(admin.get("/secret").await.json::<Value>()["data"], "hello");
        assert_eq!(admin.get("/hello").await.status(), 404);
        let address = |app: HttpApp| app.local_addr();
        let admin = app.app_named::<HttpApp>("admin").expect("loaded");
        assert_eq!(admin.name(), "admin");
        assert_ne!(address(app.app().expect("loaded")), address(admin));
        app.close().await.expect("a clean stop");
    })
    .await;
}

#[tokio::test]
async fn a_port_in_use_fails_at_start_and_says_what_to_do() {
    within(async {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let settings = HttpSettings { port, ..HttpSettings::default() };
        let bootstrap = Bootstrap::new().load(HttpFramework::new().configure(settings));
        let error = create_bootstrap(bootstrap).configured_ports().await.expect_err("in use");
        assert_eq!(error.kind(), ErrorKind::Connection);
        let text = format!("{error:?}");
        assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("help: "), "{text}");
    })
    .await;
}

#[tokio::test]
async fn settings_that_make_no_sense_are_configuration_errors() {
    within(async {
        for (key, value) in [("http.limits.header_timeout", json!("0s")), ("http.prot", json!(1))] {
            let start = create_bootstrap(bootstrap(|r| r)).config(key, value);
            let error = start.await.expect_err("no such setting");
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(format!("{error:?}").contains(key), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_handle_keeps_the_container_alive() {
    within(async {
        let app = serve(|r| r.get("/hello", hello)).await;
        let http = app.app::<HttpApp>().expect("loaded");
        assert!(http.container().is_some());
        app.close().await.expect("a clean stop");
        assert!(http.container().is_none(), "the handle holds it weakly");
    })
    .await;
}

#[tokio::test]
async fn another_framework_joins_the_listener_whatever_the_load_order() {
    within(async {
        let http = || HttpFramework::new();
        for bootstrap in
            [Bootstrap::new().load(http()).load(Guest), Bootstrap::new().load(Guest).load(http())]
        {
            let app = create_bootstrap(bootstrap).await.expect("it starts");
            assert_eq!(app.http().get("/guest").await.text(), "guest");
            assert_eq!(app.http().get("/other").await.status(), 404);
            app.close().await.expect("a clean stop");
        }
    })
    .await;
}

/// A framework without a port of its own.
struct Guest;

#[derive(Debug, Clone)]
struct GuestApp(Arc<AppCore>);

impl Application for GuestApp {
    fn core(&self) -> &AppCore {
        &self.0
    }
}

impl AppHandle for GuestApp {
    const KIND: &'static str = "guest";
}

impl Framework for Guest {
    type App = GuestApp;
    type Settings = NoSettings;

    fn name(&self) -> &str {
        DEFAULT_NAME
    }

    fn build(self, _: NoSettings, context: FrameworkContext<'_>) -> Result<Built<GuestApp>> {
        let app = GuestApp(Arc::new(context.core()));
        Ok(Built { app, transport: Box::new(GuestTransport(context.shared())) })
    }
}

struct GuestTransport(Arc<ListenerRegistry>);

#[async_trait::async_trait]
impl Transport for GuestTransport {
    fn link(&mut self) -> Result<()> {
        let host = self.0.find("http", DEFAULT_NAME).ok_or_else(|| Error::wiring("no host"))?;
        let handler = handler_fn(async |_| http::Response::new(ResponseBody::from("guest")));
        let claims = |request: &http::Request<_>| request.uri().path() == "/guest";
        Ok(host.mount(Mount::new("guest", claims, Arc::new(handler)))?)
    }

    async fn bind(&mut self) -> Result<()> {
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        Ok(())
    }

    async fn stop_intake(&mut self) {}

    async fn drain(&mut self) {}

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
