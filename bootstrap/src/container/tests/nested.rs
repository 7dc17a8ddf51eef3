//! Constructors that ask the container for more, and graphs that are very deep.

use std::sync::{Arc, Mutex, OnceLock};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{Log, PATIENCE, container};
use crate::{
    Result,
    container::{Container, Dependency, Factory, Key, Resolver, WeakContainer},
};

struct A;
struct B;
struct C;

/// A way to the container, as an app handle is one.
#[derive(Clone, Default)]
struct Handle(Arc<OnceLock<WeakContainer>>);

impl Handle {
    fn container(&self) -> Container {
        self.0.get().and_then(WeakContainer::upgrade).expect("the container lives")
    }
}

/// `B` needs `A`, whose constructor asks for `B`.
fn entangled(handle: &Handle) -> Container {
    let inner = handle.clone();
    let container = container(|builder| {
        builder.provide_with(move || {
            let container = inner.container();
            async move {
                container.get::<B>().await?;
                Ok(A)
            }
        });
        builder.provide_with(async |_: Arc<A>| Ok(B));
    });
    let _ = handle.0.set(container.downgrade());
    container
}

#[tokio::test]
async fn a_constructor_that_asks_the_container_for_what_waits_for_it_gets_an_error() {
    let container = entangled(&Handle::default());
    let asked = timeout(PATIENCE, async { container.get::<B>().await.map(drop) });
    let error = asked.await.expect("does not hang").unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "B → A (module test): the constructor of A asks the container for B, which is not built yet\n  \
         help: let it depend on B (an argument, or an #[inject] field), so that it is built \
         before,\n      \
         or ask later\n",
    );
}

#[tokio::test]
async fn a_constructor_may_ask_the_container_for_what_exists() {
    let (handle, log) = (Handle::default(), Log::default());
    let (inner, seen) = (handle.clone(), log.clone());
    let container = container(|builder| {
        builder.provide_value(Arc::new(7_u8));
        builder.provide_with(async || Ok(B));
        builder.provide_with(move || {
            let (container, seen) = (inner.container(), seen.clone());
            async move {
                seen.add(format!("{}", container.get::<u8>().await?));
                seen.add(format!("{}", container.resolve::<Arc<u8>>().await?));
                let missing = container.resolve::<Arc<B>>().await.map(drop).unwrap_err();
                seen.add(missing.to_string());
                Ok(C)
            }
        });
    });
    let _ = handle.0.set(container.downgrade());
    container.get::<C>().await.unwrap();
    let refused = "the constructor of C asks the container for B, which is not built yet";
    assert_eq!(log.entries(), ["7", "7", refused]);
}

struct Link(usize);

/// Makes the link that hangs on the one before it.
struct After(usize, Arc<Mutex<Vec<usize>>>);

impl Factory<()> for After {
    type Output = Link;

    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::required(Key::of::<Link>().named(self.0.to_string()))]
    }

    fn call<'a>(&self, resolver: Resolver<'a>) -> BoxFuture<'a, Result<Link>> {
        let before = resolver.get_named::<Link>(&self.0.to_string());
        let built = Arc::clone(&self.1);
        Box::pin(async move {
            let link = Link(before?.0 + 1);
            built.lock().unwrap().push(link.0);
            Ok(link)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_five_thousand_is_checked_built_in_order_and_disposed_of() {
    const LENGTH: usize = 5_000;
    let built = Arc::new(Mutex::new(Vec::new()));
    let disposed = Arc::new(Mutex::new(Vec::new()));
    let container = container(|builder| {
        builder.provide_with(async || Ok(Link(0))).named("0");
        for place in 0..LENGTH {
            let disposed = Arc::clone(&disposed);
            let name = (place + 1).to_string();
            builder.provide_with(After(place, Arc::clone(&built))).named(name).on_dispose(
                move |link: Arc<Link>| {
                    disposed.lock().unwrap().push(link.0);
                    std::future::ready(Ok(()))
                },
            );
        }
    });
    let last = LENGTH.to_string();
    let last = container.get_named::<Link>(&last);
    assert_eq!(timeout(PATIENCE, last).await.expect("ends").unwrap().0, LENGTH);
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    let order: Vec<usize> = (1..=LENGTH).collect();
    assert_eq!(*built.lock().unwrap(), order);
    assert!(disposed.lock().unwrap().iter().rev().eq(&order), "in reverse");
}
