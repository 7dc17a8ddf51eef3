//! The container, beside others that do the same.

mod application;
mod others;
mod thousand;

use std::sync::Arc;

use tokio::runtime::Builder;

use self::application::{Answers, Application, Service};
use crate::turn::{Turn, turn};

/// Cases that resolve a singleton.
pub(crate) const SINGLETON: [&str; 8] = [
    "polyport: try_get",
    "polyport: a handler without",
    "polyport: a handler with Inject",
    "polyport: a handler with a concrete type",
    "shaku: resolve",
    "dill: get_one",
    "froodi: get (a concrete type)",
    "(Arc::clone)",
];

/// Cases of a call with a value of its own.
pub(crate) const REQUEST: [&str; 5] = [
    "polyport: a call without",
    "polyport: a call with a scope",
    "polyport: a call with a derived value",
    "dill: a chained catalog with a transaction",
    "froodi: enter, get, close",
];

/// Cases of a thousand providers: registered, checked, built.
pub(crate) const THOUSAND: [&str; 2] = ["polyport: a thousand", "dill: a thousand"];

/// The case of that name.
pub(crate) fn case(name: &str) -> Option<Turn> {
    Some(match name {
        "polyport: try_get" => try_get(),
        "polyport: a handler without" => Application::new().handler(application::without),
        "polyport: a handler with Inject" => {
            Application::new().handler(application::with_singleton)
        }
        "polyport: a handler with a concrete type" => {
            Application::new().handler(application::with_clock)
        }
        "polyport: a call without" => Application::new().call(application::without),
        "polyport: a call with a scope" => Application::new().call(application::with_session),
        "polyport: a call with a derived value" => Application::new().call(application::with_repo),
        "polyport: a thousand" => a_thousand(),
        "dill: a thousand" => turn(thousand::dill),
        "(Arc::clone)" => clone(),
        other => return others::case(other),
    })
}

fn try_get() -> Turn {
    let container = Application::new().container;
    turn(move || container.try_get::<dyn Service>())
}

fn clone() -> Turn {
    let service: Arc<dyn Service> = Arc::new(Answers(42));
    turn(move || Arc::clone(&service))
}

#[allow(clippy::expect_used, reason = "a benchmark that cannot begin ends")]
fn a_thousand() -> Turn {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    turn(move || thousand::polyport(&runtime))
}
