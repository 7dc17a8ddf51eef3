//! What `#[polyport::main]` expands to.

use std::{future::Future, io::Write, process::ExitCode};

use crate::{Error, Result, command, program, systemd};

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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
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

fn report(error: &Error) -> ExitCode {
    // Nothing is left to be done where even standard error is closed.
    let _ = write!(std::io::stderr(), "error: {error:?}");
    ExitCode::from(error.exit_code())
}
