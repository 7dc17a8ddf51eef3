extern crate polyport_bootstrap as polyport;

use polyport::Provide;

#[derive(Provide)]
struct Service<'a> {
    #[config("users.name")]
    name: &'a str,
}

fn main() {}
