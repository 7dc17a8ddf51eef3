extern crate polyport_bootstrap as polyport;

#[polyport::main(flavor = "current_thread")]
async fn main() -> polyport::Result<()> {
    Ok(())
}
