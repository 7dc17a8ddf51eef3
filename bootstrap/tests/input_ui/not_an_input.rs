extern crate polyport_bootstrap as polyport;

use polyport::operation::Bind;

struct Plain;

fn takes<T: Bind>() {}

fn main() {
    takes::<Plain>();
}
