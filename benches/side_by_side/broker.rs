//! The broker of the rows of AMQP: the one that [`BROKER`](amqp::BROKER) names, else a RabbitMQ of
//! this run alone.

use std::{
    env,
    path::Path,
    process::{Command, ExitStatus},
};

use polyport::Result;

/// What a failed run ends with (sysexits.h: `EX_SOFTWARE`), apart from all that the script ends with
/// where there is no broker.
pub(crate) const FAILED: u8 = 70;

/// What `scripts/rabbitmq` ends with where RabbitMQ does not start, or is not to be had.
const NO_BROKER: [i32; 2] = [1, 69];

/// Runs this program once more, with a broker around it, on the cores that this thread is kept on.
/// None where there is no broker; the script has said why.
pub(crate) fn run_again(words: &[String]) -> Result<Option<ExitStatus>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/rabbitmq");
    let mut command = Command::new(script);
    command.args(["run", "--name", "side-by-side", "--purge", "--"]);
    let status = command.arg(env::current_exe()?).args(words).status();
    Ok(status.ok().filter(|status| !status.code().is_some_and(|code| NO_BROKER.contains(&code))))
}
