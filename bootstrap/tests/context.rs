//! The call for code that has no argument of it, and what modules add to it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use polyport::{
    Context, Fault, Module, Tasks, module,
    operation::{Call, Ctx},
};
use support::{
    Log,
    calls::{alone, answer, call, call_with, fake, prepared, reason, soon, text},
};

/// Deep down, where nobody has the context.
fn request_id() -> Option<String> {
    Context::current().map(|context| context.request_id.to_string())
}

async fn is_current(Ctx(context): Ctx) -> Result<&'static str, Fault> {
    let own = Some(context.request_id.to_string());
    assert_eq!(request_id(), own);
    tokio::task::yield_now().await;
    assert_eq!(request_id(), own);
    assert_eq!(tokio::spawn(async { request_id() }).await.unwrap(), None, "another task");
    let spawned = tokio::spawn(context.within(async { request_id() }));
    assert_eq!(spawned.await.unwrap(), own, "a task of the call");
    Ok("seen")
}

#[tokio::test]
async fn the_call_is_found_everywhere_in_it_and_nowhere_else() {
    let bootstrap = fake()
        .pipeline(|p| {
            p.guard(|context: &Context| {
                assert_eq!(request_id().as_deref(), Some(context.request_id.as_str()));
                Ok(())
            })
        })
        .module(module("m", |m| {
            answer(m, "default", "seen", is_current);
            Ok(())
        }));
    let app = soon(alone(bootstrap)).await.unwrap();
    let (one, two) = tokio::join!(call(&app, "seen"), call(&app, "seen"));
    assert_eq!((text(&one), text(&two)), ("seen", "seen"));
    assert_eq!(request_id(), None);
    soon(app.close()).await.unwrap();
}

#[derive(Clone)]
struct Stamp(Arc<str>, Log);

fn stamps(log: &Log) -> impl Module {
    let log = log.clone();
    module("stamps", move |m| {
        let log = log.clone();
        m.provide_with(move |context: Context| {
            let stamp = Stamp(context.operation().name().into(), log.clone());
            async move { Ok::<_, polyport::Error>(stamp) }
        })
        .request()
        .on_dispose(async |stamp: Arc<Stamp>| {
            stamp.1.add(format!("disposed of that of {}", stamp.0));
            Ok(())
        });
        Ok(())
    })
}

#[tokio::test]
async fn a_task_has_a_context_of_its_own_under_its_name() {
    let log = Log::default();
    let app = soon(alone(fake().module(stamps(&log)))).await.unwrap();
    let tasks = app.container().try_get::<Tasks>().unwrap();
    let (own, done) = (log.clone(), Arc::new(tokio::sync::Notify::new()));
    let told = Arc::clone(&done);
    tasks.spawn("poller", async move {
        let context = Context::current().expect("a task has one");
        assert_eq!(context.protocol.as_str(), "internal");
        let stamp = context.get::<Stamp>().await?;
        own.add(format!("made for {}", stamp.0));
        told.notify_one();
        Ok(())
    });
    soon(done.notified()).await;
    soon(app.close()).await.unwrap();
    assert_eq!(log.entries(), ["made for poller", "disposed of that of poller"]);
}

#[tokio::test]
async fn an_anonymous_call_disposes_of_its_values_at_its_end_also_after_a_panic() {
    let log = Log::default();
    let app = soon(alone(fake().module(stamps(&log)))).await.unwrap();
    for name in ["nightly", "panics"] {
        let container = app.container().clone();
        let work = async move {
            let context = Context::anonymous(name, container);
            let own = context.clone();
            context
                .run(async move {
                    own.get::<Stamp>().await.unwrap();
                    assert!(name != "panics", "on purpose");
                })
                .await;
        };
        assert_eq!(soon(tokio::spawn(work)).await.is_err(), name == "panics");
    }
    let disposed = ["nightly", "panics"].map(|name| format!("disposed of that of {name}"));
    assert_eq!(log.entries(), disposed);
    soon(app.close()).await.unwrap();
}

struct Tenant(String);
struct Again;
struct Cycle;

