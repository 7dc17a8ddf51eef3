//! Frames of HTTP/2 (RFC 9113, section 4), written by hand.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;

/// END_STREAM and END_HEADERS.
pub(crate) const WHOLE: u8 = 5;
const CANCEL: u32 = 8;

/// `GET http://x/`, by the static table of HPACK (RFC 7541, appendix A).
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'x'];

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What a client says first.
pub(crate) fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A call that is taken back at once (CVE-2023-44487).
pub(crate) fn reset_call(stream: u32) -> Vec<u8> {
    let headers = frame(HEADERS, WHOLE, stream, GET);
    [headers, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
}

pub(crate) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}
