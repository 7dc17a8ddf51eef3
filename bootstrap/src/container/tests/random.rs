//! Any graph: each value is built once, after what it needs, and disposed of before that.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::{Log, PATIENCE};
use crate::{
    Result,
    container::{Container, ContainerBuilder, Dependency, Factory, Key, Resolver, Root},
};

struct Node;

/// Node `number`, built from the nodes in `needs`.
struct Build {
    number: usize,
    needs: Vec<usize>,
    log: Log,
}

impl Factory<()> for Build {
    type Output = Node;

    fn dependencies(&self) -> Vec<Dependency> {
        self.needs.iter().map(|&node| Dependency::required(key(node))).collect()
    }

    fn call(&self, resolver: &Resolver) -> BoxFuture<'static, Result<Node>> {
        let (resolver, needs) = (resolver.clone(), self.needs.clone());
        let (number, log) = (self.number, self.log.clone());
        Box::pin(async move {
            tokio::task::yield_now().await;
            for need in needs {
                resolver.get_named::<Node>(&need.to_string())?;
            }
            log.add(number.to_string());
            Ok(Node)
        })
    }
}

fn key(node: usize) -> Key {
    Key::of::<Node>().named(node.to_string())
}

fn register(
    needs: &[Vec<usize>],
    order: &[usize],
    built: &Log,
    disposed: &Log,
) -> ContainerBuilder {
    let mut builder = ContainerBuilder::new();
    for &number in order {
        let disposed = disposed.clone();
        builder
            .provide_with(Build { number, needs: needs[number].clone(), log: built.clone() })
            .named(number.to_string())
            .on_dispose(move |_: Arc<Node>| {
                disposed.add(number.to_string());
                async { Ok(()) }
            });
    }
    builder
}

/// For each node the ones before it that it needs, and an order of registration.
fn acyclic() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<usize>)> {
    (1_usize..=60).prop_flat_map(|count| {
        let needs = (0..count).map(|node| {
            proptest::collection::btree_set(0..node.max(1), 0..=node.min(4))
                .prop_map(move |set| set.into_iter().filter(|&need| need < node).collect())
        });
        let order = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        (needs.collect::<Vec<_>>(), order)
    })
}

/// The nodes in the order in which they came to be.
fn finished(container: &Container) -> Vec<String> {
    let name = |slot: usize| container.table().slot(slot).key().name().map(str::to_owned);
    container.built().iter().filter_map(|built| name(built.slot)).collect()
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.unwrap() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn acyclic_graphs_are_built_in_order_and_disposed_of_in_reverse(
        (needs, order) in acyclic(),
    ) {
        let (built, disposed) = (Log::default(), Log::default());
        let container = register(&needs, &order, &built, &disposed).build().unwrap();
        let roots: Vec<Root> = (0..needs.len())
            .map(|node| Root::new(format!("root {node}"), vec![Dependency::required(key(node))]))
            .collect();
        let finished = on_runtime(async {
            container.check(&roots).unwrap();
            let one = container.clone();
            let last = (needs.len() - 1).to_string();
            let racing = tokio::spawn(async move { one.get_named::<Node>(&last).await.is_ok() });
            container.build_reachable(&roots).await.unwrap();
            assert!(racing.await.unwrap());
            let finished = finished(&container);
            assert!(container.dispose_all(PATIENCE).await.is_empty());
            finished
        });
        let entries = built.entries();
        prop_assert_eq!(finished.len(), needs.len());
        prop_assert_eq!(entries.len(), needs.len());
        let place = |node: usize| entries.iter().position(|entry| *entry == node.to_string());
        for (node, needs) in needs.iter().enumerate() {
            for &need in needs {
                prop_assert!(place(need).unwrap() < place(node).unwrap());
            }
        }
        let backwards: Vec<String> = finished.into_iter().rev().collect();
        prop_assert_eq!(disposed.entries(), backwards);
    }

    #[test]
    fn a_planted_fault_is_told_and_no_other(
        (mut needs, order) in acyclic(),
        pick in any::<proptest::sample::Index>(),
        circle in any::<bool>(),
    ) {
        let node = pick.index(needs.len());
        let planted = if circle { node } else { needs.len() };
        needs[node].push(planted);
        let (built, disposed) = (Log::default(), Log::default());
        let error = register(&needs, &order, &built, &disposed).build().unwrap_err();
        let expected = match circle {
            true => format!("Node \"{node}\" → Node \"{node}\": a circle"),
            false => format!("Node \"{node}\" → Node \"{planted}\": nobody provides it"),
        };
        prop_assert!(error.parts().is_empty(), "one fault only: {:?}", error);
        prop_assert!(error.to_string().starts_with(&expected), "{}", error);
        prop_assert!(built.entries().is_empty());
    }
}
