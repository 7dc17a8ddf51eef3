extern crate polyport_bootstrap as polyport;

use polyport::{ModuleBuilder, controller};

struct Users;

fn register(m: &mut ModuleBuilder<'_>) {
    m.controller::<Users>();
}

fn main() {}
