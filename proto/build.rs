//! Compiles the `.proto` files with protox, so that no machine needs `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use protox::prost::Message as _;

/// Where the `.proto` files live; imports are resolved from here.
const ROOT: &str = "proto";
/// Every file that is compiled, relative to [`ROOT`].
const FILES: [&str; 3] = ["grpc/testing/test.proto", "helloworld.proto", "im/v1/im.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let descriptors = protox::compile(FILES, [ROOT])?;
    // Written here because `file_descriptor_set_path` has no effect on `compile_fds`.
    let set = PathBuf::from(env::var("OUT_DIR")?).join("polyport_descriptor.bin");
    fs::write(set, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(true)
        // The messages of the smallest example are its operation's own types, on JSON protocols too.
        .type_attribute(".helloworld", "#[derive(serde::Serialize, serde::Deserialize)]")
        .type_attribute(".helloworld", "#[derive(garde::Validate)] #[garde(allow_unvalidated)]")
        .field_attribute("helloworld.HelloRequest.name", "#[garde(length(max = 1_000))]")
        // Those of the interoperability tests are inputs of operations, too.
        .message_attribute(
            ".grpc.testing",
            "#[derive(garde::Validate)] #[garde(allow_unvalidated)]",
        )
        .compile_fds(descriptors)?;
    Ok(())
}
