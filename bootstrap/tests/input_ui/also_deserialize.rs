extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::Input;

#[derive(Input, serde::Deserialize, Validate)]
struct Both {
    #[from(header)]
    #[garde(ascii)]
    user: String,
}

fn main() {}
