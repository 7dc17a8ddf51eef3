//! `multipart/form-data` (RFC 7578).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::HeaderMap;
use multer::Multipart;

use super::{FilePart, body::Part};
use crate::operation::Fault;

/// The most parts of a body; more is no form that a person filled in.
const MOST_PARTS: usize = 1024;
/// The most bytes of the headers of one part.
const MOST_HEADERS: usize = 8 * 1024;

/// Takes a body apart. A part with a file name is a file, any other is text.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Fault> {
    // The whole body is there: nothing ever waits.
    parse(body.clone(), boundary)
        .now_or_never()
        .unwrap_or_else(|| Err(malformed("it ends before its last part")))
}

async fn parse(body: Bytes, boundary: &str) -> Result<Vec<Part>, Fault> {
    let body = stream::iter([Ok::<_, Infallible>(body)]);
    let mut multipart = Multipart::new(body, boundary);
    let mut parts = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(malformed)? {
        if parts.len() == MOST_PARTS {
            return Err(malformed(format!("it has more than {MOST_PARTS} parts")));
        }
        if length(field.headers()) > MOST_HEADERS {
            return Err(malformed(format!(
                "the headers of a part are longer than {MOST_HEADERS} bytes"
            )));
        }
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(malformed("a part has no name"));
        };
        let file_name = field.file_name().map(str::to_owned);
        let content_type = field.content_type().map(ToString::to_string);
        let bytes = field.bytes().await.map_err(malformed)?;
        parts.push(match file_name {
            Some(_) => Part::File(FilePart { name, file_name, content_type, bytes }),
            None => Part::Text { name, bytes },
        });
    }
    Ok(parts)
}

fn length(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn malformed(why: impl std::fmt::Display) -> Fault {
    super::fault::whole(format!("the multipart body is malformed: {why}"))
}
