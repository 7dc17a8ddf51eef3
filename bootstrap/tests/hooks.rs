//! Hooks that declare what they take, and what is refused to hooks.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::sync::Arc;

use polyport::{
    App, Bootstrap, Config, Container, HookPoint, Module, Provide, Result,
    container::Lazy,
    module,
    operation::{Ctx, Inject},
    testing::{TestBootstrap, create_bootstrap},
};
use support::{Fake, FakeApp, Log};

fn test(bootstrap: Bootstrap) -> TestBootstrap {
    create_bootstrap(bootstrap).root("no/such/folder")
}

fn fake() -> Bootstrap {
    Bootstrap::new().load(Fake::new(&Log::default()))
}

#[derive(Provide)]
#[provide(init = built)]
struct UserService {
    #[inject]
    log: Arc<Log>,
}

impl UserService {
    #[allow(clippy::unused_async, reason = "the shape that the attribute asks for")]
    async fn built(&self) -> Result<()> {
        self.log.add("built");
        Ok(())
    }
}

fn users(log: &Log) -> impl Module {
    let log = log.clone();
    module("users", move |m| {
        m.provide_value(Arc::new(log.clone())).provide::<UserService>();
        let once = String::from("taken by value");
        m.hook(HookPoint::OnReady, async move |Inject(users): Inject<UserService>, _: Config| {
            drop(once);
            users.log.add("on_ready");
            Ok(())
        })
        .hook(
            HookPoint::BeforeClose,
            async |users: Arc<UserService>, nobody: Option<Arc<u8>>| {
                users.log.add(format!("before_close {}", nobody.is_none()));
                Ok(())
            },
        );
        Ok(())
    })
}

#[tokio::test]
async fn a_hook_has_what_it_declares_and_that_is_built_before_any_such_hook_runs() {
    let log = Log::default();
    let seen = log.clone();
    let bootstrap = fake().module(users(&log)).will_ready(async move |_| {
        seen.add("will_ready");
        Ok(())
    });
    let app = test(bootstrap).await.unwrap();
    app.close().await.unwrap();
    assert_eq!(log.entries(), ["built", "will_ready", "on_ready", "before_close true"]);
}

#[tokio::test]
async fn the_graph_shows_hooks_as_users() {
    let graph =
        fake().module(users(&Log::default())).root(std::env::temp_dir()).graph().await.unwrap();
    let titles: Vec<_> = graph.hooks.iter().map(|hook| hook.title.as_str()).collect();
    assert_eq!(titles, ["hook on_ready of module users", "hook before_close of module users"]);
    let hook = &graph.hooks[0];
    assert_eq!((hook.point, hook.module.as_deref()), ("on_ready", Some("users")));
    let service = graph.providers.iter().position(|known| known.title == "UserService").unwrap();
    assert_eq!(hook.depends_on[0].provider, service);
    assert_eq!(graph.providers[service].used_by, titles);
    let log = graph.providers.iter().find(|known| known.title == "Log").unwrap();
    assert_eq!(log.used_by, titles, "through the service");
    let mermaid = graph.to_mermaid();
    for line in ["  h0{{\"hook on_ready of module users\"}}", &format!("  h0 --> p{service}")] {
        assert!(mermaid.lines().any(|known| known == line), "{line}\n{mermaid}");
    }
    let dot = graph.to_dot();
    let line = "  h0 [label=\"hook on_ready of module users\", shape=hexagon];";
    assert!(dot.lines().any(|known| known == line), "{dot}");

    let running = test(fake().module(users(&Log::default()))).await.unwrap();
    assert_eq!(running.graph().hooks.len(), 2, "also when it has run");
    running.close().await.unwrap();
}

#[tokio::test]
async fn what_a_hook_lacks_is_in_the_report_of_the_start_with_all_the_rest() {
    struct Clock;
    #[derive(Provide)]
    #[provide(scope = "request")]
    struct Tx;
    let bad = module("bad", |m| {
        m.provide::<Tx>();
        m.hook(HookPoint::OnStopping, async |_: Inject<Clock>| Ok(()));
        m.hook(HookPoint::OnReady, async |_: Arc<Tx>| Ok(()));
        m.hook(HookPoint::OnReady, async |_: Ctx| Ok(()));
        Ok(())
    });
    let bootstrap = fake().module(bad).hook(HookPoint::DidLoad, async |_: Lazy<u16>| Ok(()));
    let error = test(bootstrap).await.unwrap_err();
    let told: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "hook on_stopping of module bad → Clock: nobody provides it",
            "hook did_load of the bootstrap → Lazy<u16>: nobody provides it",
            "hook on_ready of module bad → Tx: Tx exists only within a call",
            "hook on_ready of module bad → Context: Context exists only within a call",
        ],
    );
}

