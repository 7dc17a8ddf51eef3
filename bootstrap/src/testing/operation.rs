use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderName, HeaderValue, Uri};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{task::coop::consume_budget, time::Instant};

use super::patience::{LIMIT, at_most};
use crate::{
    Context, Error, Fault, Tasks,
    config::nearest,
    lifecycle::RunningBootstrap,
    operation::{Call, Exposure, PathParams, Protocol, RawInput, Reply, ReplyBody, RequestId},
    wire::Plain,
};

/// The protocol of calls that a test makes without one, `test`: guards and operations that ask
/// (`context.protocol`) see it.
pub const TEST: Protocol = Protocol::new("test");

/// How long a stream may be that is collected into one value, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// A call of an operation without a protocol and without a socket:
/// [`TestApp::operation`](super::TestApp::operation).
///
/// What stands around it is what stands around the route that was found, in the same order:
/// middleware, fault filters, guards, interceptors, binding and validation, aspects. What belongs to
/// the protocol itself (native layers, the envelope) does not. Of an operation that is served by
/// several routes the first that was registered is called; a route names one of them, and so does
/// [`on`](Self::on).
///
/// An argument that only one protocol has (a cookie jar, a socket) ends the call in the fault that
/// says so.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Fault, FaultKind, testing::TestApp};
/// use serde_json::json;
///
/// struct Caller(String);
///
/// async fn finds_users(app: TestApp) -> Result<(), Fault> {
///     let tom: String = app.operation("users.name").call(json!({ "userId": "tom" })).await?;
///     assert_eq!(tom, "Tom");
///
///     let operation = app.operation("DELETE /users/{id}").path("id", "tom");
///     let operation = operation.value(Caller("eve".to_owned()));
///     let refused = operation.call::<()>(()).await.unwrap_err();
///     assert_eq!(refused.kind(), FaultKind::PermissionDenied);
///     Ok(())
/// }
/// ```
#[must_use = "nothing is called before `call`"]
pub struct OperationCall {
    asked: String,
    found: Vec<Exposure>,
    call: Call,
    path: Vec<(String, String)>,
    values: Vec<Leave>,
    /// Those of the application, which end when it takes no new calls any more.
    tasks: Option<Arc<Tasks>>,
}

/// Leaves a value in a call.
type Leave = Box<dyn FnOnce(&Context) + Send>;

impl fmt::Debug for OperationCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationCall({})", self.found[0].title())
    }
}

impl OperationCall {
    /// By route, or else by name.
    pub(super) fn find(running: &RunningBootstrap, asked: &str) -> Self {
        let all = running.exposures().all();
        let by = |is_it: fn(&Exposure) -> &str| -> Vec<Exposure> {
            all.iter().filter(|one| is_it(one) == asked).cloned().collect()
        };
        let found = match by(|one| &one.route) {
            none if none.is_empty() => by(|one| one.operation().name()),
            found => found,
        };
        let Some(first) = found.first() else { panic!("{}", unknown(&all, asked)) };
        let info = Arc::clone(first.endpoint.info());
        let call = Call::new(TEST, info, running.container().clone());
        let (asked, tasks) = (asked.to_owned(), running.container().try_get());
        Self { asked, found, call, path: Vec::new(), values: Vec::new(), tasks }
    }

    /// The one that is served on this protocol: `"http"`, `"websocket"`.
    ///
    /// # Panics
    /// Panics where it is not served there.
    pub fn on(mut self, protocol: &str) -> Self {
        self.found.retain(|one| one.protocol.as_str() == protocol);
        assert!(!self.found.is_empty(), "{:?} is not served on {protocol}", self.asked);
        self
    }

