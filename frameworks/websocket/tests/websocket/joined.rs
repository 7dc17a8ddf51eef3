//! On the listener of an HTTP framework.

use std::sync::{Arc, Mutex};

use polyport_bootstrap::{
    Application, Bootstrap, Error, ErrorKind, Fault, Module, ModuleBuilder, Result,
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpApp, HttpFramework, HttpModule, testing::HttpTest};
use polyport_websocket::{
    WebSocketApp, WebSocketFramework, WebSocketModule, WebSocketSettings,
    testing::{Received, WebSocketTest},
};
use serde_json::json;

use crate::support::{Chat, HANDSHAKE, Raw, address, answer, eventually, websocket, within};

struct Web;

async fn ping() -> Result<&'static str, Fault> {
    Ok("pong")
}

impl Module for Web {
    fn name(&self) -> &'static str {
        "web"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.http(|r| r.get("/ping", ping)).websocket(|g| g.on("ping", ping));
        Ok(())
    }
}

async fn start(bootstrap: Bootstrap) -> TestApp {
    let envelope = json!({ "websocket": { "envelope": "return-code" } });
    let bootstrap = bootstrap.module(Web).module(Chat::new()).default_config(envelope);
    create_bootstrap(bootstrap).await.unwrap()
}

fn both() -> Bootstrap {
    Bootstrap::new().load(HttpFramework::new()).load(WebSocketFramework::new())
}

#[tokio::test]
async fn it_joins_whatever_the_load_order() {
    let other_way = Bootstrap::new().load(WebSocketFramework::new()).load(HttpFramework::new());
    for bootstrap in [both(), other_way] {
        let app = start(bootstrap).await;
        let http = app.app::<HttpApp>().unwrap().local_addr().unwrap();
        assert_eq!(websocket(&app).url().unwrap(), format!("ws://{http}/ws"));
        assert_eq!(websocket(&app).local_addr(), None);
        let mut client = app.websocket("/ws").await;
        assert_eq!(client.call("ping", &()).await, answer("ping", 1, json!("pong")));
        let reply = app.http().get("/ping").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (200, "\"pong\""));
        app.close().await.unwrap();
        assert_eq!(client.expect_close().await.0, 1001);
    }
}

#[tokio::test]
async fn it_takes_its_own_path_only() {
    let app = start(both()).await;
    let plain = app.http().get("/ws").await;
    assert_eq!(plain.status().as_u16(), 426);
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    assert!(plain.text().contains("ERR42600"));
    let mut client = Raw::connect(address(&app)).await;
    let head = client.request("GET /other", &HANDSHAKE).await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    app.close().await.unwrap();
}

#[tokio::test]
async fn its_path_is_compared_in_its_normal_form() {
    let settings = WebSocketSettings { path: "/live-%C3%BC".to_owned(), ..Default::default() };
    let joined = Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new().configure(settings.clone()));
    let own_port = WebSocketSettings { port: Some(0), ..settings };
    let own = Bootstrap::new().load(WebSocketFramework::new().configure(own_port));
    for bootstrap in [joined.module(Web), own.module(Chat::new())] {
        let app = create_bootstrap(bootstrap).await.unwrap();
        for (path, status) in
            [("/live-%C3%BC", 101), ("/%6Cive%2d%c3%bc", 101), ("/live%252D%C3%BC", 404)]
        {
            let mut client = Raw::connect(address(&app)).await;
            let head = client.request(&format!("GET {path}"), &HANDSHAKE).await;
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {head}");
        }
        app.close().await.unwrap();
    }
}

#[tokio::test]
async fn it_joins_the_listener_that_is_named() {
    let settings = WebSocketSettings {
        listener: Some("admin".to_owned()),
        path: "/live".to_owned(),
        ..WebSocketSettings::default()
    };
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::new())
        .load(HttpFramework::named("admin"))
        .load(WebSocketFramework::new().configure(settings));
    let app = start(bootstrap).await;
    let admin = app.app_named::<HttpApp>("admin").unwrap().local_addr().unwrap();
    assert_eq!(websocket(&app).url().unwrap(), format!("ws://{admin}/live"));
    assert_eq!(app.websocket("/live").await.close().await, 1000);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_listener_that_is_not_there_is_named_beside_those_that_are() {
    let settings = WebSocketSettings { listener: Some("amdin".to_owned()), ..Default::default() };
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::named("admin"))
        .load(WebSocketFramework::new().configure(settings));
    let error = create_bootstrap(bootstrap).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    let report = format!("{error:?}");
    assert!(report.contains("\"amdin\"") && report.contains("http (admin)"), "{report}");
}

#[tokio::test]
async fn two_on_one_path_are_refused() {
    let bootstrap = both().load(WebSocketFramework::named("second"));
    let error = create_bootstrap(bootstrap).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    assert!(format!("{error:?}").contains("are both to be served at /ws"), "{error:?}");
}

#[tokio::test]
async fn a_stop_answers_what_is_handled_and_tells_the_client() {
    let module = Chat::new();
    let gate = Arc::clone(&module.0);
    let app = create_bootstrap(both().module(module)).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"slow","id":1}"#).await;
    gate.reached().await;
    app.stop("test");
    let address = address(&app);
    eventually("no client is taken", || std::net::TcpStream::connect(address).is_err()).await;
    gate.open();
    let done = json!({ "event": "slow", "id": 1, "data": "done" });
    assert_eq!(client.next().await, Received::Frame(done));
    assert_eq!(client.expect_close().await.0, 1001);
    within(app.wait()).await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_behind() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let bootstrap = both().module(Web).on_ready(async move |container| {
        *keep.lock().unwrap() = Some(container.app::<WebSocketApp>()?);
        Err(Error::hook("on purpose"))
    });
    create_bootstrap(bootstrap).await.unwrap_err();
    let handle = kept.lock().unwrap().take().unwrap();
    assert!(handle.container().is_none(), "the container is kept alive");
}
