//! What suites for HTTP and WebSocket call: `/` says hello and sends back what is posted, `/echo`
//! sends back every message, text as text and binary as binary.

use polyport::{
    operation::{Body, Raw},
    prelude::*,
};

pub(crate) struct EchoModule;

impl Module for EchoModule {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.http(|r| r.get("/", hello).post("/", back));
        m.websocket(|g| g.on_text(back).on_binary(back));
        Ok(())
    }
}

async fn hello() -> Result<Raw, Fault> {
    Ok(Raw::new("text/plain", "Hello!\n"))
}

async fn back(Body(bytes): Body) -> Result<Raw, Fault> {
    Ok(Raw::new("application/octet-stream", bytes))
}
