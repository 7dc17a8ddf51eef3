//! What the container promises, each proved once.

mod building;
mod checks;
mod derive;
mod disposal;
mod lazy;
mod many;
mod nested;
mod overrides;
mod random;
mod registering;
mod scopes;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{Container, ContainerBuilder};

/// Long enough for everything here; a test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, entry: &str) -> usize {
        self.entries().iter().filter(|found| *found == entry).count()
    }
}

fn container(register: impl FnOnce(&mut ContainerBuilder)) -> Container {
    let mut builder = ContainerBuilder::new();
    builder.set_module("test");
    register(&mut builder);
    builder.build().unwrap()
}

/// The whole report of a builder that does not fit together.
fn refused(register: impl FnOnce(&mut ContainerBuilder)) -> String {
    let mut builder = ContainerBuilder::new();
    builder.set_module("test");
    register(&mut builder);
    format!("{:?}", builder.build().unwrap_err())
}
