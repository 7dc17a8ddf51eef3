//! One for the process, one for each call, one for each that takes it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Barrier;

use super::{Log, PATIENCE, container, refused};
use crate::{
    Error, Result,
    container::{
        CallScope, CallValue, Caller, Container, ContainerBuilder, Dependency, Injectable, Key,
        Lazy, Provide, Resolver, Root, Scope,
    },
};

/// A call as the container sees it.
#[derive(Default)]
struct Call {
    number: u64,
    scope: CallScope,
}

impl Caller for Call {
    fn scope(&self) -> &CallScope {
        &self.scope
    }

    fn own(&self, key: &Key) -> Option<CallValue> {
        (*key == Key::of::<u64>()).then(|| CallValue::new(self.number))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[derive(Debug)]
struct Tx(u64);
struct Cache;
struct Id(usize);

impl Provide for Tx {
    const SCOPE: Scope = Scope::Request;

    fn dependencies() -> Vec<Dependency> {
        vec![Dependency::required(Key::of::<u64>())]
    }

    async fn construct(resolver: Resolver<'_>) -> Result<Self> {
        Ok(Self(*resolver.get::<u64>()?))
    }
}

fn counted(counter: &Arc<AtomicUsize>) -> impl Fn() -> std::future::Ready<Result<Id>> + use<> {
    let counter = Arc::clone(counter);
    move || std::future::ready(Ok(Id(counter.fetch_add(1, Ordering::SeqCst))))
}

fn calls(register: impl FnOnce(&mut ContainerBuilder)) -> Container {
    container(|b| {
        b.expect_of_calls::<u64>();
        register(b);
    })
}

#[tokio::test]
async fn a_call_has_one_of_its_own_and_another_call_another() {
    struct Repo(Arc<Tx>);
    let container = calls(|b| {
        b.provide::<Tx>();
        b.provide_with(async |tx: Arc<Tx>, _: Arc<Cache>| Ok(Repo(tx))).request();
        b.provide_with(async || Ok(Cache));
    });
    let (one, two) = (Call { number: 1, ..Call::default() }, Call { number: 2, ..Call::default() });
    let tx = container.get_in::<Tx>(&one).await.unwrap();
    let repo = container.get_in::<Repo>(&one).await.unwrap();
    assert!(Arc::ptr_eq(&repo.0, &tx) && tx.0 == 1);
    assert_eq!(container.get_in::<Tx>(&two).await.unwrap().0, 2);
    assert!(container.try_get::<Tx>().is_none());
    assert!(container.try_get::<Cache>().is_some(), "a singleton is the process's");
}

#[tokio::test]
async fn two_tasks_of_one_call_that_build_at_once_have_the_same_value() {
    let both = Arc::new(Barrier::new(2));
    let container = calls(|b| {
        let both = Arc::clone(&both);
        b.provide_with(move || {
            let both = Arc::clone(&both);
            async move { Ok(Id(usize::from(both.wait().await.is_leader()))) }
        })
        .request();
    });
    let call = Call::default();
    let builds = async { tokio::join!(container.get_in::<Id>(&call), container.get_in(&call)) };
    let (one, other) = tokio::time::timeout(PATIENCE, builds).await.expect("neither waits");
    assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
}

#[tokio::test]
async fn a_value_of_a_call_does_without_what_nobody_provides() {
    let container = calls(|b| {
        b.provide_with(async |cache: Option<Arc<Cache>>, all: Vec<Arc<Cache>>, _: Lazy<Id>| {
            assert!(cache.is_none() && all.is_empty());
            Ok(Tx(1))
        })
        .request();
        b.provide_value(Arc::new(Id(0)));
    });
    assert_eq!(container.get_in::<Tx>(&Call::default()).await.unwrap().0, 1);
}

#[tokio::test]
async fn whoever_takes_a_transient_value_has_a_new_one() {
    struct Holder(Arc<Id>);
    struct Other(Arc<Id>, Option<Arc<Id>>);
    let counter = Arc::new(AtomicUsize::new(0));
    let container = container(|b| {
        b.provide_with(counted(&counter)).transient();
        b.provide_with(async |id: Arc<Id>| Ok(Holder(id)));
        b.provide_with(async |id: Arc<Id>, again: Option<Arc<Id>>| Ok(Other(id, again)));
    });
    let holder = container.get::<Holder>().await.unwrap();
    let other = container.get::<Other>().await.unwrap();
    assert_ne!(holder.0.0, other.0.0);
    assert_eq!(other.1.as_ref().unwrap().0, other.0.0, "one for each that takes it");
    let (a, b) = (container.get::<Id>().await.unwrap(), container.get::<Id>().await.unwrap());
    assert_ne!(a.0, b.0);
    assert_ne!(container.resolve::<Arc<Id>>().await.unwrap().0, b.0);
    assert_eq!(counter.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn an_alias_and_a_list_have_the_scope_of_what_they_show() {
    trait Named: Send + Sync {
        fn number(&self) -> u64;
    }
    impl Named for Tx {
        fn number(&self) -> u64 {
            self.0
        }
    }
    struct All(Vec<Arc<dyn Named>>);
    let container = calls(|b| {
        b.bind::<dyn Named, Tx>(|tx| tx);
        b.provide_with(async |all: Vec<Arc<dyn Named>>| Ok(All(all))).request();
    });
    let call = Call { number: 7, ..Call::default() };
    assert_eq!(container.get_in::<dyn Named>(&call).await.unwrap().number(), 7);
    assert_eq!(container.get_in::<All>(&call).await.unwrap().0[0].number(), 7);
}

#[tokio::test]
async fn the_end_of_a_call_disposes_in_reverse_whatever_fails() {
    let log = Log::default();
    struct Repo;
    let container = calls(|b| {
        let (tx, repo) = (log.clone(), log.clone());
        b.provide::<Tx>().on_dispose(move |tx_value: Arc<Tx>| {
            tx.add(format!("tx {}", tx_value.0));
            async { Ok(()) }
        });
        b.provide_with(async |_: Arc<Tx>| Ok(Repo)).request().on_dispose(move |_| {
            repo.add("repo");
            async { Err(Error::other("no")) }
        });
        b.provide_with(async |_: Arc<Repo>| Ok(Cache))
            .request()
            .on_dispose(async |_| panic!("no more"));
    });
    let call = Call { number: 3, ..Call::default() };
    assert!(call.scope.is_empty());
    container.get_in::<Cache>(&call).await.unwrap();
    assert!(!call.scope.is_empty());
    call.scope.close(&container).await;
    call.scope.close(&container).await;
    assert_eq!(log.entries(), ["repo", "tx 3"]);
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    assert_eq!(log.entries().len(), 2, "the process has nothing of a call");
}

#[tokio::test(start_paused = true)]
async fn a_disposal_that_hangs_ends_with_its_deadline() {
    let container = calls(|b| {
        b.provide::<Tx>().on_dispose(|_| std::future::pending());
    });
    let call = Call::default();
    container.get_in::<Tx>(&call).await.unwrap();
    tokio::time::timeout(PATIENCE, call.scope.close(&container)).await.expect("is cut off");
}

#[tokio::test]
async fn a_failed_build_names_its_path_and_is_tried_again() {
    struct Repo;
    let attempts = Arc::new(AtomicUsize::new(0));
    let container = calls(|b| {
        let attempts = Arc::clone(&attempts);
        b.provide_with(async |_: Arc<Id>| Ok(Repo)).request();
        b.provide_with(move || {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            assert_ne!(attempt, 1, "second");
            async move { if attempt == 0 { Err(Error::other("first")) } else { Ok(Id(attempt)) } }
        })
        .request();
    });
    let call = Call::default();
    let first = container.get_in::<Repo>(&call).await.map(|_| ()).unwrap_err();
    assert_eq!(first.to_string(), "Repo → Id (module test): first");
    let second = container.get_in::<Repo>(&call).await.map(|_| ()).unwrap_err();
    assert!(second.to_string().starts_with("Repo → Id (module test): panicked: "), "{second}");
    container.get_in::<Repo>(&call).await.unwrap();
}

#[tokio::test]
async fn outside_of_a_call_there_is_none() {
    let container = calls(|b| {
        b.provide::<Tx>();
    });
    let error = container.get::<Tx>().await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "Tx (module test): it exists once for each call, and there is no call here\n  help: take \
         it in an operation (Inject<…>) or in what belongs to a call too\n",
    );
}

#[tokio::test]
async fn singletons_behind_a_call_are_built_at_start_and_values_of_calls_are_not() {
    struct Repo;
    let log = Log::default();
    let container = calls(|b| {
        let log = log.clone();
        b.provide_with(async |_: Arc<Cache>| Ok(Repo)).request();
        b.provide_with(move || {
            log.add("built");
            async { Ok(Cache) }
        });
    });
    let root = Root::of::<Arc<Repo>>("GET /").per_call();
    container.check(std::slice::from_ref(&root)).unwrap();
    let times = container.build_reachable(&[root]).await.unwrap();
    assert_eq!((times.len(), log.count("built")), (1, 1));
}

#[test]
fn a_singleton_that_holds_a_value_of_a_call_is_told_with_its_path() {
    let mut builder = ContainerBuilder::new();
    builder.expect_of_calls::<u64>();
    builder.provide::<Tx>();
    builder.provide_with(async |_: Arc<Tx>| Ok(Id(0))).transient();
    builder.provide_with(async |_: Arc<Id>| Ok(Cache));
    let root = Root::of::<Arc<Cache>>("HTTP GET /users").per_call();
    let error = builder.build_for(&[root]).unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "HTTP GET /users → Cache → Id → Tx: Cache is one for the process, and Tx ends with its \
         call\n  \
         help: make Cache request-scoped too (scope = \"request\", or .request()), or give it \
         what it\n      \
         needs of Tx as an argument of its methods\n",
    );
}

#[test]
fn whatever_is_no_call_cannot_have_a_value_of_one() {
    let container = calls(|b| {
        b.provide::<Tx>();
    });
    let roots = [
        Root::of::<Arc<Tx>>("hook on_ready"),
        Root::of::<Arc<Tx>>("HTTP GET /").per_call(),
        Root::of::<Lazy<Tx>>("HTTP GET /lazy").per_call(),
    ];
    assert_eq!(
        format!("{:?}", container.check(&roots[..2]).unwrap_err()),
        "hook on_ready → Tx: Tx exists only within a call\n  help: make Tx a singleton, or take it \
         in an operation\n",
    );
}

#[test]
fn a_lazy_value_of_a_call_is_refused_even_within_a_call() {
    let report = refused(|b| {
        b.expect_of_calls::<u64>();
        b.provide::<Tx>();
        b.provide_with(async |_: Lazy<Tx>| Ok(Cache)).request();
    });
    assert_eq!(
        report,
        "Cache → Lazy<Tx>: Tx belongs to a call, and what is lazy may be asked for after it\n  \
         help: take Arc<Tx> in something that belongs to the call too\n",
    );
}

#[test]
fn what_cannot_have_a_scope_is_told() {
    trait Named: Send + Sync {}
    impl Named for Tx {}
    let report = refused(|b| {
        b.expect_of_calls::<u64>();
        b.provide_value(Arc::new(Cache)).transient();
        b.bind::<dyn Named, Tx>(|tx| tx).request();
        b.provide_with(async || Ok(Id(0))).transient().on_dispose(async |_| Ok(()));
    });
    assert_eq!(
        report,
        "the application does not fit together: 3 faults\n  \
         Cache (module test) is a finished value and cannot be transient\n    \
         help: provide a type or a factory: those can be built more than once\n  \
         dyn Named (module test) only shows Tx and cannot be request-scoped\n    \
         help: make Tx request-scoped: what shows it lives as long\n  \
         Id (module test) is transient, so nobody would dispose of it\n    \
         help: let it be request-scoped, or give back what it holds in Drop\n",
    );
}

#[tokio::test]
async fn an_override_of_a_value_of_a_call_is_one_for_all() {
    let container = calls(|b| {
        b.provide::<Tx>();
        b.provide_with(async |tx: Arc<Tx>| Ok(Id(usize::try_from(tx.0)?)));
        b.override_value(Arc::new(Tx(9)));
    });
    assert_eq!(container.get::<Id>().await.unwrap().0, 9);
    assert_eq!(container.get_in::<Tx>(&Call::default()).await.unwrap().0, 9);
}

#[tokio::test]
async fn a_singleton_keeps_its_transient_values_needs_until_it_is_gone() {
    struct Pool;
    struct Client;
    let log = Log::default();
    let container = container(|b| {
        let (pool, cache) = (log.clone(), log.clone());
        b.provide_with(async || Ok(Pool)).on_dispose(move |_| {
            pool.add("pool");
            async { Ok(()) }
        });
        b.provide_with(async |_: Arc<Pool>| Ok(Client)).transient();
        b.provide_with(async |_: Arc<Client>| Ok(Cache)).on_dispose(move |_| {
            cache.add("cache");
            async { Ok(()) }
        });
        b.provide_with(async |_: Lazy<Cache>| Ok(Id(0)));
    });
    container.get::<Id>().await.unwrap();
    container.get::<Cache>().await.unwrap();
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    assert_eq!(log.entries(), ["cache", "pool"]);
}

#[test]
fn scopes_have_the_names_that_attributes_use() {
    let names = [Scope::Singleton, Scope::Request, Scope::Transient].map(|scope| scope.to_string());
    assert_eq!(names, ["singleton", "request", "transient"]);
    let mut needs = Vec::new();
    Option::<Arc<Tx>>::dependencies(&mut needs);
    assert_eq!(needs.len(), 1);
}
