//! From container, modules and operations to the graph.

use super::{Graph, GraphEdge, GraphHook, GraphModule, GraphOperation, GraphProvider};
use crate::{
    Config,
    container::{Container, Description, Target},
    declared::Declared,
    operation::Exposure,
};

/// The graph of what is registered.
pub(crate) fn graph(
    config: &Config,
    modules: &[GraphModule],
    container: &Container,
    exposures: &[Exposure],
    hooks: &[Declared],
) -> Graph {
    let mut providers: Vec<_> = container.describe().into_iter().map(provider).collect();
    let operations: Vec<_> =
        exposures.iter().map(|exposure| operation(container, exposure)).collect();
    let hooks: Vec<_> = hooks.iter().map(|declared| hook(container, declared)).collect();
    for operation in &operations {
        mark_used(&mut providers, &operation.title, &operation.depends_on);
    }
    for hook in &hooks {
        mark_used(&mut providers, &hook.title, &hook.depends_on);
    }
    let environment = config.environment().to_string();
    Graph { environment, modules: modules.to_vec(), providers, operations, hooks }
}

fn provider(of: Description) -> GraphProvider {
    GraphProvider {
        title: of.key.to_string(),
        type_name: of.key.type_name().to_owned(),
        name: of.key.name().map(str::to_owned),
        module: of.module.to_string(),
        scope: of.scope.as_str(),
        origin: of.origin,
        eager: of.eager,
        private: of.private,
        overridden: of.overridden,
        depends_on: of.dependencies.into_iter().map(edge).collect(),
        used_by: Vec::new(),
        built: of.built,
        build_time: of.build_time,
    }
}

fn operation(container: &Container, exposure: &Exposure) -> GraphOperation {
    let targets = container.targets(exposure.operation().dependencies());
    GraphOperation {
        title: exposure.title(),
        name: exposure.operation().name().to_owned(),
        protocol: exposure.protocol.as_str(),
        framework: exposure.framework.clone(),
        module: exposure.module.clone(),
        depends_on: targets.into_iter().map(edge).collect(),
    }
}

fn hook(container: &Container, declared: &Declared) -> GraphHook {
    let targets = container.targets(&declared.dependencies);
    GraphHook {
        title: declared.title(),
        point: declared.point.as_str(),
        module: declared.owner.module().map(|module| module.to_string()),
        depends_on: targets.into_iter().map(edge).collect(),
    }
}

fn edge(target: Target) -> GraphEdge {
    GraphEdge { provider: target.provider, kind: format!("{:?}", target.kind).to_ascii_lowercase() }
}

/// Notes who is called `title` with everything that is reached from there.
fn mark_used(providers: &mut [GraphProvider], title: &str, depends_on: &[GraphEdge]) {
    let mut seen = vec![false; providers.len()];
    let mut open: Vec<usize> = depends_on.iter().map(|edge| edge.provider).collect();
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        providers[index].used_by.push(title.to_owned());
        open.extend(providers[index].depends_on.iter().map(|edge| edge.provider));
    }
}
