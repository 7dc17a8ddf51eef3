//! How a call is made on each protocol, and what came of it is read back.

use std::{net::SocketAddr, time::Duration};

use polyport::{
    FaultKind,
    amqp::Message,
    grpc::fault_from_status,
    prelude::{Application as _, HttpApp},
    testing::{TestApp, *},
};
use prost_types::{Struct, Value as PbValue, value::Kind};
use serde_json::{Map, Number, Value};
use tokio::time::timeout;
use tonic::{
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{MetadataKey, MetadataValue},
    transport::Channel,
};
use tonic_prost::ProstCodec;

use crate::{Case, Outcome, Refused, app::SERVICE};

/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One protocol's client.
#[derive(Debug)]
pub(crate) enum Driver {
    Http(HttpClient),
    WebSocket(SocketAddr),
    Grpc(Channel),
    Amqp(AmqpClient),
}

/// One for each protocol.
pub(crate) async fn drivers(app: &TestApp) -> Vec<Driver> {
    vec![
        Driver::Http(app.http()),
        Driver::WebSocket(app.app::<HttpApp>().expect("is loaded").local_addr().expect("listens")),
        Driver::Grpc(app.grpc(|channel| channel)),
        Driver::Amqp(app.amqp()),
    ]
}

impl Driver {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP",
            Self::WebSocket(_) => "WebSocket",
            Self::Grpc(_) => "gRPC",
            Self::Amqp(_) => "AMQP",
        }
    }

    pub(crate) async fn call(&self, case: &Case) -> Outcome {
        let call = async {
            match self {
                Self::Http(client) => over_http(client, case).await,
                Self::WebSocket(address) => over_websocket(*address, case).await,
                Self::Grpc(channel) => over_grpc(channel.clone(), case).await,
                Self::Amqp(client) => over_amqp(client, case).await,
            }
        };
        let in_time = timeout(PATIENCE, call).await;
        in_time.unwrap_or_else(|_| panic!("{} on {}: no answer", case.name, self.name()))
    }
}

async fn over_http(client: &HttpClient, case: &Case) -> Outcome {
    let mut request = client.post(&format!("/{}", case.operation)).json(&case.input);
    for (name, value) in &case.metadata {
        request = request.header(name, value);
    }
    let reply = request.await;
    match reply.status().as_u16() {
        204 => Ok(Value::Null),
        200..400 if is_text(&reply) => Ok(reply.text().into()),
        200..400 => Ok(reply.json()),
        status => {
            let refused = problem(&reply.json());
            assert_eq!(refused.kind.http_status(), status, "{}", case.name);
            Err(refused)
        }
    }
}

async fn over_websocket(address: SocketAddr, case: &Case) -> Outcome {
    // A connection of its own: events of one are handled one after the other.
    let mut client = WebSocketConnect::to(address, "/ws").await;
    let answer = client.call_with(case.operation, &case.input, &case.metadata).await;
    match answer["event"].as_str() {
        Some("exception") => Err(problem(&answer["data"])),
        _ => Ok(answer["data"].clone()),
    }
}

async fn over_grpc(channel: Channel, case: &Case) -> Outcome {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("is served");
    let path = PathAndQuery::try_from(format!("/{SERVICE}/{}", case.operation)).expect("a path");
    let mut request = tonic::Request::new(structure(&case.input));
    for (name, value) in &case.metadata {
        let name = MetadataKey::from_bytes(name.as_bytes()).expect("a name");
        request.metadata_mut().insert(name, MetadataValue::try_from(*value).expect("ASCII"));
    }
    let codec = ProstCodec::<Struct, PbValue>::default();
    match client.unary(request, path, codec).await {
        Ok(answer) => Ok(from_protobuf(answer.into_inner())),
        Err(status) => {
            let fault = fault_from_status(&status);
            Err(Refused {
                kind: fault.kind(),
                reason: fault.reason().to_owned(),
                message: fault.message().to_owned(),
                details: fault.details().cloned(),
            })
        }
    }
}

async fn over_amqp(client: &AmqpClient, case: &Case) -> Outcome {
    let mut message = Message::json("", case.operation, &case.input).expect("is JSON");
    for (name, value) in &case.metadata {
        message = message.header(*name, *value);
    }
    let reply = client.request_message(message).await;
    match reply.content_type().as_deref() {
        Some("application/problem+json") => Err(problem(&reply.json())),
        Some(kind) if kind.starts_with("text/") => {
            Ok(String::from_utf8_lossy(reply.body()).into_owned().into())
        }
        _ => Ok(reply.json()),
    }
}

/// Problem details (RFC 9457), as the envelope `plain` writes them.
fn problem(body: &Value) -> Refused {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let kind = FaultKind::ALL.into_iter().find(|kind| kind.as_str() == body["title"]);
    Refused {
        kind: kind.unwrap_or_else(|| panic!("not a problem: {body}")),
        reason: text("reason"),
        message: text("detail"),
        details: body.get("details").cloned(),
    }
}

/// JSON → `google.protobuf.Struct`.
fn structure(value: &Value) -> Struct {
    let Value::Object(fields) = value else { panic!("inputs are objects: {value}") };
    Struct { fields: fields.iter().map(|(name, value)| (name.clone(), protobuf(value))).collect() }
}

fn protobuf(value: &Value) -> PbValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().expect("fits")),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.iter().map(protobuf).collect(),
        }),
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    PbValue { kind: Some(kind) }
}

/// `google.protobuf.Value` → JSON; whole numbers as such.
fn from_protobuf(value: PbValue) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 => {
            Value::Number(Number::from(number as i64))
        }
        Some(Kind::NumberValue(number)) => number.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(from_protobuf).collect(),
        Some(Kind::StructValue(fields)) => {
            let fields = fields.fields.into_iter();
            Value::Object(
                fields.map(|(name, value)| (name, from_protobuf(value))).collect::<Map<_, _>>(),
            )
        }
    }
}

fn is_text(reply: &HttpReply) -> bool {
    reply.header("content-type").is_some_and(|kind| kind.starts_with("text/"))
}
