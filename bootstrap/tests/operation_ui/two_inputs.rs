extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
async fn get(_one: Input<u32>, _two: Input<u64>) -> Result<(), Fault> {
    Ok(())
}

fn main() {}
