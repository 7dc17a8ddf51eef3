extern crate polyport_bootstrap as polyport;

use polyport::Fault;

#[derive(Debug, Fault)]
#[fault(not_found)]
enum OnTheEnum {
    #[fault(internal)]
    Variant,
}

#[derive(Debug, Fault)]
enum Transparent {
    #[fault(transparent)]
    NoField,
    #[fault(transparent)]
    TwoFields(Fault, Fault),
    #[fault(transparent, message = "x")]
    SaysMore(Fault),
}

#[derive(Debug, Fault)]
#[fault(internal)]
struct TwoSources(#[source] std::io::Error, #[source] std::io::Error);

#[derive(Debug, Fault)]
#[fault(not_found, message = "x")]
struct Borrows<'a>(&'a str);

#[derive(Debug, Fault)]
enum Nothing {}

fn main() {}
