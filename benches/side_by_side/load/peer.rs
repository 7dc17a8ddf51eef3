//! One connection.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, net::TcpStream};
use polyport::{Error, Result};

use super::speaks::Speaks;

pub(super) struct Peer {
    stream: TcpStream,
    speaks: Box<dyn Speaks>,
    out: Vec<u8>,
    under_way: usize,
    /// When those were due that have not been answered, where that is asked.
    due: VecDeque<Instant>,
}

impl Peer {
    pub(super) fn connect(
        address: SocketAddr,
        mut speaks: Box<dyn Speaks>,
        registry: &Registry,
        index: usize,
    ) -> Result<Self> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(super::PATIENCE))?;
        speaks.begin(&mut stream)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Self { stream, speaks, out: Vec::new(), under_way: 0, due: VecDeque::new() })
    }

    pub(super) fn has_room(&self) -> bool {
        self.under_way < self.speaks.window()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.under_way > 0
    }

    /// Makes all the calls that there is room for.
    pub(super) fn fill(&mut self) -> Result<()> {
        while self.has_room() {
            self.speaks.ask(&mut self.out);
            self.under_way += 1;
        }
        self.send()
    }

    /// Makes a call that was due then.
    pub(super) fn ask_at(&mut self, due: Instant) -> Result<()> {
        self.due.push_back(due);
        self.speaks.ask(&mut self.out);
        self.under_way += 1;
        self.send()
    }

    /// How long the next answers took.
    pub(super) fn took(
        &mut self,
        answered: usize,
        now: Instant,
    ) -> impl Iterator<Item = Duration> + '_ {
        let known = answered.min(self.due.len());
        self.due.drain(..known).map(move |due| now.duration_since(due))
    }

    /// Reads what is there; how many calls it answers.
    pub(super) fn answers(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut answered = 0;
        loop {
            let read = match self.stream.read(bytes) {
                Ok(0) => return Err(Error::other("the server has closed a connection")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            answered += self.speaks.answers(&bytes[..read], &mut self.out)?;
            if read < bytes.len() {
                break;
            }
        }
        self.under_way = self.under_way.saturating_sub(answered);
        self.send()?;
        Ok(answered)
    }

    /// So little is under way that it always fits into the socket's buffer.
    fn send(&mut self) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = self.stream.write(&self.out)?;
        if sent < self.out.len() {
            return Err(io::Error::from(ErrorKind::WriteZero).into());
        }
        self.out.clear();
        Ok(())
    }
}
