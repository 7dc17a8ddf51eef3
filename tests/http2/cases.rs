//! The cases, by the sections of RFC 9113 (and of RFC 7541 for blocks of headers).

use crate::frames::*;

/// Bytes that a client sends behind its preface, and what has to come of them.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What has to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// An error of the connection, with one of these codes.
    Connection(&'static [u32]),
    /// An error of the stream, with one of these codes.
    Stream(&'static [u32]),
    /// Anything but an answer: the request is malformed.
    Refused,
    /// 200 on this stream.
    Answered(u32),
    /// Nothing.
    Borne,
}

use Expected::{Answered, Borne, Connection, Refused, Stream};

const PROTOCOL: Expected = Connection(&[PROTOCOL_ERROR]);
const SIZE: Expected = Connection(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]);

pub(crate) fn cases() -> Vec<Case> {
    let groups =
        [frames(), streams(), data_and_headers(), control(), windows(), requests(), hpack()];
    let case = |(name, bytes, expected): Row| Case { name: name.to_owned(), bytes, expected };
    groups.into_iter().flatten().map(case).collect()
}

type Row = (&'static str, Vec<u8>, Expected);

fn join(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// The beginning of a call whose body is still to come.
fn begin(stream: u32) -> Vec<u8> {
    let head = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "x")];
    frame(HEADERS, END_HEADERS, stream, &block(&head))
}

fn frames() -> Vec<Row> {
    let large = vec![0; 20_000];
    vec![
        ("4.1 a frame of an unknown type is ignored", frame(0xfe, 0, 0, b"xxxxxxxx"), Borne),
        ("4.1 unknown flags are ignored", frame(PING, 0xfe, 0, &[0; 8]), Borne),
        ("4.1 the reserved bit is ignored", frame(PING, 0, 1 << 31, &[0; 8]), Borne),
        (
            "4.2 DATA longer than is allowed",
            join(&[begin(1), frame(DATA, 0, 1, &large)]),
            Stream(&[FRAME_SIZE_ERROR]),
        ),
        (
            "4.2 HEADERS longer than is allowed",
            frame(HEADERS, WHOLE, 1, &large),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "4.3 a block that is none",
            frame(HEADERS, WHOLE, 1, &[0xff; 8]),
            Connection(&[COMPRESSION_ERROR]),
        ),
        (
            "4.3 another frame within a block",
            join(&[frame(HEADERS, END_STREAM, 1, GET), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])]),
            PROTOCOL,
        ),
        (
            "4.3 another stream within a block",
            join(&[frame(HEADERS, END_STREAM, 1, GET), get(3)]),
            PROTOCOL,
        ),
    ]
}

fn streams() -> Vec<Row> {
    let data = |stream| frame(DATA, END_STREAM, stream, b"x");
    vec![
        ("5.1 idle: DATA", data(1), PROTOCOL),
        ("5.1 idle: RST_STREAM", reset(1), PROTOCOL),
        ("5.1 idle: WINDOW_UPDATE", window_update(1, 1), PROTOCOL),
        ("5.1 idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL),
        ("5.1 idle: PRIORITY is allowed", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), Borne),
        ("5.1 half closed: DATA", join(&[get(1), data(1)]), Stream(&[STREAM_CLOSED])),
        (
            "5.1 half closed: HEADERS",
            join(&[get(1), get(1)]),
            Stream(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "5.1 half closed: CONTINUATION",
            join(&[get(1), frame(CONTINUATION, END_HEADERS, 1, GET)]),
            Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "5.1 closed: PRIORITY is allowed",
            join(&[begin(1), reset(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])]),
            Borne,
        ),
        (
            "5.1 closed: WINDOW_UPDATE shortly after is borne",
            join(&[begin(1), reset(1), window_update(1, 1)]),
            Borne,
        ),
        ("5.1.1 an even stream", get(2), PROTOCOL),
        (
            "5.1.1 a stream below the last",
            join(&[get(5), get(3)]),
            Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "5.1.2 more streams than are allowed",
            (0..2_000).flat_map(|nth| begin(2 * nth + 1)).collect(),
            Stream(&[REFUSED_STREAM, PROTOCOL_ERROR, ENHANCE_YOUR_CALM]),
        ),
        ("5.5 unknown settings are ignored", setting(0xff, 1), Borne),
    ]
}

