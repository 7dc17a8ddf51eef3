extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::Input;

#[derive(Input, Validate)]
#[garde(allow_unvalidated)]
struct Names {
    #[from(header = "x user")]
    spaced: String,
    #[from(cookie = "a;b")]
    divided: String,
    #[from(query = "")]
    empty: String,
    #[from(query = 7)]
    number: String,
}

fn main() {}
