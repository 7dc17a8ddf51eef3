//! What a test replaces is never built.

use std::sync::Arc;

use super::{Log, container, refused};
use crate::{
    Result,
    container::{Dependency, Key, Provide, Resolver, Root},
};

trait Repo: Send + Sync {
    fn name(&self) -> &'static str;
}

trait Other: Send + Sync {}

impl Other for Real {}

struct Fake;

impl Repo for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
}

/// Builds only where a `Log` is provided, so that its construction shows.
struct Real;

impl Repo for Real {
    fn name(&self) -> &'static str {
        "real"
    }
}

impl Provide for Real {
    const EAGER: bool = true;

    fn dependencies() -> Vec<Dependency> {
        vec![Dependency::required(Key::of::<Log>())]
    }

    async fn construct(resolver: Resolver<'_>) -> Result<Self> {
        resolver.get::<Log>()?.add("built");
        Ok(Self)
    }
}

#[tokio::test]
async fn an_overridden_alias_is_replaced_and_its_eager_target_never_built() {
    let log = Log::default();
    let container = container(|b| {
        b.provide_value(Arc::new(log.clone()));
        b.bind::<dyn Repo, Real>(|real| real);
        b.override_value::<dyn Repo>(Arc::new(Fake));
    });
    let root = Root::of::<Arc<dyn Repo>>("GET /");
    container.build_reachable(&[root]).await.unwrap();
    assert_eq!(container.get::<dyn Repo>().await.unwrap().name(), "fake");
    assert_eq!(log.count("built"), 0);
}

#[tokio::test]
async fn an_overridden_type_is_replaced_behind_its_alias_and_needs_nothing() {
    let container = container(|b| {
        b.bind::<dyn Repo, Real>(|real| real);
        b.override_value(Arc::new(Real));
    });
    container.build_reachable(&[]).await.unwrap();
    assert_eq!(container.get::<dyn Repo>().await.unwrap().name(), "real");
}

#[tokio::test]
async fn what_stays_visible_elsewhere_stays_eager() {
    let log = Log::default();
    let container = container(|b| {
        b.provide_value(Arc::new(log.clone()));
        b.bind::<dyn Repo, Real>(|real| real);
        b.bind::<dyn Other, Real>(|real| real);
        b.override_value::<dyn Repo>(Arc::new(Fake));
    });
    container.build_reachable(&[]).await.unwrap();
    assert_eq!(log.count("built"), 1);
}

#[tokio::test]
async fn names_and_announced_values_can_be_overridden() {
    let container = container(|b| {
        b.provide_value(Arc::new(1_u8)).named("replica");
        b.announce::<u16>("later");
        b.override_named("replica", Arc::new(2_u8));
        b.override_value(Arc::new(3_u16));
    });
    assert_eq!(*container.get_named::<u8>("replica").await.unwrap(), 2);
    container.supply(Arc::new(4_u16)).unwrap();
    assert_eq!(*container.get::<u16>().await.unwrap(), 3);
}

#[test]
fn an_override_of_what_nobody_provides_is_an_error_with_what_is_near() {
    let report = refused(|b| {
        b.provide_value::<dyn Repo>(Arc::new(Fake));
        b.override_named::<dyn Repo>("replica", Arc::new(Fake));
    });
    assert_eq!(
        report,
        "the override of dyn Repo \"replica\" replaces nothing: nobody provides it\n  \
         help: there is dyn Repo\n",
    );
}

#[tokio::test]
async fn an_override_is_not_disposed_of_by_what_it_replaced() {
    let log = Log::default();
    let container = container(|b| {
        let log = log.clone();
        b.provide_with(async || Ok(1_u8)).on_dispose(move |_| {
            log.add("disposed");
            async { Ok(()) }
        });
        b.override_value(Arc::new(2_u8));
    });
    container.get::<u8>().await.unwrap();
    assert!(container.dispose_all(super::PATIENCE).await.is_empty());
    assert!(log.entries().is_empty());
}
