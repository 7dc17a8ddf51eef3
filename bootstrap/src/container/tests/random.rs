//! Any graph: each value is built once, after what it needs, and disposed of before that; a fault
//! in it is told, and no other.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::BoxFuture;
use proptest::{prelude::*, sample::Index};

use super::{Log, PATIENCE};
use crate::{
    Error, Result,
    container::{Container, ContainerBuilder, Dependency, Factory, Key, Resolver, Root},
};

/// The most providers in a graph.
const MOST: usize = 500;

struct Node;

trait Tag: Send + Sync {}

impl Tag for Node {}

/// Node `number`, built from what it needs.
struct Build {
    number: usize,
    needs: Vec<Dependency>,
    log: Log,
}

impl Factory<()> for Build {
    type Output = Node;

    fn dependencies(&self) -> Vec<Dependency> {
        self.needs.clone()
    }

    fn call<'a>(&self, resolver: Resolver<'a>) -> BoxFuture<'a, Result<Node>> {
        let needs = self.needs.clone();
        let (number, log) = (self.number, self.log.clone());
        Box::pin(async move {
            tokio::task::yield_now().await;
            let awaited = needs.iter().filter(|need| need.kind() == required().kind());
            for name in awaited.filter_map(|need| need.key().name()) {
                resolver.get_named::<Node>(name)?;
            }
            log.add(number.to_string());
            Ok(Node)
        })
    }
}

fn key(node: usize) -> Key {
    Key::of::<Node>().named(node.to_string())
}

fn required() -> Dependency {
    Dependency::required(Key::of::<Node>())
}

/// For each node those that it needs, and those that it takes lazily; the order of registration.
#[derive(Debug, Clone)]
struct Plan {
    needs: Vec<Vec<usize>>,
    lazily: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl Plan {
    fn len(&self) -> usize {
        self.needs.len()
    }

    /// Registers every node; `planted` is one more dependency of a node.
    fn register(
        &self,
        planted: Option<(usize, Dependency)>,
        built: &Log,
        disposed: &Log,
    ) -> ContainerBuilder {
        let mut builder = ContainerBuilder::new();
        for &number in &self.order {
            let disposed = disposed.clone();
            let mut needs: Vec<Dependency> =
                self.needs[number].iter().map(|&node| Dependency::required(key(node))).collect();
            needs.extend(self.lazily[number].iter().map(|&node| Dependency::lazy(key(node))));
            let planted = planted.iter().filter(|(node, _)| *node == number);
            needs.extend(planted.map(|(_, dependency)| dependency.clone()));
            builder
                .provide_with(Build { number, needs, log: built.clone() })
                .named(number.to_string())
                .on_dispose(move |_: Arc<Node>| {
                    disposed.add(number.to_string());
                    async { Ok(()) }
                });
        }
        builder
    }

    fn roots(&self) -> Vec<Root> {
        let root = |node| Root::new(format!("root {node}"), vec![Dependency::required(key(node))]);
        (0..self.len()).map(root).collect()
    }

    /// Whether `from` leads to `to`, lazily or not.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.len()];
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            if node == to {
                return true;
            }
            if !std::mem::replace(&mut seen[node], true) {
                open.extend(self.needs[node].iter().chain(&self.lazily[node]));
            }
        }
        false
    }
}

