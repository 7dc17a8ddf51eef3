//! From container, modules and operations to the graph.

use super::{Graph, GraphEdge, GraphModule, GraphOperation, GraphProvider};
use crate::{
    Config,
    container::{Container, Description, Target},
    operation::Exposure,
};

/// The graph of what is registered.
pub(crate) fn graph(
    config: &Config,
    modules: &[GraphModule],
    container: &Container,
    exposures: &[Exposure],
) -> Graph {
    let mut providers: Vec<_> = container.describe().into_iter().map(provider).collect();
    let operations: Vec<_> =
        exposures.iter().map(|exposure| operation(container, exposure)).collect();
    for operation in &operations {
        mark_used(&mut providers, operation);
    }
    let environment = config.environment().to_string();
    Graph { environment, modules: modules.to_vec(), providers, operations }
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
    let targets = container.targets(exposure.operation.dependencies());
    GraphOperation {
        title: exposure.title(),
        name: exposure.operation.name().to_owned(),
        protocol: exposure.protocol.as_str(),
        framework: exposure.framework.clone(),
        module: exposure.module.clone(),
        depends_on: targets.into_iter().map(edge).collect(),
    }
}

fn edge(target: Target) -> GraphEdge {
    GraphEdge { provider: target.provider, kind: format!("{:?}", target.kind).to_ascii_lowercase() }
}

/// Notes the operation with everything that it reaches.
fn mark_used(providers: &mut [GraphProvider], operation: &GraphOperation) {
    let mut seen = vec![false; providers.len()];
    let mut open: Vec<usize> = operation.depends_on.iter().map(|edge| edge.provider).collect();
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        providers[index].used_by.push(operation.title.clone());
        open.extend(providers[index].depends_on.iter().map(|edge| edge.provider));
    }
}
