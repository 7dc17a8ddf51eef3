extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
async fn get(_context: Ctx) -> Result<u32, String> {
    Ok(7)
}

fn main() {}
