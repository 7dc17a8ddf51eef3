extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
async fn get(_context: Ctx, id: u32, _clock: Inject<u64>) -> Result<u32, Fault> {
    Ok(id)
}

fn main() {}
