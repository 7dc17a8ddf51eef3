//! The descriptor set is what reflection and the check of methods at start rely on.

use std::collections::BTreeSet;

use polyport_proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// Every method as `package.Service/Method`, with `stream` after a server stream.
fn methods(file: &FileDescriptorProto) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for service in &file.service {
        for method in &service.method {
            let stream = if method.server_streaming() { " stream" } else { "" };
            let path = format!("{}.{}/{}", file.package(), service.name(), method.name());
            found.insert(path + stream);
        }
    }
    found
}

#[test]
fn the_descriptor_set_names_every_method_of_every_service() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let found: BTreeSet<String> = set.file.iter().flat_map(methods).collect();
    let expected = [
        "grpc.testing.TestService/CacheableUnaryCall",
        "grpc.testing.TestService/EmptyCall",
        "grpc.testing.TestService/FullDuplexCall stream",
        "grpc.testing.TestService/HalfDuplexCall stream",
        "grpc.testing.TestService/StreamingInputCall",
        "grpc.testing.TestService/StreamingOutputCall stream",
        "grpc.testing.TestService/UnaryCall",
        "grpc.testing.TestService/UnimplementedCall",
        "grpc.testing.UnimplementedService/UnimplementedCall",
        "helloworld.Greeter/SayHello",
        "im.v1.ChatService/ListMessages",
        "im.v1.ChatService/SendMessage",
        "im.v1.ChatService/Subscribe stream",
        "im.v1.UserService/GetUser",
    ];
    assert_eq!(found, expected.map(String::from).into());
}

#[test]
fn the_fields_of_a_message_keep_their_numbers() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let file = set.file.iter().find(|file| file.package() == "im.v1").unwrap();
    let message = file.message_type.iter().find(|m| m.name() == "Message").unwrap();
    let fields: Vec<_> = message.field.iter().map(|f| (f.name(), f.number())).collect();
    let expected = [("id", 1), ("room", 2), ("from", 3), ("text", 4), ("sent_at", 5)];
    assert_eq!(fields, expected);
}
