extern crate polyport_bootstrap as polyport;

use std::sync::Arc;

use polyport::Provide;

#[derive(Provide)]
struct Service {
    pool: Arc<String>,
    #[default]
    calls: u32,
    page_size: u32,
}

fn main() {}
