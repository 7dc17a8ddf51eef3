extern crate polyport_bootstrap as polyport;

use polyport::Provide;

#[derive(Clone)]
struct Pool;

#[derive(Provide)]
struct Service {
    #[inject(name = "replica")]
    pool: Pool,
}

fn main() {}
