//! `grpc.testing.TestService`, as gRPC's interoperability test descriptions want it.

use std::{pin::Pin, time::Duration};

use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use http::HeaderName;
use polyport::{
    grpc::{GrpcTrailers, Messages, fault_from_status},
    operation::{Answer, Items},
    prelude::*,
};
use polyport_proto::{
    FILE_DESCRIPTOR_SET,
    grpc::testing::{
        EchoStatus, Empty, Payload, PayloadType, ResponseParameters, SimpleRequest, SimpleResponse,
        StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
        StreamingOutputCallResponse,
    },
};
use serde_json::json;
use tonic::{Code, Status};

/// What a client may ask for at once, in bytes.
const MOST: usize = 16 * 1024 * 1024;

const INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

pub(crate) struct InteropModule;

impl Module for InteropModule {
    fn name(&self) -> &'static str {
        "interop"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.default_config(json!({ "grpc": { "reflection": true } }));
        m.grpc(|s| {
            s.descriptors(FILE_DESCRIPTOR_SET)
                .method("grpc.testing.TestService/EmptyCall", empty_call)
                .method("grpc.testing.TestService/UnaryCall", unary_call)
                .method("grpc.testing.TestService/CacheableUnaryCall", unary_call)
                .method("grpc.testing.TestService/StreamingOutputCall", streaming_output_call)
                .method("grpc.testing.TestService/StreamingInputCall", streaming_input_call)
                .method("grpc.testing.TestService/FullDuplexCall", full_duplex_call)
                .method("grpc.testing.TestService/HalfDuplexCall", half_duplex_call)
        });
        Ok(())
    }
}

async fn empty_call(Input(_): Input<Empty>) -> Result<Empty, Fault> {
    Ok(Empty {})
}

async fn unary_call(
    Ctx(call): Ctx,
    trailers: GrpcTrailers,
    Input(request): Input<SimpleRequest>,
) -> Result<Answer<SimpleResponse>, Fault> {
    refused(request.response_status)?;
    let payload = Some(payload(request.response_size)?);
    let response = SimpleResponse { payload, ..SimpleResponse::default() };
    Ok(with_metadata(response, &call, &trailers))
}

async fn streaming_output_call(
    Input(request): Input<StreamingOutputCallRequest>,
) -> Result<Items<StreamingOutputCallResponse>, Fault> {
    Ok(Items::new(answers(request)))
}

async fn streaming_input_call(
    messages: Messages<StreamingInputCallRequest>,
) -> Result<StreamingInputCallResponse, Fault> {
    let size = messages.try_fold(0_usize, async |sum, message| {
        Ok(sum.saturating_add(message.payload.map_or(0, |payload| payload.body.len())))
    });
    let aggregated_payload_size = i32::try_from(size.await?).unwrap_or(i32::MAX);
    Ok(StreamingInputCallResponse { aggregated_payload_size })
}

async fn full_duplex_call(
    Ctx(call): Ctx,
    trailers: GrpcTrailers,
    messages: Messages<StreamingOutputCallRequest>,
) -> Result<Answer<BoxStream<'static, Response>>, Fault> {
    let answers = messages.map_ok(answers).try_flatten().boxed();
    Ok(with_metadata(answers, &call, &trailers))
}

async fn half_duplex_call(
    messages: Messages<StreamingOutputCallRequest>,
) -> Result<Items<StreamingOutputCallResponse>, Fault> {
    let all: Vec<_> = messages.try_collect().await?;
    Ok(Items::new(stream::iter(all).flat_map(answers)))
}

type Response = Result<StreamingOutputCallResponse, Fault>;

/// The messages that a request wants, and the status at their end.
fn answers(request: StreamingOutputCallRequest) -> Pin<Box<dyn Stream<Item = Response> + Send>> {
    let end = refused(request.response_status).err().map(Err);
    let wanted = stream::iter(request.response_parameters).then(answer);
    wanted.chain(stream::iter(end)).boxed()
}

async fn answer(wanted: ResponseParameters) -> Response {
    let interval = u64::try_from(wanted.interval_us).unwrap_or_default();
    if interval > 0 {
        tokio::time::sleep(Duration::from_micros(interval)).await;
    }
    Ok(StreamingOutputCallResponse { payload: Some(payload(wanted.size)?) })
}

fn payload(size: i32) -> Result<Payload, Fault> {
    let size = usize::try_from(size).ok().filter(|size| *size <= MOST).ok_or_else(|| {
        Fault::invalid_argument("SIZE", format!("the size is to be from 0 to {MOST}, not {size}"))
    })?;
    Ok(Payload { r#type: PayloadType::Compressable.into(), body: vec![0; size] })
}

/// The status that the client wants for an answer.
fn refused(wanted: Option<EchoStatus>) -> Result<(), Fault> {
    match wanted.map(|wanted| Status::new(Code::from_i32(wanted.code), wanted.message)) {
        Some(status) if status.code() != Code::Ok => Err(fault_from_status(&status)),
        _ => Ok(()),
    }
}

/// Sends back what the client has sent for that.
fn with_metadata<T>(value: T, call: &Context, trailers: &GrpcTrailers) -> Answer<T> {
    if let Some(value) = call.metadata.get(TRAILING) {
        trailers.update(|metadata| metadata.as_mut().insert(TRAILING, value.clone()));
    }
    let answer = Answer::new(value);
    match call.metadata.get(INITIAL) {
        Some(value) => answer.header(INITIAL, value.clone()),
        None => answer,
    }
}
