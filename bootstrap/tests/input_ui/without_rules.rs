extern crate polyport_bootstrap as polyport;

use polyport::operation::Input;

#[derive(Input)]
struct Plain {
    #[from(query)]
    size: u32,
}

#[derive(Input)]
#[input(path = polyport)]
struct Option {
    size: u32,
}

fn main() {}