fn tenants(computed: &Arc<AtomicUsize>) -> impl Module {
    let computed = Arc::clone(computed);
    module("tenants", move |m| {
        let counted = Arc::clone(&computed);
        m.extend_context(move |context: &Context| {
            counted.fetch_add(1, Relaxed);
            Some(Tenant(context.metadata.get("x-tenant")?.to_str().ok()?.to_owned()))
        });
        m.extend_context(|context: &Context| {
            assert!(context.value::<Cycle>().is_none(), "whoever computes a value has none yet");
            context.value::<Tenant>().map(|_| Again)
        });
        m.extend_context(|context: &Context| context.value::<Again>().map(|_| Cycle));
        answer(m, "default", "tenant", async |Ctx(context): Ctx| {
            let is_acme = context.value::<Tenant>().is_some_and(|tenant| tenant.0 == "acme");
            if is_acme { Ok("acme") } else { Err(Fault::not_found("NO_TENANT", "none")) }
        });
        answer(m, "default", "unasked", async || Ok::<_, Fault>("not asked for"));
        Ok(())
    })
}

fn of(name: &'static str) -> impl FnOnce(&mut Call) {
    move |call| drop(call.metadata.insert("x-tenant", name.parse().unwrap()))
}

#[tokio::test]
async fn a_module_extends_calls_by_a_value_that_is_computed_once_and_only_when_asked_for() {
    let computed = Arc::new(AtomicUsize::new(0));
    let app = soon(alone(fake().module(tenants(&computed)))).await.unwrap();
    assert_eq!(text(&call_with(&app, "unasked", of("acme")).await), "not asked for");
    assert_eq!(computed.load(Relaxed), 0);
    assert_eq!(text(&call_with(&app, "tenant", of("acme")).await), "acme");
    assert_eq!(reason(&call(&app, "tenant").await), "NO_TENANT");
    assert_eq!(computed.load(Relaxed), 2, "once for each call, also where it comes to nothing");

    let (_, context) = prepared(&app, "tenant", of("acme"));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| assert_eq!(context.value::<Tenant>().unwrap().0, "acme"));
        }
    });
    assert_eq!(computed.load(Relaxed), 3);
    assert!(context.value::<Again>().is_some(), "one may ask for another");
    context.set(Tenant("left by a guard".to_owned()));
    assert_eq!(context.value::<Tenant>().unwrap().0, "left by a guard");
    drop(context);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn two_modules_that_extend_calls_by_one_type_are_refused_by_name() {
    let extends = |name: &'static str| {
        module(name, |m| {
            m.extend_context(|_: &Context| Some(Again));
            Ok(())
        })
    };
    let error = soon(alone(fake().module(extends("one")).module(extends("two")))).await;
    let text = format!("{:?}", error.expect_err("is said twice"));
    assert!(text.contains("module one and module two both extend the context by"), "{text}");
}

#[tokio::test]
async fn a_call_passes_its_trace_baggage_request_id_and_time_on() {
    let app = soon(alone(fake().module(tenants(&Arc::default())))).await.unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (_, context) = prepared(&app, "unasked", |call| {
        call.metadata.insert("traceparent", parent.parse().unwrap());
        call.metadata.insert("baggage", "tenant=acme".parse().unwrap());
        call.deadline = Some(tokio::time::Instant::now() + std::time::Duration::from_secs(60));
    });
    let mut headers = http::HeaderMap::new();
    context.inject(&mut headers);
    let ours = headers["traceparent"].to_str().unwrap();
    assert_eq!(ours, context.trace().to_string());
    assert!(ours.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && ours != parent);
    assert_eq!(context.caller_trace().unwrap().to_string(), parent);
    assert_eq!(headers["baggage"], "tenant=acme");
    assert_eq!(headers["x-request-id"], context.request_id.as_str());
    let left: u64 = headers["x-request-timeout-ms"].to_str().unwrap().parse().unwrap();
    assert!(left > 30_000 && left <= 60_000, "{left}");

    let (_, first) = prepared(&app, "unasked", |_| {});
    assert!(first.caller_trace().is_none() && first.baggage().is_empty());
    assert_eq!(first.trace(), first.trace(), "one span for the whole call");
    drop((context, first));
    soon(app.close()).await.unwrap();
}