    /// Adds a header, or what stands for it: `metadata("authorization", "Bearer …")`.
    ///
    /// # Panics
    /// Panics where it cannot be a header.
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let Some((name, value)) = header else { panic!("{name}: {value} is no header") };
        self.call.metadata.append(name, value);
        self
    }

    /// Sets a parameter of the route: `path("id", 7)` for `/users/{id}`.
    pub fn path(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.path.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets the query, as it stands in a URL: `query("page=2&size=10")`.
    ///
    /// # Panics
    /// Panics where it cannot stand there.
    pub fn query(mut self, query: &str) -> Self {
        match Uri::try_from(format!("/?{query}")) {
            Ok(uri) => self.call.input.uri = uri,
            Err(error) => panic!("{query:?} is no query: {error}"),
        }
        self
    }

    /// Leaves a value in the call, as a guard would: the user, say.
    pub fn value<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values.push(Box::new(move |context| context.set(value)));
        self
    }

    /// How long the caller waits for the answer; without it, as long as that takes.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.call.deadline = Some(Instant::now() + time);
        self
    }

    /// What the call is known by; a new id unless this is said.
    ///
    /// # Panics
    /// Panics where protocols would not take it: it is longer than 128 bytes, or holds anything but
    /// visible ASCII.
    pub fn request_id(mut self, id: &str) -> Self {
        match RequestId::given(id) {
            Some(id) => self.call.request_id = id,
            None => panic!("{id:?} is no request id: up to 128 letters of visible ASCII are one"),
        }
        self
    }

    /// Calls the operation, and reads its value as a `T`. `()` is no input at all. Items that come
    /// one after the other are collected into a list, up to 16 MiB.
    ///
    /// # Errors
    /// Returns the fault that the call ends in; `STOPPED` where the application takes no calls any
    /// more.
    ///
    /// # Panics
    /// Panics where the input cannot be written as JSON, where the value is no `T`, or where the call
    /// takes longer than its [`deadline`](Self::deadline), or else than nothing, and 10 s.
    pub async fn call<T: DeserializeOwned>(self, input: impl Serialize) -> Result<T, Fault> {
        let (name, patience) = (self.asked.clone(), self.patience());
        let json = in_time(&name, patience, async {
            let (context, reply) = self.run(input).await?;
            json(&context, reply).await
        });
        let json = json.await?;
        Ok(serde_json::from_slice(&json).unwrap_or_else(|error| {
            let (text, wanted) = (String::from_utf8_lossy(&json), std::any::type_name::<T>());
            panic!("{name} answers {text}, which is no {wanted}: {error}")
        }))
    }

    /// Calls the operation, and gives its reply as interceptors see it: with status and headers,
    /// and its value by its own type.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Panics
    /// As [`call`](Self::call).
    pub async fn reply(self, input: impl Serialize) -> Result<Reply, Fault> {
        let (name, patience) = (self.asked.clone(), self.patience());
        in_time(&name, patience, self.run(input)).await.map(|(_, reply)| reply)
    }

    fn patience(&self) -> Duration {
        let deadline = self.call.deadline;
        deadline
            .map_or(LIMIT, |deadline| LIMIT + deadline.saturating_duration_since(Instant::now()))
    }

    async fn run(self, input: impl Serialize) -> Result<(Context, Reply), Fault> {
        let Self { asked, mut found, mut call, path, values, tasks } = self;
        if tasks.is_none_or(|tasks| tasks.is_stopping()) {
            return Err(Fault::unavailable("STOPPED", "the application is stopped"));
        }
        let Exposure { endpoint, .. } = found.swap_remove(0);
        call.operation = Arc::clone(endpoint.info());
        if let Some(refusal) = call.operation.refusal_on(TEST) {
            return Err(Fault::unimplemented("NOT_WITHOUT_PROTOCOL", refusal));
        }
        let is_bound = call.operation.takes_json();
        assert!(is_bound, "{asked} takes no JSON: call it by its protocol's client, as app.grpc()");
        call.input = RawInput {
            path: PathParams::of(path),
            body: body(&asked, input),
            ..std::mem::take(&mut call.input)
        };
        let (info, context) = (Arc::clone(&call.operation), Context::new(call));
        let _flight = info.enter();
        values.into_iter().for_each(|leave| leave(&context));
        let reply = endpoint.call(&context).await?;
        Ok((context, reply))
    }
}

fn too_long() -> Error {
    Error::other(format!("the items are longer than {LONGEST} bytes"))
        .advise("take them one by one, by a client of a protocol")
}

async fn in_time<T>(asked: &str, limit: Duration, call: impl Future<Output = T>) -> T {
    match at_most(limit, call).await {
        Some(answer) => answer,
        None => panic!("the call of {asked} takes longer than {limit:?}"),
    }
}

fn body(asked: &str, input: impl Serialize) -> Bytes {
    match serde_json::to_vec(&input) {
        Ok(nothing) if nothing == b"null" => Bytes::new(),
        Ok(json) => json.into(),
        Err(error) => panic!("the input of {asked} cannot be written as JSON: {error}"),
    }
}

/// A reply as bare JSON.
async fn json(context: &Context, reply: Reply) -> Result<Vec<u8>, Fault> {
    let (_, _, body) = reply.into_parts();
    let mut json = Vec::new();
    match body.collected(context, LONGEST).await? {
        ReplyBody::Items(mut items) => {
            let mut separator = b'[';
            while let Some(item) = items.next().await {
                json.push(std::mem::replace(&mut separator, b','));
                item?.write_json(&mut json).map_err(|error| Fault::internal(Error::from(error)))?;
                if json.len() > LONGEST {
                    return Err(Fault::internal(too_long()));
                }
                // A stream that never waits must let others run, or nothing could end it.
                consume_budget().await;
            }
            json.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
        }
        body => body.write_json(&Plain, context.request_id.as_str(), &mut json)?,
    }
    Ok(json)
}

fn unknown(all: &[Exposure], asked: &str) -> String {
    let names = all.iter().flat_map(|one| [one.operation().name(), &one.route]);
    let near = nearest(asked, names.clone());
    let near = near.map(|near| format!("; the nearest is {near:?}")).unwrap_or_default();
    let mut known: Vec<_> =
        all.iter().map(|one| format!("{} ({})", one.operation().name(), one.title())).collect();
    known.sort_unstable();
    format!("no operation or route is called {asked:?}{near}; there are: {}", known.join(", "))
}
