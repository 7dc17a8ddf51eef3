//! What `#[polyport::main]` expands to.

use std::{future::Future, io::Write, num::NonZero, process::ExitCode, sync::mpsc, time::Duration};

use tokio::runtime::Builder;

use crate::{Error, Result, command, logging, program, systemd};

/// Code that blocks its thread must not keep a deadline from being noticed, which takes another one.
const FEWEST_WORKERS: usize = 2;

/// How long whoever reads standard error may take to do so at the end.
const READ: Duration = Duration::from_secs(2);

/// Where tokio reads how many workers there are to be.
const WORKERS: &str = "TOKIO_WORKER_THREADS";

/// Runs `main` on a multi-threaded runtime, prints the report of an error to standard error, and
/// turns it into the exit code. A bootstrap that runs in it obeys the process's arguments.
#[must_use]
pub fn run_main<E: Into<Error>>(
    package: &'static str,
    main: impl Future<Output = Result<(), E>>,
) -> ExitCode {
    run_main_alone(package, command::with(std::env::args_os().skip(1), main))
}

/// As [`run_main`], for a program whose arguments are its own.
#[must_use]
pub fn run_main_alone<E: Into<Error>>(
    package: &'static str,
    main: impl Future<Output = Result<(), E>>,
) -> ExitCode {
    let main = systemd::with(main);
    let runtime = match builder().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report(&Error::other("the runtime cannot be started").caused_by(error));
        }
    };
    let outcome = runtime.block_on(program::named(package, main)).map_err(Into::into);
    // Whatever still blocks a thread was cut by a second signal or has lost its deadline: the
    // process must end all the same.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// As many workers as there are processors, but at least two, unless the environment says how many.
fn builder() -> Builder {
    let mut builder = Builder::new_multi_thread();
    if std::env::var_os(WORKERS).is_none() {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        builder.worker_threads(processors.max(FEWEST_WORKERS));
    }
    builder
}

fn report(error: &Error) -> ExitCode {
    tell(error);
    ExitCode::from(error.exit_code())
}

/// Prints the report of an error. Whoever does not read it does not keep the process from its end.
pub(crate) fn tell(error: &Error) {
    logging::write_through();
    let report = format!("error: {error:?}");
    let (sender, told) = mpsc::channel();
    let print = move || {
        // Nothing is left to be done where even standard error is closed.
        let _ = write!(std::io::stderr(), "{report}");
        let _ = sender.send(());
    };
    if std::thread::Builder::new().spawn(print).is_ok() {
        let _ = told.recv_timeout(READ);
    }
}
