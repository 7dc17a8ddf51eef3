//! What belongs to a call: built where an operation takes it, and gone when the call is.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::{sync::Arc, time::Duration};

use polyport::{
    Bootstrap, Context, Fault, Provide, Result,
    container::{ContainerBuilder, Lazy},
    module,
    operation::{Call, Ctx, Endpoint, Inject, NoInput, Operation, Protocol},
    testing::{TestApp, create_bootstrap},
};
use support::{Fake, Log};
use tokio::{sync::Notify, time::timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const TEST: Protocol = Protocol::new("test");

#[derive(Provide)]
#[provide(scope = "request", dispose = commit)]
struct Tx {
    #[inject]
    context: Context,
    #[inject]
    log: Arc<Log>,
}

impl Tx {
    async fn commit(&self) -> Result<()> {
        self.log.add(format!("commit {}", self.context.request_id));
        Ok(())
    }
}

#[derive(Provide)]
#[provide(scope = "request")]
struct Repo {
    #[inject]
    tx: Arc<Tx>,
    #[inject]
    stamp: Arc<Stamp>,
}

#[derive(Provide)]
#[provide(scope = "transient")]
struct Stamp {
    #[inject]
    ctx: Ctx,
}

#[derive(Provide)]
struct Gate {
    #[default]
    reached: Notify,
}

async fn save(
    Ctx(context): Ctx,
    Inject(repo): Inject<Repo>,
    Inject(tx): Inject<Tx>,
    Inject(log): Inject<Log>,
) -> Result<String, Fault> {
    assert!(Arc::ptr_eq(&repo.tx, &tx));
    assert_eq!(repo.stamp.ctx.request_id.as_str(), context.request_id.as_str());
    log.add("saved");
    Ok(context.request_id.to_string())
}

async fn fails(_: Inject<Tx>, Inject(log): Inject<Log>) -> Result<String, Fault> {
    log.add("fails");
    Err(Fault::not_found("NOBODY", "nobody"))
}

async fn panics(_: Inject<Tx>) -> Result<String, Fault> {
    panic!("no")
}

async fn hangs(_: Inject<Tx>, Inject(gate): Inject<Gate>) -> Result<String, Fault> {
    gate.reached.notify_one();
    std::future::pending().await
}

async fn app(log: &Log) -> TestApp {
    let value = log.clone();
    let bootstrap =
        Bootstrap::new().load(Fake::new(&Log::default())).module(module("m", move |m| {
            m.provide_value(Arc::new(value.clone()));
            m.provide::<Tx>().provide::<Repo>().provide::<Stamp>().provide::<Gate>();
            Ok(())
        }));
    create_bootstrap(bootstrap).root("no/such/folder").await.unwrap()
}

fn endpoint<M: 'static>(
    operation: impl Operation<M, Input = NoInput, Output = String>,
) -> Endpoint {
    Endpoint::json(operation)
}

fn text(reply: Result<polyport::operation::Reply, Fault>) -> String {
    reply.unwrap().value::<String>().unwrap().clone()
}

fn context(app: &TestApp, endpoint: &Endpoint) -> Context {
    Context::new(Call::new(TEST, Arc::clone(endpoint.info()), app.container().clone()))
}

