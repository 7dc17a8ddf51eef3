extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
fn get(_context: Ctx) -> Result<u32, Fault> {
    Ok(7)
}

fn main() {}
