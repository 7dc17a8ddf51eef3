//! Reading the body of a request, within its limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{Version, header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use polyport_bootstrap::operation::Fault;
use polyport_listener::{BodyTooSlow, BoxError};
use tokio::time::{Instant, timeout, timeout_at};

use crate::refusal::Refusal;

/// How much of a body that nobody wants is read, so that its sender comes to read the answer and
/// the connection can go on.
const DISCARD_LIMIT: u64 = 1024 * 1024;

/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_millis(500);

/// As an attribute of an operation: the longest body of a request to it in bytes, whatever
/// `http.body_limit` says.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{BodyStream, Fault, OperationExt};
/// use polyport_http::{BodyLimit, HttpRoutes};
///
/// async fn import(body: BodyStream) -> Result<usize, Fault> {
///     Ok(body.collect().await?.len())
/// }
///
/// let routes = HttpRoutes::default().post("/import", import.attr(BodyLimit(64 * 1024 * 1024)));
/// # drop(routes);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

/// The body of a request: hyper's, or that of whichever server an operation is mounted in.
pub(crate) trait RequestBody:
    Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

impl<B> RequestBody for B where B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{}

/// Reads a body of at most `limit` bytes. One that comes in one piece is not copied.
pub(crate) async fn read<B: RequestBody>(
    head: &Parts,
    mut body: B,
    limit: usize,
    deadline: Option<Instant>,
) -> Result<Bytes, Refusal> {
    let collected = collect(&mut body, limit);
    let collected = match deadline {
        None => collected.await,
        Some(deadline) => timeout_at(deadline, collected).await.unwrap_or_else(|_| Err(too_slow())),
    };
    match collected {
        Ok(bytes) => Ok(bytes),
        Err(fault) => Err(refuse(head, body, fault.into()).await),
    }
}

async fn collect<B: RequestBody>(body: &mut B, limit: usize) -> Result<Bytes, Fault> {
    check_length(body, limit)?;
    let Some(first) = next(body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut all = BytesMut::with_capacity(first.len() + expected.min(limit));
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if all.len() + bytes.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&bytes);
        piece = next(body).await?;
    }
    Ok(all.freeze())
}

/// The next bytes; `None` at the end.
async fn next<B: RequestBody>(body: &mut B) -> Result<Option<Bytes>, Fault> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(error.into()))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The body as it comes in, of at most `limit` bytes and until the deadline.
pub(crate) fn stream<B: RequestBody>(
    body: B,
    limit: usize,
    deadline: Option<Instant>,
) -> impl Stream<Item = Result<Bytes, Fault>> + Send + 'static {
    stream::try_unfold((body, limit), move |(mut body, left)| async move {
        let piece = match deadline {
            None => next(&mut body).await?,
            Some(deadline) => {
                timeout_at(deadline, next(&mut body)).await.map_err(|_| too_slow())??
            }
        };
        let Some(bytes) = piece else { return Ok(None) };
        let left = left.checked_sub(bytes.len()).ok_or_else(|| too_large(limit))?;
        Ok(Some((bytes, (body, left))))
    })
}

/// Whether the body is within the limit, as far as its announced length tells.
pub(crate) fn check_length(body: &impl RequestBody, limit: usize) -> Result<(), Fault> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).is_ok_and(|length| length <= limit) {
        return Ok(());
    }
    Err(too_large(limit))
}

fn too_large(limit: usize) -> Fault {
    Fault::invalid_argument("BODY_TOO_LARGE", format!("the body is longer than {limit} bytes"))
        .with_status(413)
}

fn unreadable(error: BoxError) -> Fault {
    if is_too_slow(&*error) {
        return Fault::deadline_exceeded("BODY_TOO_SLOW", "the body comes too slowly")
            .with_status(408);
    }
    Fault::invalid_argument("BODY_UNREADABLE", "the body is cut short or malformed")
        .caused_by(axum::Error::new(error))
}

/// Whether the listener said so, whatever layers have wrapped it in.
fn is_too_slow(mut error: &(dyn std::error::Error + 'static)) -> bool {
    loop {
        if error.is::<BodyTooSlow>() {
            return true;
        }
        let Some(source) = error.source() else { return false };
        error = source;
    }
}

fn too_slow() -> Fault {
    Fault::deadline_exceeded("BODY_TOO_SLOW", "the body did not come in within the time of a call")
        .with_status(408)
}

/// Answers without having read the body. What is left of it is discarded if it is little; else
/// this is the connection's last answer.
pub(crate) async fn refuse<B: RequestBody>(head: &Parts, body: B, mut refusal: Refusal) -> Refusal {
    if !body.is_end_stream() && head.version != Version::HTTP_2 {
        // Boxed, so that the calls that nobody refuses do not carry room for it.
        refusal.close = !Box::pin(discard(head, body)).await;
    }
    refusal
}

/// Whether nothing is left to read. A client that waits for `100 Continue` sends nothing before
/// it, and reading would make hyper send it.
async fn discard<B: RequestBody>(head: &Parts, mut body: B) -> bool {
    if head.headers.contains_key(header::EXPECT) || body.size_hint().lower() > DISCARD_LIMIT {
        return false;
    }
    let mut budget = DISCARD_LIMIT;
    let all = async {
        loop {
            match next(&mut body).await {
                Ok(None) => return true,
                Ok(Some(bytes)) if bytes.len() as u64 <= budget => budget -= bytes.len() as u64,
                _ => return false,
            }
        }
    };
    timeout(DISCARD_TIME, all).await.unwrap_or(false)
}
