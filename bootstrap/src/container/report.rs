//! What a person reads when the application does not fit together.

use super::{
    Dependency, Elsewhere, Key, Offer, Root, Scope,
    graph::{Captive, Consumer, Graph, Lack, Stage, Trespass, Why},
    nearest::{nearest, siblings},
    table::{Origin, Table},
};
use crate::{Error, Result};

/// One report of all `faults`.
pub(super) fn all(faults: Vec<Error>) -> Result<()> {
    Error::all(format!("the application does not fit together: {} faults", faults.len()), faults)
}

/// What is missing, ambiguous or private, what outlives its call and what runs in a circle, with the way
/// that leads there.
pub(super) fn faults(
    table: &Table,
    roots: &[Root],
    stage: Stage,
    elsewhere: Elsewhere<'_>,
) -> Vec<Error> {
    let graph = Graph::new(table, roots);
    let lacks = graph.lacks(stage);
    let is_missing = |lack: &Lack<'_>| matches!(lack.why, Why::Missing);
    let offers = if lacks.iter().any(is_missing) { elsewhere() } else { Vec::new() };
    let mut faults: Vec<Error> = lacks.iter().map(|lack| lacking(&graph, lack, &offers)).collect();
    faults.extend(graph.trespasses().iter().map(|trespass| trespassing(&graph, trespass)));
    faults.extend(graph.captives().iter().map(|captive| held_captive(&graph, captive)));
    faults.extend(graph.circles().iter().map(|circle| circular(&graph, circle)));
    faults
}

/// `UserService → dyn UserRepo`.
pub(super) fn arrows(path: &[String]) -> String {
    path.join(" → ")
}

/// Somebody asked for what nobody provides, or for one where several do.
pub(super) fn missing(table: &Table, dependency: &Dependency) -> Error {
    let rivals = table.rivals(dependency.key());
    if !rivals.is_empty() {
        return ambiguous(table, &dependency.key().to_string(), dependency.key(), rivals);
    }
    Error::wiring(format!("{}: nobody provides it", dependency.key()))
        .advise(advice(table, dependency, None))
}

/// Somebody asked for what is still to come.
pub(super) fn awaited(when: &str) -> Error {
    Error::wiring(format!("it does not exist yet; it comes {when}"))
        .advise("ask for it after that, or let what is built after that depend on it")
}

/// A constructor asked the container for what it did not declare.
pub(super) fn hidden_edge(builder: &Key, wanted: &Key) -> Error {
    Error::wiring(format!(
        "the constructor of {builder} asks the container for {wanted}, which is not built yet"
    ))
    .advise(format!(
        "let it depend on {wanted} (an argument, or an #[inject] field), so that it is built \
         before, or ask later"
    ))
}

/// Somebody asked for a value of a call outside of any.
pub(super) fn no_call() -> Error {
    Error::wiring("it exists once for each call, and there is no call here")
        .advise("take it in an operation (Inject<…>) or in what belongs to a call too")
}

/// A slot that stays empty.
pub(super) fn no_value() -> Error {
    Error::wiring("nobody has brought its value")
}

pub(super) fn other_type(key: &Key) -> Error {
    Error::wiring(format!("{key}: what is stored there has another type"))
}

pub(super) fn not_immediate(key: &Key) -> Error {
    Error::wiring(format!("{key} says that its constructor never waits, and it does"))
        .advise("leave IMMEDIATE out of its implementation of Provide")
}

pub(super) fn unexpected(key: &Key) -> Error {
    let short = super::key::without_paths(key.type_name());
    Error::wiring(format!("{key} cannot be inserted: no module expects it")).advise(format!(
        "declare it, so that the graph can be checked: m.expects::<{short}>(\"when it comes\")"
    ))
}

pub(super) fn scope_of_value(key: &Key, module: &str, scope: Scope) -> Error {
    Error::wiring(format!(
        "{key} (module {module}) is a finished value and cannot be {}",
        scoped(scope)
    ))
    .advise("provide a type or a factory: those can be built more than once")
}

pub(super) fn scope_of_alias(
    key: &Key,
    module: &str,
    scope: Scope,
    target: Option<&Dependency>,
) -> Error {
    let target = target.map_or_else(String::new, Dependency::spelled);
    let scope = scoped(scope);
    Error::wiring(format!("{key} (module {module}) only shows {target} and cannot be {scope}"))
        .advise(format!("make {target} {scope}: what shows it lives as long"))
}

fn scoped(scope: Scope) -> &'static str {
    match scope {
        Scope::Singleton => "a singleton",
        Scope::Request => "request-scoped",
        Scope::Transient => "transient",
    }
}

pub(super) fn disposal_of_transient(key: &Key, module: &str) -> Error {
    Error::wiring(format!("{key} (module {module}) is transient, so nobody would dispose of it"))
        .advise("let it be request-scoped, or give back what it holds in Drop")
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
        near if near.is_empty() => match siblings(table, key) {
            others if others.is_empty() => {
                error.advise("override by the type that a module provides")
            }
            others => error.advise(format!("there is {}", others.join(", "))),
        },
        near => error.advise(format!("did you mean {}?", near.join(", "))),
    }
}

