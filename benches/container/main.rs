//! The container, side by side with others in one run:
//! `cargo bench -p polyport-bench-container`, or `… -- request` for one group.
//!
//! The cases of a group take turns in many short rounds, and a figure is that of the fastest: what
//! else happens on the machine can only add to it. Allocations are counted in `allocations.rs`, not
//! here, since counting takes time.

extern crate polyport_bootstrap as polyport;

mod application;
mod measure;
mod others;
mod thousand;

use std::{io::Write, rc::Rc, sync::Arc};

use measure::{Case, Report};
use tokio::runtime::{Builder, Runtime};

use application::{Application, Service};

fn main() -> std::io::Result<()> {
    let (flags, wanted): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !flags.iter().any(|flag| flag == "--bench") {
        return Ok(());
    }
    let runtime = Rc::new(Builder::new_current_thread().build()?);
    let mut output = std::io::stdout().lock();
    for (name, group) in [
        ("resolve", resolve as fn(&Rc<Runtime>) -> Report),
        ("request", request),
        ("thousand", thousand),
    ] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            writeln!(output, "{}", group(&runtime))?;
        }
    }
    Ok(())
}

/// One singleton, as a trait object where the container can.
fn resolve(runtime: &Rc<Runtime>) -> Report {
    let application = Application::new(runtime);
    let container = application.container.clone();
    let service: Arc<dyn Service> = container.try_get().unwrap_or_else(|| unreachable!());
    let cases = vec![
        Case::new("polyport: try_get", move |_| container.try_get::<dyn Service>()),
        application.handler("polyport: a handler without", application::without),
        application.handler("polyport: a handler with Inject", application::with_singleton),
        application.handler("polyport: a handler with a concrete type", application::with_clock),
        others::shaku_resolve(),
        others::dill_resolve(),
        others::froodi_resolve(),
        Case::new("(Arc::clone)", move |_| Arc::clone(&service)),
    ];
    let mut report = measure::run("Resolving a singleton", cases);
    let in_handler = "polyport: in a handler (with − without)";
    report.difference(in_handler, "polyport: a handler with Inject", "polyport: a handler without");
    report
}

/// A call with a value of its own.
fn request(runtime: &Rc<Runtime>) -> Report {
    let application = Application::new(runtime);
    let cases = vec![
        application.case("polyport: a call without", application::without),
        application.case("polyport: a call with a scope", application::with_session),
        application.case("polyport: a call with a derived value", application::with_repo),
        others::dill_request(),
        others::froodi_request(),
    ];
    let mut report = measure::run("A request scope with one provider", cases);
    let call = "polyport: a call without";
    let derived = "polyport: the scope, derived, with a singleton";
    report.difference(derived, "polyport: a call with a derived value", call);
    let scope = "polyport: the scope (with − without)";
    report.difference(scope, "polyport: a call with a scope", call);
    report
}

/// A thousand providers, from nothing to the last value.
fn thousand(runtime: &Rc<Runtime>) -> Report {
    let runtime = Rc::clone(runtime);
    let cases = vec![
        Case::new("polyport: register, check, build", move |_| thousand::polyport(&runtime)),
        Case::new("dill: register, check, build", |_| thousand::dill()),
    ];
    measure::run("A thousand trivial providers", cases)
}
