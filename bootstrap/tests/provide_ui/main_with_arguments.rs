extern crate polyport_bootstrap as polyport;

#[polyport::main]
async fn main(arguments: Vec<String>) -> polyport::Result<()> {
    Ok(())
}
