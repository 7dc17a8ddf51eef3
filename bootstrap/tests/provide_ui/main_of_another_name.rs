extern crate polyport_bootstrap as polyport;

#[polyport::main]
async fn start() -> polyport::Result<()> {
    Ok(())
}

fn main() {}
