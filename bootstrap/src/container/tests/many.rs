//! Several implementations of one trait.

use std::sync::Arc;

use super::{Log, container, refused};
use crate::{
    Result,
    container::{Dependency, Provide, Resolver, Root},
};

trait Check: Send + Sync {
    fn name(&self) -> &'static str;
}

macro_rules! checks {
    ($($check:ident),*) => {
        $(
            struct $check;

            impl Check for $check {
                fn name(&self) -> &'static str {
                    stringify!($check)
                }
            }

            impl Provide for $check {
                fn dependencies() -> Vec<Dependency> {
                    Vec::new()
                }

                async fn construct(_: Resolver<'_>) -> Result<Self> {
                    Ok(Self)
                }
            }
        )*
    };
}

checks!(Disk, Memory, Clock);

type Checks = Vec<Arc<dyn Check>>;

struct Report(String);

async fn report(checks: Checks) -> Result<Report> {
    Ok(Report(checks.iter().map(|check| check.name()).collect::<Vec<_>>().join(" ")))
}

#[tokio::test]
async fn all_are_injected_in_the_order_of_registration() {
    let container = container(|b| {
        b.provide_with(report);
        b.bind::<dyn Check, Memory>(|check| check);
        b.set_module("another");
        b.bind::<dyn Check, Disk>(|check| check).named("disk");
        b.provide_value::<dyn Check>(Arc::new(Clock));
    });
    assert_eq!(container.get::<Report>().await.unwrap().0, "Memory Disk Clock");
    assert_eq!(container.resolve::<Checks>().await.unwrap().len(), 3);
    assert_eq!(container.get_named::<dyn Check>("disk").await.unwrap().name(), "Disk");
}

#[tokio::test]
async fn none_is_fine_too() {
    let container = container(|b| {
        b.provide_with(report);
    });
    container.check(&[Root::of::<Checks>("GET /checks")]).unwrap();
    assert_eq!(container.get::<Report>().await.unwrap().0, "");
}

#[tokio::test]
async fn one_of_several_is_ambiguous_only_for_whoever_takes_one() {
    let several = container(|b| {
        b.bind::<dyn Check, Disk>(|check| check);
        b.bind::<dyn Check, Memory>(|check| check);
    });
    let expected = "dyn Check: ambiguous, since it is Disk (module test) and Memory (module test)";
    assert_eq!(several.get::<dyn Check>().await.err().unwrap().to_string(), expected);
    assert_eq!(several.resolve::<Arc<dyn Check>>().await.err().unwrap().to_string(), expected);
    assert!(several.try_get::<dyn Check>().is_none());
    let root = Root::of::<Arc<dyn Check>>("GET /check");
    assert_eq!(
        format!("{:?}", several.check(&[root]).unwrap_err()),
        "GET /check → dyn Check: ambiguous, since it is Disk (module test) and Memory (module \
         test)\n  \
         help: keep one of them, give each a name (.named(\"…\")) and ask for that, or take \
         them all:\n      \
         Vec<Arc<dyn Check>>\n",
    );
}

#[test]
fn an_optional_one_of_several_is_ambiguous_too() {
    let report = refused(|b| {
        b.provide_with(async |_: Option<Arc<dyn Check>>| Ok(1_u8));
        b.provide_value::<dyn Check>(Arc::new(Clock));
        b.set_module("another");
        b.bind::<dyn Check, Disk>(|check| check);
    });
    assert!(
        report.starts_with(
            "u8 → Option<dyn Check>: ambiguous, since it is a value (module test) and Disk (module\n    \
             another)\n"
        ),
        "{report}",
    );
}

#[test]
fn the_same_type_bound_twice_is_not_two() {
    let report = refused(|b| {
        b.bind::<dyn Check, Disk>(|check| check);
        b.bind::<dyn Check, Disk>(|check| check);
    });
    assert!(report.starts_with("dyn Check is provided twice by module test"), "{report}");
}

#[tokio::test]
async fn a_circle_through_all_of_them_is_found() {
    struct Nested;
    impl Check for Nested {
        fn name(&self) -> &'static str {
            "Nested"
        }
    }
    let report = refused(|b| {
        b.provide_with(async |_: Checks| Ok(Nested));
        b.alias::<dyn Check, Nested>(|check| check);
    });
    assert!(report.starts_with("Nested → Vec<dyn Check> → Nested: a circle"), "{report}");
}

#[tokio::test]
async fn an_override_stands_for_all_and_none_of_them_is_built() {
    let log = Log::default();
    let container = container(|b| {
        let log = log.clone();
        b.provide_with(move || {
            log.add("built");
            async { Ok(Disk) }
        })
        .eager();
        b.alias::<dyn Check, Disk>(|check| check);
        b.bind::<dyn Check, Memory>(|check| check);
        b.provide_with(report);
        b.override_value::<dyn Check>(Arc::new(Clock));
    });
    container.build_reachable(&[Root::of::<Arc<Report>>("GET /")]).await.unwrap();
    assert_eq!(container.get::<Report>().await.unwrap().0, "Clock");
    assert_eq!(container.get::<dyn Check>().await.unwrap().name(), "Clock");
    assert_eq!(log.count("built"), 0);
}
