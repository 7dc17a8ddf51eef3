extern crate polyport_bootstrap as polyport;

use polyport::Provide;

struct Connection;

#[derive(Provide)]
struct Service {
    #[default]
    connection: Connection,
}

fn main() {}
