//! What a connection says.

use std::net::TcpStream;

use polyport::Result;

/// One connection's side of a protocol, without the connection.
pub(crate) trait Speaks {
    /// How many calls may be under way at once.
    fn window(&self) -> usize;

    /// Says what comes first, and makes a call whose answer it looks at; the stream blocks.
    fn begin(&mut self, stream: &mut TcpStream) -> Result<()>;

    /// Writes a call.
    fn ask(&mut self, out: &mut Vec<u8>);

    /// Takes what has come, and writes what the protocol answers to that; how many calls were
    /// answered by it.
    fn answers(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize>;
}
