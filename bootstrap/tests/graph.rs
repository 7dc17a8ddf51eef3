//! The graph of an application, with and without starting it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use polyport_bootstrap::{
    Bootstrap, Config, Fault, Graph, GraphProvider, Module, ModuleBuilder, Provide, Result, module,
    operation::Inject, testing::create_bootstrap,
};
use support::{Fake, Log, serve};

trait Repo: Send + Sync {}

#[derive(Provide)]
#[provide(crate = polyport_bootstrap)]
struct SqlRepo {
    #[inject]
    _pool: Arc<Pool>,
    #[inject]
    _label: Option<Arc<String>>,
}

impl Repo for SqlRepo {}

struct Pool;

async fn find(Inject(_repo): Inject<dyn Repo>) -> Result<(), Fault> {
    Ok(())
}

async fn count(Inject(_pool): Inject<Pool>) -> Result<(), Fault> {
    Ok(())
}

/// Writes down that its pool is built.
fn store(log: &Log) -> impl Module {
    let log = log.clone();
    module("store", move |m| {
        let log = log.clone();
        m.provide_with(move || {
            log.add("pool built");
            std::future::ready(Ok::<_, polyport_bootstrap::Error>(Pool))
        })
        .eager();
        m.providers().provide_value(Arc::new("\"<b>#1".to_owned())).named("odd \"name\"");
        Ok(())
    })
}

struct Users;

impl Module for Users {
    fn name(&self) -> &str {
        "users"
    }

    fn depends_on(&self) -> Vec<&str> {
        vec!["store"]
    }

    fn optionally_depends_on(&self) -> Vec<&str> {
        vec!["audit"]
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.bind::<dyn Repo, SqlRepo>(|repo| repo);
        m.provide_value(Arc::new("a label".to_owned()));
        serve(m, "default", "find", find);
        serve(m, "default", "count", count);
        serve(m, "absent", "never served", count);
        Ok(())
    }
}

struct Audit;

impl Module for Audit {
    fn name(&self) -> &str {
        "audit"
    }

    fn enabled(&self, _: &Config) -> bool {
        false
    }

    fn configure(&self, _: &mut ModuleBuilder<'_>) -> Result<()> {
        unreachable!("it is off")
    }
}

fn application(log: &Log) -> Bootstrap {
    let hook = log.clone();
    Bootstrap::new()
        .load(Fake::new(log))
        .module(Users)
        .module(store(log))
        .module(Audit)
        .root(env!("CARGO_MANIFEST_DIR"))
        .before(async move |_| {
            hook.add("before");
            Ok(())
        })
}

fn provider<'a>(graph: &'a Graph, title: &str) -> &'a GraphProvider {
    graph.providers.iter().find(|provider| provider.title == title).expect(title)
}

fn needs(graph: &Graph, provider: &GraphProvider) -> Vec<String> {
    let edge = |edge: &polyport_bootstrap::GraphEdge| {
        format!("{} {}", edge.kind, graph.providers[edge.provider].title)
    };
    provider.depends_on.iter().map(edge).collect()
}

#[tokio::test]
async fn the_graph_is_known_without_anything_being_built_or_called() {
    let log = Log::default();
    let graph = application(&log).graph().await.expect("fits together");
    assert!(log.entries().is_empty(), "{:?}", log.entries());

    let modules: Vec<_> =
        graph.modules.iter().map(|module| (module.name.as_str(), module.off.as_deref())).collect();
    let off = Some("in environment \"local\"");
    assert_eq!(modules, [("store", None), ("users", None), ("audit", off)]);
    assert_eq!(graph.modules[1].depends_on, ["store"]);
    assert_eq!(graph.modules[1].optionally_depends_on, ["audit"]);

    let pool = provider(&graph, "Pool");
    assert!(pool.eager && !pool.built && pool.build_time.is_none());
    assert_eq!((pool.module.as_str(), pool.origin), ("store", "constructor"));
    assert_eq!(pool.used_by, ["FAKE find", "FAKE count"]);
    let repo = provider(&graph, "SqlRepo");
    assert_eq!(needs(&graph, repo), ["required Pool", "optional String"]);
    assert!(repo.type_name.ends_with("::SqlRepo"), "{}", repo.type_name);
    let bound = provider(&graph, "dyn Repo");
    assert_eq!((bound.origin, bound.used_by.as_slice()), ("alias", &["FAKE find".to_owned()][..]));
    assert_eq!(provider(&graph, "FakeApp").origin, "announced");

    let titles: Vec<_> = graph.operations.iter().map(|known| known.title.as_str()).collect();
    assert_eq!(titles, ["FAKE find", "FAKE count"], "what is not served is not in it");
    let find = &graph.operations[0];
    assert_eq!((find.name.as_str(), find.module.as_str()), ("find", "users"));
    assert_eq!(graph.providers[find.depends_on[0].provider].title, "dyn Repo");
}

