//! A lazy value breaks a circle, is never waited for in a constructor, and outlives its holder.

use std::sync::Arc;

use tokio::time::timeout;

use super::{Log, PATIENCE, container, refused};
use crate::{
    ErrorKind, Result,
    container::{Container, Injectable, InjectableNamed, Lazy, Root},
};

struct Rooms {
    users: Lazy<Users>,
}

struct Users {
    rooms: Arc<Rooms>,
}

async fn rooms(users: Lazy<Users>) -> Result<Rooms> {
    Ok(Rooms { users })
}

async fn users(rooms: Arc<Rooms>) -> Result<Users> {
    Ok(Users { rooms })
}

#[tokio::test]
async fn a_circle_with_a_lazy_edge_is_built_and_closed() {
    let container = container(|b| {
        b.provide_with(rooms);
        b.provide_with(users);
    });
    let root = Root::of::<Arc<Rooms>>("GET /rooms");
    container.check(std::slice::from_ref(&root)).unwrap();
    let times = timeout(PATIENCE, container.build_reachable(&[root])).await.unwrap().unwrap();
    assert_eq!(times.len(), 2, "what is reached lazily is built at start too");
    let rooms = container.try_get::<Rooms>().unwrap();
    let users = rooms.users.get().await.unwrap();
    assert!(Arc::ptr_eq(&users.rooms, &rooms));
    assert!(Arc::ptr_eq(&rooms.users.try_get().unwrap(), &users));
    assert_eq!(format!("{:?}", rooms.users.clone()), "Lazy<Users>");
}

#[test]
fn the_same_circle_without_it_is_refused() {
    async fn eager_rooms(users: Arc<Users>) -> Result<Rooms> {
        let _ = users;
        unreachable!("nothing is built")
    }
    let report = refused(|b| {
        b.provide_with(eager_rooms);
        b.provide_with(users);
    });
    assert_eq!(
        report,
        "Rooms → Users → Rooms: a circle, nobody in it can be built first\n  \
         help: let one of them take the next lazily (Lazy<…>), or move what both need into a \
         third\n",
    );
}

#[test]
fn what_is_lazy_must_exist_and_its_path_says_so() {
    async fn needy(_: Arc<u8>) -> Result<Users> {
        unreachable!("nothing is built")
    }
    let mut builder = super::ContainerBuilder::new();
    builder.provide_with(rooms);
    builder.provide_with(needy);
    builder.provide_with(async |_: Lazy<u16>| Ok(1_u32));
    let root = Root::of::<Arc<Rooms>>("GET /rooms");
    let report = builder.build_for(&[root]).unwrap_err();
    assert_eq!(report.to_string(), "the application does not fit together: 2 faults");
    let faults: Vec<_> = report.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "GET /rooms → Rooms → Lazy<Users> → u8: nobody provides it",
            "u32 → Lazy<u16>: nobody provides it",
        ],
    );
}

#[tokio::test]
async fn a_constructor_that_asks_for_its_own_lazy_value_gets_an_error() {
    async fn impatient(users: Lazy<Users>) -> Result<Rooms> {
        users.get().await?;
        Ok(Rooms { users })
    }
    let container = container(|b| {
        b.provide_with(impatient);
        b.provide_with(users);
    });
    let asked = timeout(PATIENCE, container.get::<Rooms>()).await.expect("does not hang");
    assert_eq!(
        format!("{:?}", asked.err().unwrap()),
        "Rooms (module test): the constructor of Rooms asks for Lazy<Users>\n  help: take \
         Arc<Users> if the constructor needs it; what is lazy exists only afterwards\n",
    );
}

#[tokio::test]
async fn a_constructor_that_waits_through_somebody_else_gets_an_error_too() {
    async fn asks_through(rooms: Arc<Rooms>) -> Result<Users> {
        rooms.users.get().await?;
        Ok(Users { rooms })
    }
    let container = container(|b| {
        b.provide_with(rooms);
        b.provide_with(asks_through);
    });
    let asked = timeout(PATIENCE, container.get::<Users>()).await.expect("does not hang");
    let error = asked.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    assert_eq!(
        error.to_string(),
        "Users (module test): the constructor of Users asks for Lazy<Users>",
    );
}

#[tokio::test]
async fn a_constructor_may_use_what_it_depends_on_through_somebody_elses_lazy_value() {
    struct Third;
    async fn third(_: Arc<Users>, rooms: Arc<Rooms>) -> Result<Third> {
        rooms.users.get().await.map(|_| Third)
    }
    let container = container(|b| {
        b.provide_with(rooms);
        b.provide_with(users);
        b.provide_with(third);
    });
    timeout(PATIENCE, container.get::<Third>()).await.unwrap().unwrap();
}

#[tokio::test]
async fn it_can_be_asked_for_by_name_and_outside_of_constructors() {
    struct Replica(Lazy<String>);
    impl Injectable for Replica {
        fn dependencies(out: &mut Vec<crate::container::Dependency>) {
            Lazy::<String>::named_dependencies("replica", out);
        }

        fn resolve(resolver: &crate::container::Resolver<'_>) -> Result<Self> {
            Lazy::resolve_named("replica", resolver).map(Self)
        }
    }
    let container = container(|b| {
        b.provide_with(async || Ok("a".to_owned())).named("replica");
    });
    let replica = container.resolve::<Replica>().await.unwrap().0;
    assert_eq!(*replica.get().await.unwrap(), "a");
    drop(container);
    assert!(replica.try_get().is_none());
    let gone = replica.get().await.unwrap_err();
    assert_eq!(
        gone.to_string(),
        "Lazy<String \"replica\"> is asked for when the container is gone"
    );
}

struct Pool;
struct Audit(#[allow(dead_code, reason = "held, as a user would")] Lazy<Pool>);

fn logged(log: &Log, container: &mut super::ContainerBuilder, pool_needs_audit: bool) {
    let (audit, pool) = (log.clone(), log.clone());
    let gone = move |log: &Log, entry: &'static str| {
        log.add(entry);
        std::future::ready(Ok(()))
    };
    container
        .provide_with(async |pool: Lazy<Pool>| Ok(Audit(pool)))
        .on_dispose(move |_| gone(&audit, "audit"));
    if pool_needs_audit {
        container
            .provide_with(async |_: Arc<Audit>| Ok(Pool))
            .on_dispose(move |_| gone(&pool, "pool"));
    } else {
        container.provide_with(async || Ok(Pool)).on_dispose(move |_| gone(&pool, "pool"));
    }
}

async fn disposed(container: &Container) {
    container.get::<Audit>().await.unwrap();
    container.get::<Pool>().await.unwrap();
    assert!(container.dispose_all(PATIENCE).await.is_empty());
}

#[tokio::test]
async fn a_lazy_value_outlives_its_holder_though_it_was_built_later() {
    let log = Log::default();
    disposed(&container(|b| logged(&log, b, false))).await;
    assert_eq!(log.entries(), ["audit", "pool"]);
}

#[tokio::test]
async fn unless_it_needs_its_holder() {
    let log = Log::default();
    disposed(&container(|b| logged(&log, b, true))).await;
    assert_eq!(log.entries(), ["pool", "audit"]);
}
