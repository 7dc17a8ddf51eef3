//! Who may provide what, and who wins.

use std::sync::Arc;

use super::{container, refused};
use crate::{
    Result,
    container::{Dependency, Provide, Resolver},
};

trait Repo: Send + Sync {
    fn number(&self) -> u32;
}

trait Named: Send + Sync {}

#[derive(Debug)]
struct Sql(u32);

impl Repo for Sql {
    fn number(&self) -> u32 {
        self.0
    }
}

impl Named for Sql {}

impl Provide for Sql {
    fn dependencies() -> Vec<Dependency> {
        Vec::new()
    }

    async fn construct(_: Resolver<'_>) -> Result<Self> {
        Ok(Self(1))
    }
}

#[tokio::test]
async fn bind_provides_the_type_and_shows_the_same_value_as_the_trait() {
    let container = container(|b| {
        b.bind::<dyn Repo, Sql>(|sql| sql);
        b.set_module("another");
        b.bind::<dyn Named, Sql>(|sql| sql);
    });
    let repo = container.get::<dyn Repo>().await.unwrap();
    let sql = container.get::<Sql>().await.unwrap();
    let named = container.get::<dyn Named>().await.unwrap();
    assert_eq!(repo.number(), 1);
    assert_eq!(Arc::strong_count(&sql), 1 + 3 + 2, "one value behind three keys");
    drop((repo, named));
}

#[tokio::test]
async fn an_explicit_provider_wins_over_bind_before_and_after_it() {
    let after = container(|b| {
        b.bind::<dyn Repo, Sql>(|sql| sql);
        b.provide_value(Arc::new(Sql(7)));
    });
    assert_eq!(after.get::<dyn Repo>().await.unwrap().number(), 7);
    let before = container(|b| {
        b.provide_with(async || Ok(Sql(8)));
        b.bind::<dyn Repo, Sql>(|sql| sql);
    });
    assert_eq!(before.get::<dyn Repo>().await.unwrap().number(), 8);
}

#[tokio::test]
async fn an_alias_needs_a_provider() {
    let report = refused(|b| {
        b.alias::<dyn Repo, Sql>(|sql| sql);
    });
    assert_eq!(
        report,
        "dyn Repo → Sql: nobody provides it\n  \
         help: provide it in module test: .provide::<Sql>(), or .provide_value(…) or\n      \
         .provide_with(…)\n",
    );
}

#[test]
fn the_same_type_once_more_from_the_same_module_is_one() {
    container(|b| {
        b.provide::<Sql>();
        b.provide::<Sql>().eager();
    });
}

#[test]
fn a_key_of_two_modules_is_an_error_that_names_both() {
    let types = refused(|b| {
        b.set_module("user");
        b.provide::<Sql>();
        b.set_module("admin");
        b.provide::<Sql>();
    });
    assert_eq!(
        types,
        "Sql is provided by module user and by module admin\n  help: keep one of the two, or give \
         each a name: .named(\"…\")\n",
    );
    let binds = refused(|b| {
        b.set_module("user");
        b.bind::<dyn Repo, Sql>(|sql| sql);
        b.set_module("admin");
        b.bind::<dyn Repo, Sql>(|sql| sql);
    });
    assert!(
        binds.starts_with("dyn Repo is provided by module user and by module admin"),
        "{binds}"
    );
}

#[test]
fn a_key_twice_in_one_module_is_an_error_too() {
    let report = refused(|b| {
        b.provide_value(Arc::new(Sql(1)));
        b.provide::<Sql>();
    });
    assert!(report.starts_with("Sql is provided twice by module test"), "{report}");
}

#[tokio::test]
async fn names_tell_values_of_one_type_apart() {
    let container = container(|b| {
        b.provide::<Sql>();
        b.provide_value(Arc::new(Sql(2))).named("replica");
        b.provide_with(async || Ok(Sql(3))).named("archive");
    });
    assert_eq!(container.get::<Sql>().await.unwrap().0, 1);
    assert_eq!(container.get_named::<Sql>("replica").await.unwrap().0, 2);
    assert_eq!(container.get_named::<Sql>("archive").await.unwrap().0, 3);
}

#[tokio::test]
async fn two_containers_know_nothing_of_each_other() {
    let one = container(|b| {
        b.provide::<Sql>();
    });
    let two = container(|b| {
        b.provide::<Sql>();
    });
    let (one, two) = (one.get::<Sql>().await.unwrap(), two.get::<Sql>().await.unwrap());
    assert!(!Arc::ptr_eq(&one, &two));
}
