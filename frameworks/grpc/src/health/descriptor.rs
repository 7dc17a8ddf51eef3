//! What reflection tells of the health service: the file `grpc/health/v1/health.proto`.

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MessageOptions, MethodDescriptorProto,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

const STATUS: &str = ".grpc.health.v1.HealthCheckResponse.ServingStatus";
const RESPONSE: &str = ".grpc.health.v1.HealthCheckResponse";
const ENTRY: &str = ".grpc.health.v1.HealthListResponse.StatusesEntry";

/// The encoded descriptor set.
pub(crate) fn set() -> Vec<u8> {
    let file = FileDescriptorProto {
        name: Some("grpc/health/v1/health.proto".to_owned()),
        package: Some("grpc.health.v1".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![
            message("HealthCheckRequest", vec![field("service", 1, Type::String, None)]),
            DescriptorProto {
                enum_type: vec![statuses()],
                ..message("HealthCheckResponse", vec![field("status", 1, Type::Enum, Some(STATUS))])
            },
            message("HealthListRequest", Vec::new()),
            list_response(),
        ],
        service: vec![service()],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: Some(name.to_owned()), field, ..DescriptorProto::default() }
}

fn field(name: &str, number: i32, kind: Type, of: Option<&str>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: of.map(str::to_owned),
        ..FieldDescriptorProto::default()
    }
}

fn statuses() -> EnumDescriptorProto {
    let value = |(number, name): (i32, &str)| EnumValueDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        ..EnumValueDescriptorProto::default()
    };
    let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
    EnumDescriptorProto {
        name: Some("ServingStatus".to_owned()),
        value: (0..).zip(names).map(value).collect(),
        ..EnumDescriptorProto::default()
    }
}

/// A map is a repeated message of key and value.
fn list_response() -> DescriptorProto {
    let mut statuses = field("statuses", 1, Type::Message, Some(ENTRY));
    statuses.set_label(Label::Repeated);
    let key = field("key", 1, Type::String, None);
    let value = field("value", 2, Type::Message, Some(RESPONSE));
    let entry = DescriptorProto {
        options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
        ..message("StatusesEntry", vec![key, value])
    };
    DescriptorProto { nested_type: vec![entry], ..message("HealthListResponse", vec![statuses]) }
}

fn service() -> ServiceDescriptorProto {
    let method = |name: &str, input: &str, output: &str, streams: bool| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(format!(".grpc.health.v1.{input}")),
        output_type: Some(format!(".grpc.health.v1.{output}")),
        server_streaming: Some(streams),
        ..MethodDescriptorProto::default()
    };
    ServiceDescriptorProto {
        name: Some("Health".to_owned()),
        method: vec![
            method("Check", "HealthCheckRequest", "HealthCheckResponse", false),
            method("List", "HealthListRequest", "HealthListResponse", false),
            method("Watch", "HealthCheckRequest", "HealthCheckResponse", true),
        ],
        ..ServiceDescriptorProto::default()
    }
}