fn data_and_headers() -> Vec<Row> {
    let priority_and_get = [&[0, 0, 0, 0, 255][..], GET].concat();
    let padded_get = [&[2][..], GET, &[0; 2]].concat();
    let half = GET.len() / 2;
    vec![
        ("6.1 DATA without a stream", frame(DATA, 0, 0, b"x"), PROTOCOL),
        (
            "6.1 DATA with more padding than frame",
            join(&[begin(1), frame(DATA, PADDED | END_STREAM, 1, b"\x09x")]),
            PROTOCOL,
        ),
        (
            "6.1 padded DATA",
            join(&[begin(1), frame(DATA, PADDED | END_STREAM, 1, b"\x02xx\0\0")]),
            Answered(1),
        ),
        (
            "6.1 DATA in many frames",
            join(&[
                begin(1),
                frame(DATA, 0, 1, b"x"),
                frame(DATA, 0, 1, b""),
                frame(DATA, END_STREAM, 1, b"y"),
            ]),
            Answered(1),
        ),
        ("6.2 HEADERS without a stream", get(0), PROTOCOL),
        (
            "6.2 HEADERS with more padding than frame",
            frame(HEADERS, WHOLE | PADDED, 1, &[200, 0x82]),
            PROTOCOL,
        ),
        (
            "6.2 HEADERS with priority",
            frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &priority_and_get),
            Answered(1),
        ),
        ("6.2 padded HEADERS", frame(HEADERS, WHOLE | PADDED, 1, &padded_get), Answered(1)),
        (
            "6.10 a block in two frames",
            join(&[
                frame(HEADERS, END_STREAM, 1, &GET[..half]),
                frame(CONTINUATION, END_HEADERS, 1, &GET[half..]),
            ]),
            Answered(1),
        ),
        (
            "6.10 a block in three frames, one empty",
            join(&[
                frame(HEADERS, END_STREAM, 1, &GET[..half]),
                frame(CONTINUATION, 0, 1, &[]),
                frame(CONTINUATION, END_HEADERS, 1, &GET[half..]),
            ]),
            Answered(1),
        ),
        (
            "6.10 CONTINUATION without a stream",
            join(&[frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, END_HEADERS, 0, &[])]),
            PROTOCOL,
        ),
        (
            "6.10 CONTINUATION behind a whole block",
            join(&[begin(1), frame(CONTINUATION, END_HEADERS, 1, GET)]),
            PROTOCOL,
        ),
        (
            "6.10 CONTINUATION behind DATA",
            join(&[begin(1), frame(DATA, 0, 1, b"x"), frame(CONTINUATION, END_HEADERS, 1, GET)]),
            PROTOCOL,
        ),
    ]
}

fn control() -> Vec<Row> {
    vec![
        ("6.3 PRIORITY without a stream", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 1]), PROTOCOL),
        (
            "6.3 PRIORITY of another length",
            join(&[begin(1), frame(PRIORITY, 0, 1, &[0; 4])]),
            Stream(&[FRAME_SIZE_ERROR]),
        ),
        ("6.4 RST_STREAM without a stream", reset(0), PROTOCOL),
        (
            "6.4 RST_STREAM of another length",
            join(&[begin(1), frame(RST_STREAM, 0, 1, &[0; 3])]),
            SIZE,
        ),
        ("6.5 an acknowledgement with a payload", frame(SETTINGS, ACK, 0, &[0; 6]), SIZE),
        ("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), PROTOCOL),
        ("6.5 SETTINGS of another length", frame(SETTINGS, 0, 0, &[0; 5]), SIZE),
        ("6.5.2 ENABLE_PUSH neither 0 nor 1", setting(2, 2), PROTOCOL),
        (
            "6.5.2 INITIAL_WINDOW_SIZE too large",
            setting(4, 1 << 31),
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        ("6.5.2 MAX_FRAME_SIZE too small", setting(5, 16_383), PROTOCOL),
        ("6.5.2 MAX_FRAME_SIZE too large", setting(5, 1 << 24), PROTOCOL),
        (
            "6.6 a client that pushes",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], GET].concat()),
            PROTOCOL,
        ),
        ("6.7 PING on a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        ("6.7 PING of another length", frame(PING, 0, 0, &[0; 6]), SIZE),
        ("6.7 an answer that nobody asked for", frame(PING, ACK, 0, &[7; 8]), Borne),
        ("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), PROTOCOL),
    ]
}

fn windows() -> Vec<Row> {
    const MOST: u32 = i32::MAX as u32;
    vec![
        ("6.9 no increment, of the connection", window_update(0, 0), PROTOCOL),
        (
            "6.9 no increment, of a stream",
            join(&[begin(1), window_update(1, 0)]),
            Stream(&[PROTOCOL_ERROR]),
        ),
        ("6.9 WINDOW_UPDATE of another length", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), SIZE),
        (
            "6.9.1 a window too large, of the connection",
            join(&[window_update(0, MOST), window_update(0, MOST)]),
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.1 a window too large, of a stream",
            join(&[begin(1), window_update(1, MOST), window_update(1, MOST)]),
            Stream(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.2 a window of nothing, then of enough",
            join(&[setting(4, 0), get(1), setting(4, 1000)]),
            Answered(1),
        ),
    ]
}

