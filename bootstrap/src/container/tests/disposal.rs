//! Everything is given back, dependents first, whatever fails.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{Log, PATIENCE, container};
use crate::{Error, Result, container::Container};

struct Pool;
struct Repo(#[allow(dead_code, reason = "held, as a user would")] Arc<Pool>);
struct Service(#[allow(dead_code, reason = "held, as a user would")] Arc<Repo>);
struct Idle;

async fn repo(pool: Arc<Pool>) -> Result<Repo> {
    Ok(Repo(pool))
}

async fn service(repo: Arc<Repo>) -> Result<Service> {
    Ok(Service(repo))
}

fn logged<T: ?Sized>(
    log: &Log,
    entry: &'static str,
) -> impl Fn(Arc<T>) -> std::future::Ready<Result<()>> + use<T> {
    let log = log.clone();
    move |_| {
        log.add(entry);
        std::future::ready(Ok(()))
    }
}

fn layered(log: &Log) -> Container {
    container(|b| {
        b.provide_with(service).on_dispose(logged(log, "service"));
        b.provide_with(repo).on_dispose(logged(log, "repo"));
        b.provide_with(async || Ok(Pool)).on_dispose(logged(log, "pool"));
        b.provide_with(async || Ok(Idle)).on_dispose(logged(log, "idle"));
        b.provide_value(Arc::new(1_u8)).on_dispose(logged(log, "value"));
    })
}

#[tokio::test]
async fn dependents_go_first_once_and_what_was_never_built_stays() {
    let log = Log::default();
    let container = layered(&log);
    container.get::<Service>().await.unwrap();
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    assert_eq!(log.entries(), ["service", "repo", "pool", "value"]);
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    assert_eq!(log.entries().len(), 4, "once");
    let late = container.get::<Idle>().await.map(|_| ()).unwrap_err();
    assert!(late.to_string().contains("the process is stopping"), "{late}");
    assert!(container.get::<Service>().await.is_ok(), "what exists can be had to the end");
}

#[tokio::test(start_paused = true)]
async fn an_error_a_panic_and_a_hang_are_told_and_skip_nobody() {
    let log = Log::default();
    let container = container(|b| {
        b.provide_with(async || Ok(Pool)).on_dispose(logged(&log, "pool"));
        b.provide_with(repo).on_dispose(async |_| panic!("no more"));
        b.provide_with(service).on_dispose(async |_| Err(Error::other("busy")));
        b.provide_with(async |_: Arc<Service>| Ok(Idle)).on_dispose(async |_| pending().await);
    });
    container.get::<Idle>().await.unwrap();
    let errors = container.dispose_all(Duration::from_secs(5)).await;
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "disposing of Idle (module test): it took longer than 1.25s, and was cut off",
            "disposing of Service (module test): busy",
            "disposing of Repo (module test): panicked: no more",
        ],
    );
    assert_eq!(log.entries(), ["pool"]);
}

#[tokio::test]
async fn what_is_being_built_is_finished_and_then_disposed_of() {
    let (log, started, gate) = (Log::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let container = container(|b| {
        let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
        b.provide_with(move || {
            let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
            async move {
                started.notify_one();
                gate.notified().await;
                Ok(Pool)
            }
        })
        .on_dispose(logged(&log, "pool"));
    });
    let caller = tokio::spawn({
        let container = container.clone();
        async move { container.get::<Pool>().await.map(|_| ()) }
    });
    started.notified().await;
    assert_eq!(container.under_construction()[0].to_string(), "Pool");
    let disposal = container.dispose_all(PATIENCE);
    let (errors, ()) = tokio::join!(disposal, async { gate.notify_one() });
    assert!(errors.is_empty());
    assert_eq!(log.entries(), ["pool"]);
    caller.await.unwrap().unwrap();
    assert!(container.under_construction().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_never_gets_built_is_cut_off_and_told() {
    let container = container(|b| {
        b.provide_with(async || {
            let () = pending().await;
            Ok(Pool)
        });
    });
    let caller = tokio::spawn({
        let container = container.clone();
        async move { container.get::<Pool>().await.map(|_| ()) }
    });
    while container.under_construction().is_empty() {
        tokio::task::yield_now().await;
    }
    let errors = container.dispose_all(Duration::from_secs(2)).await;
    assert_eq!(
        errors[0].to_string(),
        "Pool (module test): it was still being built after 1s, and was cut off",
    );
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "Pool (module test): its construction was stopped");
}

#[tokio::test]
async fn a_cancelled_disposal_goes_on_with_the_next_call() {
    let (log, started) = (Log::default(), Arc::new(Notify::new()));
    let container = container(|b| {
        let started = Arc::clone(&started);
        b.provide_with(async || Ok(Pool)).on_dispose(logged(&log, "pool"));
        b.provide_with(repo).on_dispose(move |_| {
            started.notify_one();
            pending()
        });
    });
    container.get::<Repo>().await.unwrap();
    let first = tokio::spawn({
        let container = container.clone();
        async move { container.dispose_all(PATIENCE).await }
    });
    started.notified().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    assert_eq!(log.entries(), ["pool"]);
}
