//! Config files and environment variables: nothing panics, nothing hangs, no secret is printed.
//!
//! The first byte says what the rest is: a file of one of the formats, or a variable.

#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use polyport_bootstrap::{
    Error,
    config::{ConfigBuilder, Environment},
};

#[path = "../../bootstrap/src/config/tests/harmless.rs"]
mod harmless;

/// In memory, where the system has such a place.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    base.join(format!("polyport-fuzz-{}", std::process::id()))
});

fuzz_target!(|input: &[u8]| {
    if let Some((kind, rest)) = input.split_first()
        && let Ok(text) = std::str::from_utf8(rest)
    {
        harmless::check(&FOLDER, *kind, text);
    }
});
