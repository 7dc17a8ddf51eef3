//! Servers that live in a workspace of their own, since they bring other versions of shared crates:
//! `others/`. It is built by the cargo and with the profile that have built this program.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use polyport::{Error, Result};

/// Which of the servers these are.
const SERVERS: [&str; 3] = ["http-actix", "http-summer", "websocket-fastwebsockets"];

/// Whether the server of that name is one of them.
pub(crate) fn has(server: &str) -> bool {
    SERVERS.contains(&server)
}

/// Cargo's folder for what it builds.
pub(crate) fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The program that serves them, once it is built.
pub(crate) fn program() -> PathBuf {
    target().join("release/side-by-side-others")
}

/// Builds it, where that is not done; needs the network the first time.
pub(crate) fn build() -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("others/Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--manifest-path"]).arg(manifest);
    match command.arg("--target-dir").arg(target()).status()?.success() {
        true => Ok(()),
        false => {
            let error = Error::other("the servers of benches/side_by_side/others cannot be built");
            Err(error.advise("mend what cargo says above, or go without --others"))
        }
    }
}
