//! What tests put in the place of providers, and what bootstraps know of each other.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::sync::Arc;

use polyport::{
    Bootstrap, Config, HookPoint, Module, Provide, Result,
    config::{ConfigBuilder, Environment},
    module,
    operation::Inject,
    testing::create_bootstrap,
};
use support::{Fake, FakeApp, Log};

trait View: Send + Sync {
    fn number(&self) -> u8;
}

struct Plain(u8);

impl View for Plain {
    fn number(&self) -> u8 {
        self.0
    }
}

struct Named(u8);
struct Secret(u8);

#[derive(Provide)]
#[provide(scope = "request", init = never)]
struct Tx {
    #[default]
    number: u8,
}

impl Tx {
    #[allow(clippy::unused_async, reason = "the shape that the attribute asks for")]
    async fn never(&mut self) -> Result<()> {
        unreachable!("is overridden")
    }
}

async fn never<T>() -> Result<T> {
    unreachable!("is overridden")
}

/// Everything in it is constructed at start, and fails.
fn failing() -> impl Module {
    module("failing", |m| {
        m.provide_with(never::<Plain>).eager();
        m.provide_with(never::<Named>).named("one").eager();
        m.private(|m| {
            m.provide_with(never::<Secret>).eager();
        });
        m.alias::<dyn View, Plain>(|plain| plain).provide::<Tx>();
        m.expects::<u8>("never");
        m.family("shards", |_: u8, _: String| never::<u16>());
        m.hook(HookPoint::OnReady, async |view: Arc<dyn View>, _: Inject<Plain>| {
            assert_eq!(view.number(), 1, "the alias shows what was put there");
            Ok(())
        });
        Ok(())
    })
}

#[tokio::test]
async fn whatever_is_overridden_is_never_constructed() {
    let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder");
    let config = config.module_defaults("a", serde_json::json!({ "mine": true })).build().unwrap();
    let app = create_bootstrap(Bootstrap::new().load(Fake::new(&Log::default())).module(failing()))
        .root("no/such/folder")
        .config("shards.clients.a", 1)
        .override_value(Arc::new(Plain(1)))
        .override_named("one", Arc::new(Named(2)))
        .override_value(Arc::new(Secret(3)))
        .override_value(Arc::new(4_u8))
        .override_named("a", Arc::new(5_u16))
        .override_value(Arc::new(Tx { number: 6 }))
        .override_value(Arc::new(config))
        .await
        .unwrap();
    let container = app.container();
    assert_eq!(container.get_named::<Named>("one").await.unwrap().0, 2);
    assert_eq!(container.get::<Secret>().await.unwrap().0, 3);
    assert_eq!(*container.get::<u8>().await.unwrap(), 4);
    assert_eq!(*container.get_named::<u16>("a").await.unwrap(), 5);
    assert_eq!(container.get::<Tx>().await.unwrap().number, 6, "a value lives as long as any");
    assert!(container.get::<Config>().await.unwrap().contains("mine"));
    assert!(container.app::<FakeApp>().is_ok());
    app.close().await.unwrap();
}

#[tokio::test]
async fn two_bootstraps_in_one_process_know_nothing_of_each_other() {
    let start = async |number: u8| {
        let numbers = module("numbers", move |m| {
            m.provide_with(move || std::future::ready(Ok::<_, polyport::Error>(Plain(number))));
            Ok(())
        });
        let bootstrap = Bootstrap::new().load(Fake::new(&Log::default())).module(numbers);
        create_bootstrap(bootstrap).root("no/such/folder").await.unwrap()
    };
    let (one, two) = tokio::join!(start(1), start(2));
    assert_eq!(one.container().get::<Plain>().await.unwrap().0, 1);
    one.close().await.unwrap();
    assert_eq!(two.container().get::<Plain>().await.unwrap().0, 2, "the other goes on");
    two.close().await.unwrap();
}
