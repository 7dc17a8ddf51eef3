//! Each value is built once, whoever asks and however they stop asking.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use super::{Log, PATIENCE, container};
use crate::{
    Error, ErrorKind, Result,
    container::{Dependency, Injectable, Key, Provide, Resolver, Root},
};

#[derive(Debug)]
struct Pool(usize);
#[derive(Debug)]
struct Service(Arc<Pool>);
#[derive(Debug)]
struct Other;

async fn service(pool: Arc<Pool>) -> Result<Service> {
    Ok(Service(pool))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_provider_is_built_once_for_a_thousand_callers() {
    let (built, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let container = container(|b| {
        let (built, gate) = (Arc::clone(&built), Arc::clone(&gate));
        b.provide_with(move || {
            let (built, gate) = (Arc::clone(&built), Arc::clone(&gate));
            async move {
                let number = built.fetch_add(1, Ordering::SeqCst);
                let _passed = gate.acquire().await?;
                Ok(Pool(number))
            }
        });
        b.provide_with(service);
    });
    let callers = (0..1000).map(|number| {
        let container = container.clone();
        tokio::spawn(async move {
            match number % 2 {
                0 => container.get::<Pool>().await.unwrap(),
                _ => Arc::clone(&container.get::<Service>().await.unwrap().0),
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    while built.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    let pools = timeout(PATIENCE, join_all(callers)).await.unwrap();
    let first = pools[0].as_ref().unwrap();
    assert!(pools.iter().all(|pool| Arc::ptr_eq(pool.as_ref().unwrap(), first)));
    assert_eq!(built.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_cancelled_caller_neither_stops_nor_repeats_the_build() {
    let (started, gate, log) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Log::default());
    let container = container(|b| {
        let (started, gate, log) = (Arc::clone(&started), Arc::clone(&gate), log.clone());
        b.provide_with(move || {
            let (started, gate, log) = (Arc::clone(&started), Arc::clone(&gate), log.clone());
            async move {
                log.add("started");
                started.notify_one();
                gate.notified().await;
                log.add("finished");
                Ok(Other)
            }
        });
    });
    let first = tokio::spawn({
        let container = container.clone();
        async move { container.get::<Other>().await }
    });
    timeout(PATIENCE, started.notified()).await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.notify_one();
    timeout(PATIENCE, container.get::<Other>()).await.unwrap().unwrap();
    assert_eq!(log.entries(), ["started", "finished"]);
}

#[tokio::test]
async fn a_failed_build_names_provider_and_path_and_is_tried_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let container = container(|b| {
        let attempts = Arc::clone(&attempts);
        b.provide_with(move || {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            async move {
                match attempt {
                    0 => Err(Error::connection("no database at localhost:5432")),
                    _ => Ok(Pool(attempt)),
                }
            }
        });
        b.provide_with(service);
    });
    let error = container.get::<Service>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.to_string(), "Service → Pool (module test): no database at localhost:5432",);
    assert_eq!(container.get::<Service>().await.unwrap().0.0, 1);
}

#[tokio::test]
async fn a_panic_in_a_constructor_is_an_error_and_can_be_tried_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let container = container(|b| {
        let attempts = Arc::clone(&attempts);
        b.provide_with(move || {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            assert_ne!(attempt, 0, "before the future");
            async move {
                assert_ne!(attempt, 1, "in the future");
                Ok(Pool(attempt))
            }
        });
    });
    let first = container.get::<Pool>().await.unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Hook);
    assert!(first.to_string().starts_with("Pool (module test): panicked: "), "{first}");
    assert!(first.to_string().contains("before the future"), "{first}");
    let second = container.get::<Pool>().await.unwrap_err();
    assert!(second.to_string().contains("in the future"), "{second}");
    assert_eq!(container.get::<Pool>().await.unwrap().0, 2);
}

#[tokio::test]
async fn independent_values_are_built_at_the_same_time() {
    let container = container(|b| {
        let meeting = Arc::new(tokio::sync::Barrier::new(2));
        let other = Arc::clone(&meeting);
        b.provide_with(move || {
            let meeting = Arc::clone(&meeting);
            async move {
                meeting.wait().await;
                Ok(Pool(0))
            }
        });
        b.provide_with(move || {
            let meeting = Arc::clone(&other);
            async move {
                meeting.wait().await;
                Ok(Other)
            }
        });
    });
    let root = Root::new("GET /", vec![needs::<Pool>(), needs::<Other>()]);
    let times = timeout(PATIENCE, container.build_reachable(&[root])).await.unwrap().unwrap();
    assert_eq!(times.len(), 2);
}

#[tokio::test]
async fn only_what_is_reached_or_eager_is_built_and_told() {
    let log = Log::default();
    let container = container(|b| {
        let (pool, other, eager) = (log.clone(), log.clone(), log.clone());
        b.provide_with(move || {
            pool.add("pool");
            async { Ok(Pool(0)) }
        });
        b.provide_with(service);
        b.provide_with(move || {
            other.add("other");
            async { Ok(Other) }
        });
        b.provide_with(move || {
            eager.add("eager");
            async { Ok(7_u8) }
        })
        .eager();
    });
    let root = Root::of::<Arc<Service>>("GET /");
    container.check(std::slice::from_ref(&root)).unwrap();
    let times = container.build_reachable(std::slice::from_ref(&root)).await.unwrap();
    let keys: Vec<String> = times.iter().map(|time| time.key.to_string()).collect();
    assert_eq!(keys.len(), 3);
    let place = |name| keys.iter().position(|key| key == name).unwrap();
    assert!(place("Pool") < place("Service"));
    assert_eq!(log.count("other"), 0);
    assert!(container.try_get::<Other>().is_none());
    assert!(container.try_get::<u8>().is_some());
    assert!(container.build_reachable(&[root]).await.unwrap().is_empty(), "each once");
    container.get::<Other>().await.unwrap();
    assert_eq!((log.count("pool"), log.count("eager"), log.count("other")), (1, 1, 1));
}

#[tokio::test]
async fn every_failure_of_a_start_is_in_one_report_with_the_way_from_its_root() {
    let container = container(|b| {
        b.provide_with(async || Err::<Pool, _>(Error::connection("refused")));
        b.provide_with(service);
        b.provide_with(async || Err::<Other, _>(Error::other("no disk"))).eager();
    });
    let roots = [Root::of::<Arc<Service>>("GET /"), Root::of::<Arc<Service>>("POST /")];
    let error = container.build_reachable(&roots).await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "2 providers could not be built\n  \
         GET / → Service → Pool (module test): refused\n  \
         Other (module test): no disk\n",
    );
}

#[tokio::test]
async fn a_resolver_refuses_what_was_not_declared() {
    #[derive(Debug)]
    struct Sly;
    impl Provide for Sly {
        fn dependencies() -> Vec<Dependency> {
            Vec::new()
        }

        async fn construct(resolver: Resolver<'_>) -> Result<Self> {
            resolver.get::<Pool>().map(|_| Self)
        }
    }
    let container = container(|b| {
        b.provide_value(Arc::new(Pool(1)));
        b.provide::<Sly>();
    });
    let error = container.get::<Sly>().await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "Sly (module test): Sly takes Pool, which it did not declare\n  \
         help: add Pool to its dependencies, so that it is built before (in a struct with\n      \
         #[derive(Provide)]: an #[inject] field)\n",
    );
}

#[tokio::test]
async fn a_constructor_that_waits_though_it_says_that_it_never_does_is_told() {
    #[derive(Debug)]
    struct Hasty;
    impl Provide for Hasty {
        const IMMEDIATE: bool = true;

        fn dependencies() -> Vec<Dependency> {
            Vec::new()
        }

        async fn construct(_: Resolver<'_>) -> Result<Self> {
            std::future::pending().await
        }
    }
    let container = container(|b| {
        b.provide::<Hasty>();
    });
    assert_eq!(
        format!("{:?}", container.get::<Hasty>().await.unwrap_err()),
        "Hasty (module test): Hasty says that its constructor never waits, and it does\n  help: \
         leave IMMEDIATE out of its implementation of Provide\n",
    );
}

#[tokio::test]
async fn an_announced_value_says_when_it_comes() {
    let container = container(|b| {
        b.announce::<Pool>("when the frameworks are built");
        b.provide_with(service);
    });
    let early = container.get::<Service>().await.unwrap_err();
    assert_eq!(
        format!("{early:?}"),
        "Service → Pool (module test): it does not exist yet; it comes when the frameworks are \
         built\n  help: ask for it after that, or let what is built after that depend on it\n",
    );
    assert_eq!(
        container.check(&[]).unwrap_err().to_string(),
        "Service → Pool: it has not come, though promised when the frameworks are built",
    );
    container.supply(Arc::new(Pool(3))).unwrap();
    container.check(&[]).unwrap();
    assert_eq!(container.get::<Service>().await.unwrap().0.0, 3);
    let twice = container.supply(Arc::new(Pool(4))).unwrap_err();
    assert_eq!(twice.to_string(), "Pool cannot be supplied: it has come already");
    let other = container.supply(Arc::new(Other)).unwrap_err();
    assert_eq!(other.to_string(), "Other cannot be supplied: it was not announced");
}

#[tokio::test]
async fn a_value_whose_name_is_not_known_yet_comes_under_any() {
    async fn audit(admin: Admin) -> Result<Other> {
        assert_eq!(admin.0.0, 2);
        Ok(Other)
    }
    let container = container(|b| {
        b.announce::<Pool>("later");
        b.announce::<Pool>("later");
        b.announce_open::<Pool>("later");
        b.announce_open::<Pool>("later");
        b.provide_with(audit);
    });
    let roots = [Root::of::<Admin>("GET /admin")];
    assert_eq!(
        container.get::<Other>().await.unwrap_err().to_string(),
        "Other → Pool (module test): it does not exist yet; it comes later",
    );
    assert!(container.check(&roots).is_err());
    container.supply(Arc::new(Pool(1))).unwrap();
    container.supply_named("admin", Arc::new(Pool(2))).unwrap();
    container.supply_named("public", Arc::new(Pool(3))).unwrap();
    let twice = container.supply_named("admin", Arc::new(Pool(4))).unwrap_err();
    assert_eq!(twice.to_string(), "Pool \"admin\" cannot be supplied: it has come already");
    container.check(&roots).unwrap();
    container.build_reachable(&roots).await.unwrap();
    container.get::<Other>().await.unwrap();
    assert_eq!(container.try_get::<Pool>().unwrap().0, 1);
    assert_eq!(container.try_get_named::<Pool>("public").unwrap().0, 3);
    let missing = container.get_named::<Pool>("admins").await.unwrap_err();
    assert!(format!("{missing:?}").contains("did you mean Pool \"admin\""), "{missing:?}");
}

struct Admin(Arc<Pool>);

impl Injectable for Admin {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(Dependency::required(Key::of::<Pool>().named("admin")));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.get_named("admin").map(Self)
    }
}

#[tokio::test]
async fn a_sealed_container_takes_nothing_more_and_still_reads() {
    let container = container(|b| {
        b.announce_named::<Pool>("late", "never");
        b.provide_value(Arc::new(Pool(1)));
        b.provide_value(Arc::new(Pool(2))).named("replica");
    });
    container.seal();
    let error = container.supply_named("late", Arc::new(Pool(3))).unwrap_err();
    assert_eq!(error.to_string(), "Pool \"late\" cannot be supplied: the container is sealed");
    assert_eq!(container.try_get::<Pool>().unwrap().0, 1);
    assert_eq!(container.try_get_named::<Pool>("replica").unwrap().0, 2);
    assert!(container.try_get_named::<Pool>("late").is_none());
}

#[tokio::test]
async fn optional_values_are_taken_where_they_exist() {
    struct Both(bool, bool);
    async fn both(pool: Option<Arc<Pool>>, other: Option<Arc<Other>>) -> Result<Both> {
        Ok(Both(pool.is_some(), other.is_some()))
    }
    let container = container(|b| {
        b.provide_with(both);
        b.provide_with(async || Ok(Pool(0)));
    });
    container.check(&[]).unwrap();
    let both = container.get::<Both>().await.unwrap();
    assert!(both.0 && !both.1);
    let (pool, none) = (
        container.resolve::<Arc<Pool>>().await.unwrap(),
        container.resolve::<Option<Arc<Other>>>(),
    );
    assert_eq!(pool.0, 0);
    assert!(none.await.unwrap().is_none());
}

#[tokio::test]
async fn asking_for_what_nobody_provides_names_what_is_near() {
    let container = container(|b| {
        b.provide_value(Arc::new(Pool(1))).named("replica");
    });
    let error = container.get::<Pool>().await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "Pool: nobody provides it\n  \
         help: did you mean Pool \"replica\" (module test)? Otherwise provide it in a module:\n      \
         .provide::<Pool>(), or .provide_value(…) or .provide_with(…)\n",
    );
    let error = container.get_named::<Pool>("replicas").await.unwrap_err();
    assert!(format!("{error:?}").contains("did you mean Pool \"replica\""), "{error:?}");
    assert!(container.resolve::<Arc<Other>>().await.is_err());
}