/// Each node needs some of those before it, and takes any lazily.
fn acyclic(most_lazy: usize) -> impl Strategy<Value = Plan> {
    (1_usize..=MOST).prop_flat_map(move |count| {
        let needs: Vec<_> = (0..count)
            .map(|node| {
                proptest::collection::btree_set(0..node.max(1), 0..=node.min(4))
                    .prop_map(move |set| set.into_iter().filter(|&need| need < node).collect())
            })
            .collect();
        let lazily =
            proptest::collection::vec(proptest::collection::vec(0..count, 0..=most_lazy), count);
        let order = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        (needs, lazily, order).prop_map(|(needs, lazily, order)| Plan { needs, lazily, order })
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

/// Builds everything while others ask for it, and disposes of it; the order of building.
fn build_and_dispose(plan: &Plan, built: &Log, disposed: &Log) -> Vec<String> {
    let container = plan.register(None, built, disposed).build().unwrap();
    let (roots, count) = (plan.roots(), plan.len());
    on_runtime(async {
        container.check(&roots).unwrap();
        let racing: Vec<_> = (0..4)
            .map(|number| {
                let (one, node) = (container.clone(), (count - 1) * number / 3);
                tokio::spawn(async move { one.get_named::<Node>(&node.to_string()).await.is_ok() })
            })
            .collect();
        container.build_reachable(&roots).await.unwrap();
        for racer in racing {
            assert!(racer.await.unwrap());
        }
        let finished = finished(&container);
        assert!(container.dispose_all(PATIENCE).await.is_empty());
        finished
    })
}

/// Where each node stands in a log that has each once.
fn places(log: &Log) -> HashMap<usize, usize> {
    let nodes = log.entries();
    nodes.iter().enumerate().map(|(place, node)| (node.parse().unwrap(), place)).collect()
}

/// What is planted, and how its report begins.
fn plant(fault: usize, node: usize, count: usize) -> (Dependency, String) {
    let start = format!("Node \"{node}\" → ");
    match fault {
        0 => (
            Dependency::required(key(count)),
            format!("{start}Node \"{count}\": nobody provides it"),
        ),
        1 => (Dependency::required(key(node)), format!("{start}Node \"{node}\": a circle")),
        2 => (
            Dependency::required(Key::of::<u64>()),
            format!("{start}u64: Node \"{node}\" is one for the process"),
        ),
        3 => (
            Dependency::required(Key::of::<dyn Tag>()),
            format!(
                "{start}dyn Tag: ambiguous, since it is a value (module application) and a value"
            ),
        ),
        _ => (
            Dependency::lazy(key(count)),
            format!("{start}Lazy<Node \"{count}\">: nobody provides it"),
        ),
    }
}

fn refused(plan: &Plan, node: usize, planted: Dependency) -> Error {
    let (built, disposed) = (Log::default(), Log::default());
    let mut builder = plan.register(Some((node, planted)), &built, &disposed);
    builder.expect_of_calls::<u64>();
    builder.provide_value::<dyn Tag>(Arc::new(Node));
    builder.provide_value::<dyn Tag>(Arc::new(Node));
    let error = builder.build().unwrap_err();
    assert!(built.entries().is_empty());
    error
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn acyclic_graphs_are_built_in_order_and_disposed_of_in_reverse(plan in acyclic(0)) {
        let (built, disposed) = (Log::default(), Log::default());
        let finished = build_and_dispose(&plan, &built, &disposed);
        let places = places(&built);
        prop_assert_eq!((finished.len(), built.entries().len()), (plan.len(), plan.len()));
        prop_assert_eq!(places.len(), plan.len(), "each once");
        for (node, needs) in plan.needs.iter().enumerate() {
            for need in needs {
                prop_assert!(places[need] < places[&node]);
            }
        }
        let backwards: Vec<String> = finished.into_iter().rev().collect();
        prop_assert_eq!(disposed.entries(), backwards);
    }

    #[test]
    fn lazy_values_outlive_their_holders_wherever_that_can_be(plan in acyclic(2)) {
        let (built, disposed) = (Log::default(), Log::default());
        build_and_dispose(&plan, &built, &disposed);
        let gone = places(&disposed);
        prop_assert_eq!(gone.len(), plan.len());
        for node in 0..plan.len() {
            for need in &plan.needs[node] {
                prop_assert!(gone[&node] < gone[need]);
            }
            for lazy in &plan.lazily[node] {
                prop_assert!(gone[&node] <= gone[lazy] || plan.reaches(*lazy, node));
            }
        }
    }

    #[test]
    fn a_planted_fault_is_told_and_no_other(
        plan in acyclic(1),
        pick in any::<Index>(),
        fault in 0_usize..5,
    ) {
        let node = pick.index(plan.len());
        let (planted, expected) = plant(fault, node, plan.len());
        let error = refused(&plan, node, planted);
        prop_assert!(error.parts().is_empty(), "one fault only: {:?}", error);
        prop_assert!(error.to_string().starts_with(&expected), "{}", error);
    }

    #[test]
    fn a_circle_through_the_graph_is_told_and_no_other(
        plan in acyclic(0),
        pick in any::<Index>(),
    ) {
        let last = pick.index(plan.len());
        let mut first = last;
        while let Some(&next) = plan.needs[first].first() {
            first = next;
        }
        let error = refused(&plan, first, Dependency::required(key(last)));
        let mut told = vec![&error];
        told.extend(error.parts());
        let circles = told.iter().filter(|error| error.to_string().contains("a circle")).count();
        let parts = error.parts().len();
        prop_assert!(circles >= 1 && circles == parts.max(1), "only circles: {:?}", error);
    }
}