#[tokio::test]
async fn an_app_handle_comes_too_late_for_an_early_hook_and_in_time_for_a_later_one() {
    let early = fake().hook(HookPoint::ConfigDidLoad, async |_: App<FakeApp>| Ok(()));
    let error = test(early).await.unwrap_err().to_string();
    assert!(
        error.starts_with("hook config_did_load of the bootstrap: FakeApp (module polyport)")
            && error.contains("it does not exist yet; it comes when the frameworks are built"),
        "{error}",
    );
    let late =
        fake().hook(HookPoint::DidLoad, async |App(app): App<FakeApp>| app.add("x", nothing));
    let app = test(late).await.unwrap();
    assert_eq!(app.exposures().all().len(), 1);
    app.close().await.unwrap();
}

async fn nothing() -> Result<(), polyport::Fault> {
    Ok(())
}

struct Secret;

/// Keeps its secret, and takes it in hooks of its own.
fn keeper() -> impl Module {
    module("keeper", |m| {
        m.private(|m| {
            m.provide_with(async || Ok(Secret)).named("spare");
            m.provide_with(async || Ok(Secret));
        });
        m.hook(HookPoint::OnReady, async |_: Inject<Secret>| Ok(()));
        m.on_ready(async |container| {
            container.get::<Secret>().await?;
            container.get_named::<Secret>("spare").await?;
            container.resolve::<Lazy<Secret>>().await?.get().await?;
            assert!(container.try_get::<Secret>().is_some());
            Ok(())
        });
        Ok(())
    })
}

const REFUSED: &str = "Secret: it is private to module keeper";

async fn refused(container: &Container) {
    for error in [
        container.get::<Secret>().await.map(drop),
        container.resolve::<Arc<Secret>>().await.map(drop),
        container.resolve::<Option<Arc<Secret>>>().await.map(drop),
        container.resolve::<Lazy<Secret>>().await.map(drop),
        container.resolve::<Vec<Arc<Secret>>>().await.map(drop),
    ] {
        let error = error.unwrap_err();
        assert!(error.to_string().starts_with("Secret"), "{error}");
        assert!(error.to_string().ends_with("it is private to module keeper"), "{error}");
    }
    let spare = container.get_named::<Secret>("spare").await.map(drop).unwrap_err();
    assert_eq!(spare.to_string(), "Secret \"spare\": it is private to module keeper");
    assert!(container.try_get::<Secret>().is_none());
    assert!(container.try_get_named::<Secret>("spare").is_none());
}

#[tokio::test]
async fn a_hook_is_refused_what_is_private_to_a_module_that_it_is_not_of() {
    let log = Log::default();
    let seen = log.clone();
    let others = module("others", move |m| {
        let seen = seen.clone();
        m.on_server_ready(async move |container| {
            refused(&container).await;
            seen.add("module");
            Err(container.get::<Secret>().await.map(drop).unwrap_err())
        });
        Ok(())
    });
    let (before, own) = (log.clone(), log.clone());
    let bootstrap = fake()
        .module(keeper())
        .module(others)
        .before(async move |container| {
            refused(&container).await;
            before.add("before");
            Ok(())
        })
        .on_ready(async move |container| {
            refused(&container).await;
            own.add("bootstrap");
            Ok(())
        });
    let error = test(bootstrap).await.unwrap_err();
    assert_eq!(error.to_string(), format!("hook on_server_ready of module others: {REFUSED}"));
    assert_eq!(log.entries(), ["before", "bootstrap", "module"]);
}

#[tokio::test]
async fn a_hook_that_declares_what_is_private_elsewhere_does_not_start() {
    let bootstrap =
        fake().module(keeper()).hook(HookPoint::OnReady, async |_: Inject<Secret>| Ok(()));
    let error = test(bootstrap).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "hook on_ready of the bootstrap → Secret: it is private to module keeper",
    );
}
