//! By hand on h2: no service, no body, no codec.

use ::h2::{RecvStream, server::SendResponse};
use ::polyport::{Error, Result};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use polyport_proto::helloworld::HelloRequest;
use prost::Message;
use tokio::net::TcpStream;

use crate::servers::listen;

/// Compression and length before each message.
const PREFIX: usize = 5;

pub(super) async fn serve() -> Result<()> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(stream));
    }
}

/// Each call has a task of its own, as it has with tonic.
async fn converse(stream: TcpStream) -> Result<()> {
    let mut connection = ::h2::server::handshake(stream).await?;
    while let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        tokio::spawn(answer(request, respond));
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<()> {
    let mut body = request.into_body();
    let mut message = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        message.extend_from_slice(&part);
    }
    let message = message.get(PREFIX..).ok_or_else(|| Error::other("no message"))?;
    let reply = super::greet(&HelloRequest::decode(message)?);
    let mut out = BytesMut::with_capacity(PREFIX + reply.encoded_len());
    out.put_u8(0);
    out.put_u32(reply.encoded_len() as u32);
    reply.encode(&mut out)?;
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(out.freeze(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    Ok(stream.send_trailers(trailers)?)
}
