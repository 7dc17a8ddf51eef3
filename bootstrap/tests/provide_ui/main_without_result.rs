extern crate polyport_bootstrap as polyport;

#[polyport::main]
async fn main() {}
