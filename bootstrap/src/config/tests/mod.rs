//! Tests of the whole room, in folders of their own; no test touches the process's environment.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value as Json, json};

use super::*;
use crate::Error;

mod change;
mod explaining;
mod faults;
mod files;
mod harmless;
mod interpolating;
mod layering;
mod lifecycle;
mod probing;
mod properties;
mod secrets;
mod will_load;

/// An application's folder of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "polyport-config-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.0.join("config")).unwrap();
        for (name, text) in files {
            fs::write(folder.0.join("config").join(name), text).unwrap();
        }
        folder
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn builder(&self) -> ConfigBuilder {
        self.builder_for(Environment::unittest())
    }

    fn builder_for(&self, environment: Environment) -> ConfigBuilder {
        ConfigBuilder::new(environment, &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A configuration of these default files.
fn config(files: &[(&str, &str)]) -> Config {
    Folder::new(files).builder().build().unwrap()
}

fn faults(files: &[(&str, &str)]) -> Error {
    Folder::new(files).builder().build().unwrap_err()
}

fn with_variables(of: &[(&str, &str)]) -> Config {
    ConfigBuilder::new(Environment::unittest(), "no/such/folder")
        .variables(of.iter().copied())
        .build()
        .unwrap()
}

fn report(error: &Error) -> String {
    format!("{error:?}")
}
