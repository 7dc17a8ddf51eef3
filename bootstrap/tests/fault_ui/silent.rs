extern crate polyport_bootstrap as polyport;

use polyport::Fault;

#[derive(Debug, Fault)]
enum Silent {
    #[fault(not_found)]
    Missing,
}

struct NotShown;

#[derive(Debug, Fault)]
#[fault(not_found, message = "no {0}")]
struct Shows(NotShown);

fn main() {}
