extern crate polyport_bootstrap as polyport;

use polyport::Provide;

#[derive(Provide)]
#[provide(init = connect, dispose = say_goodbye)]
struct Service;

fn main() {}