#[tokio::test]
async fn every_call_has_its_own_values_and_disposes_of_them_after_the_answer() {
    let log = Log::default();
    let app = app(&log).await;
    let endpoint = endpoint(save);
    let (one, two) = (context(&app, &endpoint), context(&app, &endpoint));
    let first = text(endpoint.call(&one).await);
    let second = text(endpoint.call(&two).await);
    assert_ne!(first, second);
    let commits = [format!("commit {first}"), format!("commit {second}")];
    assert_eq!(log.entries(), ["saved", &commits[0], "saved", &commits[1]]);
    drop((one, two));
    app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_the_same_time_share_nothing() {
    let log = Log::default();
    let app = app(&log).await;
    let endpoint = endpoint(save);
    let calls = (0..300).map(|_| {
        let (context, endpoint) = (context(&app, &endpoint), endpoint.clone());
        tokio::spawn(async move { text(endpoint.call(&context).await) })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        let request_id = timeout(PATIENCE, call).await.unwrap().unwrap();
        assert_eq!(log.count(&format!("commit {request_id}")), 1);
    }
    assert_eq!(log.entries().len(), 600);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_call_that_fails_panics_or_is_dropped_ends_its_values_too() {
    let log = Log::default();
    let app = app(&log).await;
    for endpoint in [endpoint(fails), endpoint(panics)] {
        let context = context(&app, &endpoint);
        let commit = format!("commit {}", context.request_id);
        assert!(endpoint.call(&context).await.is_err());
        assert_eq!(log.count(&commit), 1);
    }
    let endpoint = endpoint(hangs);
    let context = context(&app, &endpoint);
    let commit = format!("commit {}", context.request_id);
    let call = tokio::spawn({
        let context = context.clone();
        async move { endpoint.call(&context).await }
    });
    let gate = app.container().get::<Gate>().await.unwrap();
    timeout(PATIENCE, gate.reached.notified()).await.unwrap();
    assert_eq!(log.count(&commit), 0);
    call.abort();
    timeout(PATIENCE, async {
        while log.count(&commit) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("is disposed of behind the dropped call");
    drop((context, gate));
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_value_that_holds_its_context_is_freed_with_the_call() {
    let log = Log::default();
    let app = app(&log).await;
    let endpoint = endpoint(save);
    let before = Arc::strong_count(&app.container().get::<Log>().await.unwrap());
    endpoint.call(&context(&app, &endpoint)).await.unwrap();
    let after = Arc::strong_count(&app.container().get::<Log>().await.unwrap());
    assert_eq!(before, after, "the call's Tx holds the log no more");
    app.close().await.unwrap();
}

#[tokio::test]
async fn what_only_has_to_be_dropped_is_dropped_in_reverse_when_the_call_ends_whoever_holds_it() {
    #[derive(Provide)]
    #[provide(scope = "request")]
    struct First {
        #[inject]
        log: Arc<Log>,
    }
    #[derive(Provide)]
    #[provide(scope = "request")]
    struct Second {
        #[inject]
        log: Arc<Log>,
    }
    impl Drop for First {
        fn drop(&mut self) {
            self.log.add("first");
        }
    }
    impl Drop for Second {
        fn drop(&mut self) {
            self.log.add("second");
        }
    }
    async fn takes(_: Inject<First>, _: Inject<Second>) -> Result<String, Fault> {
        Ok(String::new())
    }
    let log = Log::default();
    let value = log.clone();
    let bootstrap =
        Bootstrap::new().load(Fake::new(&Log::default())).module(module("m", move |m| {
            m.provide_value(Arc::new(value.clone()));
            m.provide::<First>().provide::<Second>();
            Ok(())
        }));
    let app = create_bootstrap(bootstrap).root("no/such/folder").await.unwrap();
    let endpoint = endpoint(takes);
    endpoint.call(&context(&app, &endpoint)).await.unwrap();
    assert_eq!(log.entries(), ["second", "first"]);
    let held = context(&app, &endpoint);
    endpoint.call(&held).await.unwrap();
    assert_eq!(log.entries(), ["second", "first", "second", "first"]);
    drop(held);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_singleton_that_takes_a_value_of_a_call_does_not_start() {
    #[derive(Provide)]
    struct Cache {
        #[inject]
        _tx: Arc<Tx>,
        #[inject]
        _other: Lazy<Gate>,
    }
    let bootstrap = Bootstrap::new().load(Fake::new(&Log::default())).module(module("m", |m| {
        m.provide_value(Arc::new(Log::default()));
        m.provide::<Tx>().provide::<Cache>().provide::<Gate>();
        Ok(())
    }));
    let error = create_bootstrap(bootstrap).root("no/such/folder").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Cache → Tx: Cache is one for the process, and Tx ends with its call",
    );
}

#[tokio::test]
async fn a_before_hook_inserts_what_a_module_expects() {
    struct Licence(&'static str);
    struct Product(&'static str);
    let bootstrap = || {
        Bootstrap::new().load(Fake::new(&Log::default())).module(module("licence", |m| {
            m.expects::<Licence>("with the answer of the licence server");
            m.provide_with(async |licence: Arc<Licence>| Ok(Product(licence.0))).eager();
            Ok(())
        }))
    };
    let fetched = bootstrap().before(async |container| container.insert(Arc::new(Licence("gold"))));
    let app = create_bootstrap(fetched).root("no/such/folder").await.unwrap();
    assert_eq!(app.container().get::<Product>().await.unwrap().0, "gold");
    app.close().await.unwrap();
    let forgotten = create_bootstrap(bootstrap()).root("no/such/folder").await.unwrap_err();
    assert_eq!(
        forgotten.to_string(),
        "Product → Licence: it has not come, though promised with the answer of the licence server",
    );
}

#[tokio::test]
async fn a_constructor_that_hangs_fails_the_start_by_name() {
    struct Stuck;
    let bootstrap = Bootstrap::new().load(Fake::new(&Log::default())).module(module("m", |m| {
        m.provide_with(async || {
            let () = std::future::pending().await;
            Ok(Stuck)
        })
        .eager();
        Ok(())
    }));
    let start =
        create_bootstrap(bootstrap).root("no/such/folder").config("startup.singleton", "20ms");
    let error = timeout(PATIENCE, async { start.await }).await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "Stuck (module m): its constructor is not finished after 20ms, and was cut off",
    );
}

#[test]
fn an_attribute_and_a_registration_say_the_same() {
    let mut builder = ContainerBuilder::new();
    builder.provide::<Stamp>().transient();
    assert_eq!(Stamp::SCOPE.as_str(), "transient");
}
