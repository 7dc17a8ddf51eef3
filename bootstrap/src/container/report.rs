//! What a person reads when the application does not fit together.

use super::{
    Dependency, Key, Root,
    graph::{Consumer, Graph, Lack, Stage},
    nearest::nearest,
    table::Table,
};
use crate::{Error, Result};

/// One report of all `faults`.
pub(super) fn all(faults: Vec<Error>) -> Result<()> {
    Error::all(format!("the application does not fit together: {} faults", faults.len()), faults)
}

/// What is missing and what runs in a circle, with the way that leads there.
pub(super) fn faults(table: &Table, roots: &[Root], stage: Stage) -> Vec<Error> {
    let graph = Graph::new(table, roots);
    let lacks = graph.lacks(stage);
    let missing = lacks.iter().map(|lack| lacking(&graph, lack));
    let circles = graph.circles();
    missing.chain(circles.iter().map(|circle| circular(&graph, circle))).collect()
}

/// `UserService → dyn UserRepo`.
pub(super) fn arrows(path: &[String]) -> String {
    path.join(" → ")
}

/// Somebody asked for what nobody provides.
pub(super) fn missing(table: &Table, dependency: &Dependency) -> Error {
    Error::wiring(format!("{}: nobody provides it", dependency.key()))
        .advise(advice(table, dependency, None))
}

/// Somebody asked for what is still to come.
pub(super) fn awaited(when: &str) -> Error {
    Error::wiring(format!("it does not exist yet; it comes {when}"))
        .advise("ask for it after that, or let what is built after that depend on it")
}

pub(super) fn provided_twice(key: &Key, first: &str, second: &str) -> Error {
    let by = if first == second {
        format!("twice by module {first}")
    } else {
        format!("by module {first} and by module {second}")
    };
    Error::wiring(format!("{key} is provided {by}"))
        .advise("keep one of the two, or give each a name: .named(\"…\")")
}

pub(super) fn unknown_override(table: &Table, key: &Key) -> Error {
    let error =
        Error::wiring(format!("the override of {key} replaces nothing: nobody provides it"));
    match nearest(table, key) {
        near if near.is_empty() => error.advise("override by the type that a module provides"),
        near => error.advise(format!("did you mean {}?", near.join(", "))),
    }
}

fn lacking(graph: &Graph<'_>, lack: &Lack<'_>) -> Error {
    let table = graph.table();
    let mut path = graph.path(lack.consumer);
    path.push(lack.dependency.key().to_string());
    let path = arrows(&path);
    if let Some(when) = lack.awaited.and_then(|slot| table.slot(slot).announced()) {
        return Error::wiring(format!("{path}: it has not come, though promised {when}"));
    }
    let module = match lack.consumer {
        Consumer::Slot(index) => Some(&*table.slot(index).module),
        Consumer::Root(_) => None,
    };
    Error::wiring(format!("{path}: nobody provides it")).advise(advice(
        table,
        lack.dependency,
        module,
    ))
}

fn circular(graph: &Graph<'_>, circle: &[usize]) -> Error {
    let names = circle.iter().chain(circle.first());
    let names = names.map(|&slot| graph.table().slot(slot).key().to_string());
    let mut path = circle.first().map_or_else(Vec::new, |&slot| graph.path(Consumer::Slot(slot)));
    path.pop();
    path.extend(names);
    Error::wiring(format!("{}: a circle, nobody in it can be built first", arrows(&path)))
        .advise("let one of them do without the next, or move what both need into a third")
}

fn advice(table: &Table, dependency: &Dependency, module: Option<&str>) -> String {
    let near = nearest(table, dependency.key());
    let remedy = match dependency.advice() {
        Some(advice) => advice.to_owned(),
        None => remedy(dependency.key(), module),
    };
    if near.is_empty() {
        return remedy;
    }
    format!("did you mean {}? Otherwise {remedy}", near.join(", "))
}

fn remedy(key: &Key, module: Option<&str>) -> String {
    let place = module.map_or_else(|| "a module".to_owned(), |module| format!("module {module}"));
    let short = super::key::without_paths(key.type_name());
    let named = key.name().map(|name| format!(".named({name:?})")).unwrap_or_default();
    if short.starts_with("dyn ") {
        return format!("bind it in {place}: .bind::<{short}, …>(|it| it){named}");
    }
    format!(
        "provide it in {place}: .provide::<{short}>(){named}, or .provide_value(…) or \
         .provide_with(…)"
    )
}