#[tokio::test]
async fn a_weak_handle_does_not_keep_the_container() {
    let container = container(|b| {
        b.provide_value(Arc::new(Pool(1)));
    });
    let weak = container.downgrade();
    assert_eq!(weak.upgrade().unwrap().try_get::<Pool>().unwrap().0, 1);
    drop(container);
    assert!(weak.upgrade().is_none());
}

fn needs<T: 'static>() -> Dependency {
    Dependency::required(Key::of::<T>())
}

#[tokio::test(start_paused = true)]
async fn a_constructor_that_hangs_is_named_and_whoever_waits_for_it_is_not() {
    let container = container(|b| {
        b.provide_with(async || {
            let () = std::future::pending().await;
            Ok(Pool(0))
        });
        b.provide_with(service);
    });
    container.set_build_deadline(std::time::Duration::from_secs(30));
    let root = Root::of::<Arc<Service>>("GET /");
    let error = container.build_reachable(&[root]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(
        format!("{error:?}"),
        "GET / → Service → Pool (module test): its constructor is not finished after 30s, and \
         was cut\n    \
         off\n  \
         help: raise startup.singleton, or look at what the constructor waits for\n",
    );
    assert!(container.under_construction().is_empty());
}

#[tokio::test]
async fn what_is_expected_can_be_inserted_once_and_nothing_else() {
    let container = container(|b| {
        b.expect::<Pool>("with the answer of the registry");
        b.announce::<Other>("when the frameworks are built");
        b.provide_with(service);
    });
    assert_eq!(
        container.check(&[]).unwrap_err().to_string(),
        "Service → Pool: it has not come, though promised with the answer of the registry",
    );
    container.insert(Arc::new(Pool(5))).unwrap();
    container.check(&[]).unwrap();
    assert_eq!(container.get::<Service>().await.unwrap().0.0, 5);
    let twice = container.insert(Arc::new(Pool(6))).unwrap_err();
    assert_eq!(twice.to_string(), "Pool cannot be supplied: it has come already");
    for refused in [container.insert(Arc::new(Other)), container.insert(Arc::new(7_u8))] {
        let error = refused.unwrap_err();
        assert!(error.to_string().ends_with("cannot be inserted: no module expects it"), "{error}");
    }
    assert_eq!(
        format!("{:?}", container.insert(Arc::new(7_u8)).unwrap_err()),
        "u8 cannot be inserted: no module expects it\n  help: declare it, so that the graph can be \
         checked: m.expects::<u8>(\"when it comes\")\n",
    );
}

#[tokio::test]
async fn an_unknown_name_is_told_with_the_names_that_exist() {
    let container = container(|b| {
        b.provide_value(Arc::new(Pool(1)));
        b.provide_value(Arc::new(Pool(2))).named("primary");
        b.provide_value(Arc::new(Pool(3))).named("replica");
    });
    assert_eq!(
        format!("{:?}", container.get_named::<Pool>("replcia").await.unwrap_err()),
        "Pool \"replcia\": nobody provides it\n  \
         help: did you mean Pool \"replica\" (module test)? There is Pool, Pool \"primary\", \
         Pool\n      \
         \"replica\". Otherwise provide it in a module: .provide::<Pool>().named(\"replcia\"), \
         or\n      \
         .provide_value(…) or .provide_with(…)\n",
    );
    assert!(
        format!("{:?}", container.get_named::<Pool>("x").await.unwrap_err())
            .contains("help: there is Pool, Pool \"primary\", Pool \"replica\". Otherwise"),
    );
}
