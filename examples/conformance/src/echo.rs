//! What suites for HTTP and WebSocket call: `/` says hello, `/echo` sends back what it gets.

use polyport::prelude::*;
use serde_json::Value;

pub(crate) struct EchoModule;

impl Module for EchoModule {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.http(|r| r.get("/", hello).post("/", back)).websocket(|g| g.on("echo", back));
        Ok(())
    }
}

async fn hello() -> Result<&'static str, Fault> {
    Ok("Hello!")
}

/// The same again: as the body of an HTTP request, and as the data of a WebSocket event.
async fn back(Input(Any(value)): Input<Any>) -> Result<Value, Fault> {
    Ok(value)
}

#[derive(Debug, serde::Deserialize, garde::Validate)]
#[garde(allow_unvalidated)]
struct Any(Value);
