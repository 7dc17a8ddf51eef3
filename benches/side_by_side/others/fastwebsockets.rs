//! fastwebsockets on hyper, as its own example has it.

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Runtime, task};

use crate::{Result, say, talk};

pub(crate) fn serve() -> Result {
    Runtime::new()?.block_on(accept())
}

async fn accept() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        task::spawn(connection.with_upgrades());
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade::upgrade(&mut request)?;
    task::spawn(task::unconstrained(converse(upgraded)));
    Ok(response)
}

async fn converse(upgraded: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text => {
                let text = std::str::from_utf8(&frame.payload).unwrap_or_default();
                let answer = talk::answer(text).unwrap_or_default();
                socket.write_frame(Frame::text(Payload::from(answer.into_bytes()))).await?;
            }
            _ => {}
        }
    }
}
