extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::Input;

#[derive(Input, Validate)]
#[garde(allow_unvalidated)]
struct Flattened {
    #[serde(flatten)]
    page: Page,
}

#[derive(Input, Validate)]
#[serde(try_from = "String")]
#[garde(allow_unvalidated)]
struct Converted {
    page: String,
}

#[derive(serde::Deserialize)]
struct Page {}

fn main() {}
