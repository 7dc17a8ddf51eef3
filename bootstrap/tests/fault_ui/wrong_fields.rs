extern crate polyport_bootstrap as polyport;

use polyport::Fault;

#[derive(Debug, Fault)]
enum ImError {
    #[fault(internal)]
    Source(#[source] u8),
    #[fault(transparent)]
    Transparent(u8),
}

fn main() {}
