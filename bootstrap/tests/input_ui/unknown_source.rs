extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::Input;

#[derive(Input, Validate)]
#[garde(allow_unvalidated)]
struct Unknown {
    #[from(session)]
    user: String,
    #[from(path, headers = "x-user")]
    other: String,
    #[from]
    nothing: String,
    #[from()]
    nowhere: String,
    #[from(path)]
    #[from(query)]
    twice: String,
}

fn main() {}
