//! The least that can be done: a loop over epoll, which knows one request.

use std::io::{ErrorKind, Read, Write};

use mio::{
    Events, Interest, Poll, Registry, Token,
    net::{TcpListener, TcpStream},
};
use polyport::{Error, Result};

use super::payload::{Envelope, user};
use crate::servers::say;

const ACCEPT: Token = Token(usize::MAX);
const BEGINS: &[u8] = b"GET /users?userId=";

pub(crate) fn serve() -> Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    poll.registry().register(&mut listener, ACCEPT, Interest::READABLE)?;
    say(listener.local_addr()?)?;
    let (mut events, mut streams) = (Events::with_capacity(1024), Vec::new());
    let (mut bytes, mut out) = (vec![0; 16 * 1024], Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                ACCEPT => accept(&listener, &mut streams, poll.registry())?,
                // Who has left is not missed: his socket stays, which ends with the process.
                Token(index) => drop(answer(&mut streams[index], &mut bytes, &mut out)),
            }
        }
    }
}

fn accept(listener: &TcpListener, to: &mut Vec<TcpStream>, registry: &Registry) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nodelay(true)?;
                registry.register(&mut stream, Token(to.len()), Interest::READABLE)?;
                to.push(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn answer(stream: &mut TcpStream, bytes: &mut [u8], out: &mut Vec<u8>) -> Result<()> {
    let read = stream.read(bytes)?;
    let request = &bytes[..read];
    let id = request.strip_prefix(BEGINS).and_then(|rest| rest.split(|b| *b == b' ').next());
    let (Some(id), true) = (id, request.ends_with(b"\r\n\r\n")) else {
        return Err(Error::other("another request than the one that it knows"));
    };
    let id = String::from_utf8_lossy(id).into_owned();
    let body = serde_json::to_vec(&Envelope::of(user(id)))?;
    out.clear();
    write!(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")?;
    write!(out, "content-length: {}\r\n\r\n", body.len())?;
    out.extend_from_slice(&body);
    Ok(stream.write_all(out)?)
}