fn lacking(graph: &Graph<'_>, lack: &Lack<'_>, offers: &[Offer]) -> Error {
    let table = graph.table();
    let mut path = graph.path(lack.consumer);
    path.push(lack.dependency.spelled());
    let path = arrows(&path);
    match lack.why {
        Why::Late(when) => {
            return Error::wiring(format!("{path}: it has not come, though promised {when}"));
        }
        Why::Ambiguous(rivals) => return ambiguous(table, &path, lack.dependency.key(), rivals),
        Why::Missing => {}
    }
    let mut offers = offers.iter().filter(|offer| offer.key == *lack.dependency.key());
    if let Some(offer) = offers.next() {
        let others = offers.map(|other| format!("; {}", other.text)).collect::<String>();
        let message = format!("{path}: nobody provides it; {}{others}", offer.text);
        return Error::wiring(message).advise(offer.remedy.as_str());
    }
    let module = graph.module(lack.consumer);
    Error::wiring(format!("{path}: nobody provides it")).advise(advice(
        table,
        lack.dependency,
        module,
    ))
}

fn ambiguous(table: &Table, path: &str, key: &Key, rivals: &[usize]) -> Error {
    let rivals: Vec<String> = rivals.iter().map(|&rival| implementation(table, rival)).collect();
    let short = super::key::without_paths(key.type_name());
    Error::wiring(format!("{path}: ambiguous, since it is {}", rivals.join(" and "))).advise(
        format!(
            "keep one of them, give each a name (.named(\"…\")) and ask for that, or take them \
             all: Vec<Arc<{short}>>"
        ),
    )
}

/// `SqlRepo (module user)`.
fn implementation(table: &Table, slot: usize) -> String {
    let slot = table.slot(slot);
    match (&slot.origin, slot.target()) {
        (Origin::Alias(_), Some(target)) => format!("{target} (module {})", slot.module),
        _ => format!("a value (module {})", slot.module),
    }
}

fn trespassing(graph: &Graph<'_>, trespass: &Trespass) -> Error {
    let taken = graph.table().slot(trespass.taken.slot);
    let mut taker = arrows(&graph.path(trespass.consumer));
    if let Some(module) = graph.module(trespass.consumer) {
        taker += &format!(" (module {module})");
    }
    let spelled = trespass.taken.kind.spell(taken.key());
    private(taken.key(), &taken.module).context(format!("{taker} → {spelled}"))
}

/// Somebody asked for what module `owner` keeps to itself.
pub(super) fn private(key: &Key, owner: &str) -> Error {
    Error::wiring(format!("it is private to module {owner}")).advise(format!(
        "take what module {owner} provides for others, or register {key} there outside of \
         `m.private(…)`"
    ))
}

fn held_captive(graph: &Graph<'_>, captive: &Captive) -> Error {
    let table = graph.table();
    let mut path = graph.path(captive.holder);
    path.extend(captive.way.iter().map(|edge| edge.kind.spell(table.slot(edge.slot).key())));
    let (path, holder) = (arrows(&path), graph.name(captive.holder));
    let value = captive.way.last().map(|edge| table.slot(edge.slot).key().to_string());
    let value = value.unwrap_or_default();
    if captive.is_lazy() {
        return Error::wiring(format!(
            "{path}: {value} belongs to a call, and what is lazy may be asked for after it"
        ))
        .advise(format!("take Arc<{value}> in something that belongs to the call too"));
    }
    match captive.holder {
        Consumer::Root(_) => Error::wiring(format!("{path}: {value} exists only within a call"))
            .advise(format!("make {value} a singleton, or take it in an operation")),
        Consumer::Slot(_) => Error::wiring(format!(
            "{path}: {holder} is one for the process, and {value} ends with its call"
        ))
        .advise(format!(
            "make {holder} request-scoped too (scope = \"request\", or .request()), or give it \
             what it needs of {value} as an argument of its methods"
        )),
    }
}

fn circular(graph: &Graph<'_>, circle: &[usize]) -> Error {
    let mut path = circle.first().map_or_else(Vec::new, |&slot| graph.path(Consumer::Slot(slot)));
    let onwards = circle.iter().skip(1).chain(circle.first());
    path.extend(circle.iter().zip(onwards).map(|(&from, &to)| graph.step_name(from, to)));
    Error::wiring(format!("{}: a circle, nobody in it can be built first", arrows(&path))).advise(
        "let one of them take the next lazily (Lazy<…>), or move what both need into a third",
    )
}

fn advice(table: &Table, dependency: &Dependency, module: Option<&str>) -> String {
    let near = nearest(table, dependency.key());
    let remedy = match dependency.advice() {
        Some(advice) => advice.to_owned(),
        None => remedy(dependency.key(), module),
    };
    let family = table.family_of(dependency.key().type_id()).zip(dependency.key().name());
    let remedy = family.map_or(remedy, |(family, name)| family.remedy(name));
    let others = siblings(table, dependency.key());
    match (near.as_slice(), others.as_slice()) {
        ([], []) => remedy,
        ([], others) => format!("there is {}. Otherwise {remedy}", others.join(", ")),
        (near, []) => format!("did you mean {}? Otherwise {remedy}", near.join(", ")),
        (near, others) => format!(
            "did you mean {}? There is {}. Otherwise {remedy}",
            near.join(", "),
            others.join(", ")
        ),
    }
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
