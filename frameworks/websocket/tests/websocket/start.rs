//! What is found wrong before anything is served.

use polyport_bootstrap::{
    Application, Bootstrap, ErrorKind, Fault, Module, ModuleBuilder, Result,
    testing::create_bootstrap,
};
use polyport_websocket::{
    WebSocketApp, WebSocketFramework, WebSocketModule, WebSocketSettings, testing::WebSocketTest,
};

use crate::support::{Chat, websocket};

fn on(port: u16) -> WebSocketSettings {
    WebSocketSettings { port: Some(port), ..WebSocketSettings::default() }
}

#[tokio::test]
async fn without_a_port_and_an_http_framework_nothing_starts() {
    let bootstrap = Bootstrap::new().load(WebSocketFramework::new());
    let error = create_bootstrap(bootstrap).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    let report = format!("{error:?}");
    assert!(report.contains("no HTTP framework named \"default\""), "{report}");
    assert!(
        report.contains("load HttpFramework in the bootstrap, or set websocket.port"),
        "{report}"
    );
}

#[tokio::test]
async fn settings_that_make_no_sense_are_named() {
    let bootstrap = Bootstrap::new().load(WebSocketFramework::new());
    let start = create_bootstrap(bootstrap).config("websocket.path", "ws").await;
    let report = format!("{:?}", start.unwrap_err());
    assert!(report.contains("key websocket.path: not a plain path such as \"/ws\""), "{report}");

    let bootstrap = Bootstrap::new().load(WebSocketFramework::new());
    let start = create_bootstrap(bootstrap).config("websocket.path", "/%77s").await;
    let report = format!("{:?}", start.unwrap_err());
    assert!(report.contains("requests are compared by another form: /ws"), "{report}");

    let bootstrap = Bootstrap::new().load(WebSocketFramework::named("admin"));
    let start = create_bootstrap(bootstrap).config("websocket_admin.prot", 1).await;
    let report = format!("{:?}", start.unwrap_err());
    assert!(report.contains("websocket_admin") && report.contains("prot"), "{report}");
}

#[tokio::test]
async fn an_event_has_one_operation() {
    struct Twice;
    async fn one() -> Result<(), Fault> {
        Ok(())
    }
    async fn two() -> Result<(), Fault> {
        Ok(())
    }
    impl Module for Twice {
        fn name(&self) -> &'static str {
            "twice"
        }
        fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
            m.websocket(|g| g.on("a", one).on("a", two));
            Ok(())
        }
    }
    let bootstrap = Bootstrap::new().load(WebSocketFramework::new().configure(on(0))).module(Twice);
    let report = format!("{:?}", create_bootstrap(bootstrap).await.unwrap_err());
    assert!(report.contains("WEBSOCKET a is served twice"), "{report}");
}

#[tokio::test]
async fn two_frameworks_have_their_own_clients() {
    struct Both;
    async fn name() -> Result<&'static str, Fault> {
        Ok("default")
    }
    async fn admin() -> Result<&'static str, Fault> {
        Ok("admin")
    }
    impl Module for Both {
        fn name(&self) -> &'static str {
            "both"
        }
        fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
            m.websocket(|g| g.on("name", name)).websocket_on("admin", |g| g.on("name", admin));
            Ok(())
        }
    }
    let bootstrap = Bootstrap::new()
        .load(WebSocketFramework::new().configure(on(0)))
        .load(WebSocketFramework::named("admin").configure(on(0)))
        .module(Both);
    let app = create_bootstrap(bootstrap).await.unwrap();
    assert_eq!(app.websocket("/ws").await.call("name", &()).await["data"], "default");
    assert_eq!(app.websocket_on("admin", "/ws").await.call("name", &()).await["data"], "admin");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let bootstrap = Bootstrap::new().load(WebSocketFramework::new().configure(on(port)));
    let error = create_bootstrap(bootstrap).configured_ports().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(format!("{error:?}").contains(&format!("127.0.0.1:{port}")), "{error:?}");
}

#[tokio::test]
async fn the_handle_knows_its_url_and_keeps_nothing_alive() {
    let bootstrap = Bootstrap::new()
        .load(WebSocketFramework::new().configure(WebSocketSettings {
            host: "0.0.0.0".to_owned(),
            path: "/chat".to_owned(),
            ..on(0)
        }))
        .module(Chat::new());
    let app = create_bootstrap(bootstrap).await.unwrap();
    let handle = websocket(&app);
    let url = handle.url().unwrap();
    assert!(url.starts_with("ws://127.0.0.1:") && url.ends_with("/chat"), "{url}");
    assert_eq!(app.websocket("/chat").await.close().await, 1000);
    app.close().await.unwrap();
    assert!(handle.container().is_none(), "the container outlives the process");
}

#[tokio::test]
async fn events_can_be_added_until_the_process_serves() {
    async fn late() -> Result<&'static str, Fault> {
        Ok("late")
    }
    let bootstrap = Bootstrap::new().load(WebSocketFramework::new().configure(on(0))).on_ready(
        async |container| {
            let handle = container.app::<WebSocketApp>()?;
            handle.routes(|g| g.on("late", late))?;
            let twice = handle.routes(|g| g.on("late", late)).unwrap_err();
            assert!(twice.to_string().contains("is served twice"), "{twice}");
            Ok(())
        },
    );
    let app = create_bootstrap(bootstrap).await.unwrap();
    assert_eq!(app.websocket("/ws").await.call("late", &()).await["data"], "late");
    let error = websocket(&app).routes(|g| g.on("later", late)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    app.close().await.unwrap();
}
