extern crate polyport_bootstrap as polyport;

use polyport::Fault;

#[derive(Debug, Fault)]
enum ImError {
    #[fault(conflict, message = "taken")]
    NameTaken,
    #[fault("NO_KIND", message = "x")]
    NoKind,
    NoAttribute,
    #[fault(not_found, internal, message = "x")]
    TwoKinds,
}

fn main() {}
