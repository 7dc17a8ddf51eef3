//! The `.proto` files of polyport's examples, and the messages, clients and
//! server traits compiled from them.
//!
//! The files under `proto/` are the source: documentation of a message or a
//! field is its comment there. They are compiled by protox, without `protoc`.
//!
//! ```
//! use polyport_proto::{helloworld::HelloRequest, im::v1::GetUserRequest};
//!
//! let hello = HelloRequest { name: "Tom".into() };
//! let query = GetUserRequest { user_id: "tom".into() };
//! assert_ne!(hello.name, query.user_id);
//! ```

/// The well-known `helloworld.Greeter` of gRPC's tutorials.
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "generated code; the .proto file documents messages and calls"
)]
pub mod helloworld {
    tonic::include_proto!("helloworld");
}

/// What belongs to gRPC itself.
pub mod grpc {
    /// The services of gRPC's interoperability tests, package `grpc.testing`.
    #[allow(
        missing_docs,
        clippy::missing_errors_doc,
        clippy::missing_panics_doc,
        reason = "generated code; the .proto file documents messages and calls"
    )]
    pub mod testing {
        tonic::include_proto!("grpc.testing");
    }
}

/// The chat application's messages and services.
pub mod im {
    /// The first version of the chat application's API, package `im.v1`.
    #[allow(
        missing_docs,
        clippy::missing_errors_doc,
        clippy::missing_panics_doc,
        reason = "generated code; the .proto file documents messages and calls"
    )]
    pub mod v1 {
        tonic::include_proto!("im.v1");
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of every file of this crate,
/// for gRPC reflection and for checking registered methods at start.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("polyport_descriptor");
