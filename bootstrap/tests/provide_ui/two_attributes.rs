extern crate polyport_bootstrap as polyport;

use std::sync::Arc;

use polyport::Provide;

#[derive(Provide)]
struct Service {
    #[inject]
    #[default]
    pool: Option<Arc<String>>,
}

fn main() {}