fn requests() -> Vec<Row> {
    const METHOD: (&str, &str) = (":method", "GET");
    const SCHEME: (&str, &str) = (":scheme", "http");
    const PATH: (&str, &str) = (":path", "/");
    const HOST: (&str, &str) = (":authority", "x");
    let head = |more: &[(&str, &str)]| {
        let all = [&[METHOD, SCHEME, PATH, HOST], more].concat();
        frame(HEADERS, WHOLE, 1, &block(&all))
    };
    let only = |headers: &[(&str, &str)]| frame(HEADERS, WHOLE, 1, &block(headers));
    let with_length = |length| {
        let head = [(":method", "POST"), SCHEME, PATH, HOST, ("content-length", length)];
        frame(HEADERS, END_HEADERS, 1, &block(&head))
    };
    let data = |bytes: &[u8]| frame(DATA, END_STREAM, 1, bytes);
    vec![
        ("8.1 an ordinary request", head(&[]), Answered(1)),
        (
            "8.1 trailers",
            join(&[
                begin(1),
                frame(DATA, 0, 1, b"x"),
                frame(HEADERS, WHOLE, 1, &block(&[("x-sum", "1")])),
            ]),
            Answered(1),
        ),
        (
            "8.1 trailers that do not end the stream",
            join(&[begin(1), frame(HEADERS, END_HEADERS, 1, &block(&[("x-sum", "1")]))]),
            Refused,
        ),
        // Section 8.3 calls it malformed; h2 leaves them out, and answers.
        (
            "8.1 pseudo-headers in trailers reach nobody",
            join(&[begin(1), frame(HEADERS, WHOLE, 1, &block(&[METHOD]))]),
            Answered(1),
        ),
        ("8.1.1 a body shorter than its length", join(&[with_length("2"), data(b"x")]), Refused),
        ("8.1.1 a body longer than its length", join(&[with_length("1"), data(b"xy")]), Refused),
        (
            "8.1.1 a body in many frames longer than its length",
            join(&[with_length("1"), frame(DATA, 0, 1, b"x"), data(b"y")]),
            Refused,
        ),
        ("8.2.1 a name in capitals", head(&[("X-Up", "1")]), Refused),
        ("8.2.1 a name with a blank", head(&[("x up", "1")]), Refused),
        ("8.2.1 a value with a line feed", head(&[("x-feed", "a\nb")]), Refused),
        ("8.2.2 Connection", head(&[("connection", "keep-alive")]), Refused),
        ("8.2.2 Transfer-Encoding", head(&[("transfer-encoding", "chunked")]), Refused),
        ("8.2.2 TE other than trailers", head(&[("te", "gzip")]), Refused),
        ("8.2.2 TE: trailers", head(&[("te", "trailers")]), Answered(1)),
        ("8.3 an unknown pseudo-header", head(&[(":unknown", "1")]), Refused),
        ("8.3 a pseudo-header of answers", head(&[(":status", "200")]), Refused),
        (
            "8.3 a pseudo-header behind others",
            only(&[METHOD, SCHEME, HOST, ("x", "1"), PATH]),
            Refused,
        ),
        ("8.3.1 an empty path", only(&[METHOD, SCHEME, (":path", ""), HOST]), Refused),
        ("8.3.1 no method", only(&[SCHEME, PATH, HOST]), Refused),
        ("8.3.1 no scheme", only(&[METHOD, PATH, HOST]), Refused),
        ("8.3.1 no path", only(&[METHOD, SCHEME, HOST]), Refused),
        ("8.3.1 two methods", head(&[METHOD]), Refused),
        ("8.3.1 two schemes", head(&[SCHEME]), Refused),
        ("8.3.1 two paths", head(&[PATH]), Refused),
    ]
}

/// RFC 7541.
fn hpack() -> Vec<Row> {
    let block = |bytes: &[u8]| frame(HEADERS, WHOLE, 1, bytes);
    const BROKEN: Expected = Connection(&[COMPRESSION_ERROR]);
    vec![
        ("HPACK 2.3.3 an index beyond the tables", block(&[0xc6]), BROKEN),
        ("HPACK 6.1 the index 0", block(&[0x80]), BROKEN),
        (
            "HPACK 6.3 a table larger than is allowed",
            block(&[&[0x3f, 0xe1, 0xff, 0x3][..], GET].concat()),
            BROKEN,
        ),
        (
            "HPACK 4.2 a change of the table behind a header",
            block(&[GET, &[0x20]].concat()),
            BROKEN,
        ),
        (
            "HPACK 5.2 a string that the block does not hold",
            block(&[&GET[..4], &[20, b'x']].concat()),
            BROKEN,
        ),
        (
            "HPACK 5.2 Huffman code with the end of string",
            block(&[&GET[..4], &[0x84, 0xff, 0xff, 0xff, 0xff]].concat()),
            BROKEN,
        ),
        (
            "HPACK 5.1 an integer without end",
            block(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            BROKEN,
        ),
    ]
}
