//! Serves what conformance suites call: `cargo run -p polyport-conformance`.

#[polyport::main]
async fn main() -> polyport::Result<()> {
    polyport_conformance::bootstrap().run().await
}
