//! gRPC's interoperability cases, each by its name, called by tonic.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

use std::{future::IntoFuture, time::Duration};

use polyport::testing::{GrpcTest, TestApp, create_bootstrap};
use polyport_proto::grpc::testing::{
    EchoStatus, Empty, Payload, PayloadType, ResponseParameters, SimpleRequest,
    StreamingInputCallRequest, StreamingOutputCallRequest, test_service_client::TestServiceClient,
    unimplemented_service_client::UnimplementedServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, iter, pending, wrappers::UnboundedReceiverStream};
use tonic::{Code, Request, metadata::MetadataValue, transport::Channel};

const REQUEST_SIZES: [usize; 4] = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES: [i32; 4] = [31_415, 9, 2_653, 58_979];

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future.into_future()).await.expect("it hangs")
}

async fn start() -> (TestApp, TestServiceClient<Channel>) {
    let app = soon(create_bootstrap(polyport_conformance::bootstrap())).await.expect("it starts");
    let client = app.grpc(TestServiceClient::new);
    (app, client)
}

async fn stop(app: TestApp) {
    soon(app.close()).await.expect("stops cleanly");
}

fn zeros(size: usize) -> Option<Payload> {
    Some(Payload { r#type: PayloadType::Compressable.into(), body: vec![0; size] })
}

fn size(payload: Option<Payload>) -> usize {
    payload.expect("a payload").body.len()
}

fn wanting(sizes: &[i32]) -> StreamingOutputCallRequest {
    let parameters = sizes
        .iter()
        .map(|size| ResponseParameters { size: *size, ..ResponseParameters::default() });
    StreamingOutputCallRequest {
        response_parameters: parameters.collect(),
        ..StreamingOutputCallRequest::default()
    }
}

fn large() -> SimpleRequest {
    SimpleRequest { response_size: 314_159, payload: zeros(271_828), ..SimpleRequest::default() }
}

#[tokio::test]
async fn empty_unary() {
    let (app, mut client) = start().await;
    let reply = soon(client.empty_call(Empty {})).await.expect("answered");
    assert_eq!(reply.into_inner(), Empty {});
    stop(app).await;
}

#[tokio::test]
async fn large_unary() {
    let (app, mut client) = start().await;
    let reply = soon(client.unary_call(large())).await.expect("answered").into_inner();
    assert_eq!(size(reply.payload), 314_159);
    stop(app).await;
}

#[tokio::test]
async fn client_streaming() {
    let (app, mut client) = start().await;
    let requests = REQUEST_SIZES.map(|size| StreamingInputCallRequest {
        payload: zeros(size),
        ..StreamingInputCallRequest::default()
    });
    let reply = soon(client.streaming_input_call(iter(requests))).await.expect("answered");
    assert_eq!(reply.into_inner().aggregated_payload_size, 74_922);
    stop(app).await;
}

#[tokio::test]
async fn server_streaming() {
    let (app, mut client) = start().await;
    let call = client.streaming_output_call(wanting(&RESPONSE_SIZES));
    let mut answers = soon(call).await.expect("begins").into_inner();
    for wanted in RESPONSE_SIZES {
        let answer = soon(answers.message()).await.expect("no fault").expect("one");
        assert_eq!(size(answer.payload), usize::try_from(wanted).expect("positive"));
    }
    assert!(soon(answers.message()).await.expect("an ordinary end").is_none());
    stop(app).await;
}

#[tokio::test]
async fn ping_pong() {
    let (app, mut client) = start().await;
    let (send, requests) = mpsc::unbounded_channel();
    let call = client.full_duplex_call(UnboundedReceiverStream::new(requests));
    let mut answers = soon(call).await.expect("begins").into_inner();
    for (sent, wanted) in REQUEST_SIZES.into_iter().zip(RESPONSE_SIZES) {
        let request = StreamingOutputCallRequest { payload: zeros(sent), ..wanting(&[wanted]) };
        send.send(request).expect("the call is open");
        let answer = soon(answers.message()).await.expect("no fault").expect("one");
        assert_eq!(size(answer.payload), usize::try_from(wanted).expect("positive"));
    }
    drop(send);
    assert!(soon(answers.message()).await.expect("an ordinary end").is_none());
    stop(app).await;
}

#[tokio::test]
async fn empty_stream() {
    let (app, mut client) = start().await;
    let none = iter(Vec::<StreamingOutputCallRequest>::new());
    let mut answers = soon(client.full_duplex_call(none)).await.expect("begins").into_inner();
    assert!(soon(answers.message()).await.expect("an ordinary end").is_none());
    stop(app).await;
}

async fn status_of(message: &str) {
    let (app, mut client) = start().await;
    let wanted = Some(EchoStatus { code: 2, message: message.to_owned() });
    let request = SimpleRequest { response_status: wanted.clone(), ..SimpleRequest::default() };
    let status = soon(client.unary_call(request)).await.expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
    let request = StreamingOutputCallRequest {
        response_status: wanted,
        ..StreamingOutputCallRequest::default()
    };
    let call = client.full_duplex_call(iter([request]));
    let mut answers = soon(call).await.expect("begins").into_inner();
    let status = soon(answers.message()).await.expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
    stop(app).await;
}

#[tokio::test]
async fn status_code_and_message() {
    status_of("test status message").await;
}

#[tokio::test]
async fn special_status_message() {
    status_of("\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n").await;
}

#[tokio::test]
async fn unimplemented_method() {
    let (app, mut client) = start().await;
    let status = soon(client.unimplemented_call(Empty {})).await.expect_err("nobody serves it");
    assert_eq!(status.code(), Code::Unimplemented);
    stop(app).await;
}

#[tokio::test]
async fn unimplemented_service() {
    let (app, _) = start().await;
    let mut client = app.grpc(UnimplementedServiceClient::new);
    let status = soon(client.unimplemented_call(Empty {})).await.expect_err("nobody serves it");
    assert_eq!(status.code(), Code::Unimplemented);
    stop(app).await;
}

#[tokio::test]
async fn cancel_after_begin() {
    let (app, mut client) = start().await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let requests = iter([()]).map(move |()| {
        begun.send(()).expect("the test waits");
        StreamingInputCallRequest::default()
    });
    let requests = requests.chain(pending());
    let call = tokio::spawn(async move { client.streaming_input_call(requests).await });
    soon(begins.recv()).await.expect("it begins");
    call.abort();
    assert!(soon(call).await.expect_err("it has no answer").is_cancelled());
    stop(app).await;
}

#[tokio::test]
async fn cancel_after_first_response() {
    let (app, mut client) = start().await;
    let requests = iter([wanting(&[31_415])]).chain(pending());
    let mut answers = soon(client.full_duplex_call(requests)).await.expect("begins").into_inner();
    soon(answers.message()).await.expect("no fault").expect("one");
    drop(answers);
    soon(client.empty_call(Empty {})).await.expect("the connection lives on");
    stop(app).await;
}

#[tokio::test]
async fn timeout_on_sleeping_server() {
    let (app, mut client) = start().await;
    let request = StreamingOutputCallRequest { payload: zeros(27_182), ..wanting(&[]) };
    let mut request = Request::new(iter([request]).chain(pending()));
    // No client's own timer may be sooner.
    request.metadata_mut().insert("grpc-timeout", MetadataValue::from_static("1m"));
    let end = match soon(client.full_duplex_call(request)).await {
        Ok(answers) => soon(answers.into_inner().message()).await.map(drop),
        Err(status) => Err(status),
    };
    let code = end.expect_err("too late").code();
    // tonic's client says CANCELLED where its own timer is the first.
    assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code:?}");
    stop(app).await;
}

fn with_metadata<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let initial = MetadataValue::from_static("test_initial_metadata_value");
    request.metadata_mut().insert("x-grpc-test-echo-initial", initial);
    let trailing = MetadataValue::from_bytes(b"\xab\xab\xab");
    request.metadata_mut().insert_bin("x-grpc-test-echo-trailing-bin", trailing);
    request
}

