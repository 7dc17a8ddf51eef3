extern crate polyport_bootstrap as polyport;

#[polyport::main]
fn main() -> polyport::Result<()> {
    Ok(())
}
