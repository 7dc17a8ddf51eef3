//! The container, side by side with others in one run:
//! `cargo bench -p polyport-bench-container`, or `… -- request` for one group.
//!
//! The cases of a group take turns, so that what else happens on the machine hits all of them; a
//! figure is the median of the rounds. Allocations are counted, not estimated.

mod application;
mod measure;
mod others;
mod thousand;

use std::{io::Write, rc::Rc, sync::Arc};

use measure::{Case, Report};
use polyport_bootstrap::operation::Fault;
use tokio::runtime::{Builder, Runtime};

use application::{Application, Service, Session};

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
        others::dill_request(),
        others::froodi_request(),
    ];
    let mut report = measure::run("A request scope with one provider", cases);
    let scope = "polyport: the scope (with − without)";
    report.difference(scope, "polyport: a call with a scope", "polyport: a call without");
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

/// What an operation of this benchmark returns.
type Answer = Result<u64, Fault>;

/// A value that cannot be guessed by the optimiser.
fn number(session: &Session) -> u64 {
    std::hint::black_box(session.0)
}