fn first_of(
    requests: StreamingOutputCallRequest,
) -> impl Stream<Item = StreamingOutputCallRequest> {
    iter([requests])
}

#[tokio::test]
async fn custom_metadata() {
    let (app, mut client) = start().await;
    let reply = soon(client.unary_call(with_metadata(large()))).await.expect("answered");
    let metadata = reply.metadata();
    assert_eq!(
        metadata.get("x-grpc-test-echo-initial").expect("there"),
        "test_initial_metadata_value"
    );
    let trailing = metadata.get_bin("x-grpc-test-echo-trailing-bin").expect("there");
    assert_eq!(trailing.to_bytes().expect("base64"), &b"\xab\xab\xab"[..]);
    let request = with_metadata(first_of(wanting(&[314_159])));
    let answer = soon(client.full_duplex_call(request)).await.expect("begins");
    let initial = answer.metadata().get("x-grpc-test-echo-initial").expect("there");
    assert_eq!(initial, "test_initial_metadata_value");
    assert!(answer.metadata().get_bin("x-grpc-test-echo-trailing-bin").is_none(), "not yet");
    let mut answers = answer.into_inner();
    while soon(answers.message()).await.expect("no fault").is_some() {}
    let trailers = soon(answers.trailers()).await.expect("an ordinary end").expect("trailers");
    let trailing = trailers.get_bin("x-grpc-test-echo-trailing-bin").expect("there");
    assert_eq!(trailing.to_bytes().expect("base64"), &b"\xab\xab\xab"[..]);
    stop(app).await;
}

#[tokio::test]
async fn a_size_that_is_none_is_refused() {
    let (app, mut client) = start().await;
    for response_size in [-1, i32::MAX] {
        let request = SimpleRequest { response_size, ..SimpleRequest::default() };
        let status = soon(client.unary_call(request)).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    stop(app).await;
}