#[tokio::test]
async fn the_graph_of_what_runs_says_what_is_built_and_how_long_it_took() {
    let log = Log::default();
    let bootstrap = application(&log);
    let app = create_bootstrap(bootstrap).override_value::<dyn Repo>(Arc::new(NoRepo)).await;
    let app = app.expect("starts");
    let graph = app.graph();
    let pool = provider(&graph, "Pool");
    assert!(pool.built && pool.build_time.is_some());
    assert_eq!(graph.environment, "unittest");
    let bound = provider(&graph, "dyn Repo");
    assert!(bound.overridden && bound.depends_on.is_empty() && bound.origin == "value");
    let hidden = provider(&graph, "SqlRepo");
    assert!(!hidden.built && hidden.used_by.is_empty());
    assert!(graph.to_mermaid().contains("Pool<br/>eager<br/>built in "));
    let data: serde_json::Value =
        serde_json::from_str(&graph.to_json().expect("is data")).expect("is JSON");
    let pools = data["providers"].as_array().expect("a list").iter();
    let pool = pools.into_iter().find(|known| known["title"] == "Pool").expect("is in it");
    assert!(pool["build_time_us"].is_u64(), "{pool}");
    app.close().await.expect("stops cleanly");
}

struct NoRepo;

impl Repo for NoRepo {}

#[tokio::test]
async fn everything_that_does_not_fit_is_in_one_report() {
    let bootstrap =
        Bootstrap::new().load(Fake::new(&Log::default())).root(env!("CARGO_MANIFEST_DIR"));
    let bootstrap = bootstrap.module(module("lost", |m| {
        serve(m, "default", "find", find);
        serve(m, "default", "find", count);
        Ok(())
    }));
    let report = format!("{:?}", bootstrap.graph().await.expect_err("does not fit"));
    for part in ["FAKE find is served twice", "FAKE find → dyn Repo"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[tokio::test]
async fn mermaid_and_graphviz_show_modules_operations_and_edges() {
    let graph = application(&Log::default()).graph().await.expect("fits together");
    let position = |title: &str| {
        graph.providers.iter().position(|provider| provider.title == title).expect(title)
    };
    let (pool, repo, bound) = (position("Pool"), position("SqlRepo"), position("dyn Repo"));
    let label = position("String");
    let mermaid = graph.to_mermaid();
    for line in [
        "flowchart LR".to_owned(),
        "  o0([\"FAKE find\"])".to_owned(),
        format!("    p{pool}[\"Pool<br/>eager\"]"),
        format!("  o0 --> p{bound}"),
        format!("  p{bound} --> p{repo}"),
        format!("  p{repo} --> p{pool}"),
        format!("  p{repo} -.-> p{label}"),
        format!(
            "    p{}[\"String #quot;odd \\#quot;name\\#quot;#quot;\"]",
            position("String \"odd \\\"name\\\"\"")
        ),
    ] {
        assert!(mermaid.lines().any(|known| known == line), "{line}\n{mermaid}");
    }
    let dot = graph.to_dot();
    for line in [
        "digraph application {".to_owned(),
        "    label=\"users\";".to_owned(),
        format!("    p{pool} [label=\"Pool\\neager\"];"),
        format!("  p{repo} -> p{label} [style=dashed];"),
        format!("  o1 -> p{pool};"),
        "}".to_owned(),
    ] {
        assert!(dot.lines().any(|known| known == line), "{line}\n{dot}");
    }
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
}
