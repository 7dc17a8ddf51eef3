//! What all calls of a framework have in common.

use std::{
    mem::take,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::ready;
use http::{HeaderMap, Method, Response, request::Parts};
use polyport_bootstrap::{
    Error,
    container::Container,
    operation::{
        Call, Codecs, Context, Endpoint, Extensions, Fault, OperationInfo, RawInput, Reply,
    },
    wire::Envelope,
};
use polyport_listener::ResponseBody;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    HttpSettings, PROTOCOL,
    blank::Blank,
    cookies::{self, NewCookies},
    head::Caller,
    refusal::Refusal,
    reply,
    request::{Head, Place},
    site::Site,
};

/// A response, or why there is none.
pub(crate) type Outcome = Result<Response<ResponseBody>, Refusal>;

/// What every call is answered with.
pub(crate) struct Core {
    pub(crate) container: Container,
    pub(crate) envelope: Arc<dyn Envelope>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) body_limit: usize,
    /// Whether bodies may come compressed.
    pub(crate) decompresses: bool,
    /// The formats in which bodies are understood.
    pub(crate) codecs: Arc<Codecs>,
    /// How often a stream of events that has nothing to say shows that it lives.
    pub(crate) keep_alive: Option<Duration>,
    /// Cancelled when streams are to end.
    pub(crate) closing: CancellationToken,
    /// Lets what no operation answers pass through the middleware.
    pub(crate) fallback: Endpoint,
    /// Where that is.
    pub(crate) nowhere: Arc<Place>,
    /// What answers begin with.
    pub(crate) blank: Blank,
}

/// As an extension of a call: what it is answered with before it reaches any operation.
struct Settled(Mutex<Option<Result<Reply, Fault>>>);

/// Answers what is settled, and stands at the end of a chain of middleware.
pub(crate) fn fallback() -> Endpoint {
    Endpoint::fallback("fallback", |context| {
        let answer = context.extension::<Arc<Settled>>().and_then(|settled| settled.take());
        let missing = || Err(Error::other("the call has been answered already").into());
        Box::pin(ready(answer.unwrap_or_else(missing)))
    })
}

impl Settled {
    fn take(&self) -> Option<Result<Reply, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a call is answered with before it reaches any operation.
pub(crate) struct Early {
    /// The operation that it is for, where that is known.
    pub(crate) operation: Option<Arc<OperationInfo>>,
    pub(crate) answer: Result<Reply, Refusal>,
}

impl Early {
    /// Refuses a call.
    pub(crate) fn refused(refusal: impl Into<Refusal>) -> Self {
        Self { operation: None, answer: Err(refusal.into()) }
    }

    /// Says which operation it is for.
    pub(crate) fn of(mut self, operation: &Arc<OperationInfo>) -> Self {
        self.operation = Some(Arc::clone(operation));
        self
    }
}

impl Core {
    pub(crate) fn new(
        container: Container,
        settings: &HttpSettings,
        codecs: Arc<Codecs>,
        fallback: Endpoint,
        closing: CancellationToken,
    ) -> Self {
        let unless_zero = |time: Duration| (!time.is_zero()).then_some(time);
        Self {
            container,
            envelope: settings.envelope.envelope(),
            timeout: unless_zero(settings.timeout),
            body_limit: settings.body_limit,
            decompresses: settings.compression.requests,
            codecs,
            keep_alive: unless_zero(settings.sse_keep_alive),
            closing,
            fallback,
            nowhere: Arc::new(Place {
                route: String::new(),
                site: Site::new(settings, ".".as_ref()),
            }),
            blank: Blank::saying(HeaderMap::new()),
        }
    }

    /// The same, with what all answers say.
    pub(crate) fn saying(mut self, headers: HeaderMap) -> Self {
        self.blank = Blank::saying(headers);
        self
    }

    /// Answers a call that reaches no operation; the middleware sees it all the same.
    pub(crate) async fn settle(
        &self,
        head: &mut Parts,
        caller: Caller,
        deadline: Option<Instant>,
        early: Early,
    ) -> Outcome {
        let (answer, close) = match early.answer {
            Ok(reply) => (Ok(reply), false),
            Err(Refusal { fault, close }) => (Err(fault), close),
        };
        let settled = Settled(Mutex::new(Some(answer)));
        let is_head = head.method == Method::HEAD;
        let operation = early.operation.as_ref().unwrap_or(self.fallback.info());
        let mut call = self.parts(operation, head, &self.nowhere, caller, deadline);
        call.extensions.insert(Arc::new(settled));
        let context = Context::new(call);
        let answered = match self.fallback.call(&context).await {
            Ok(reply) => reply::response(self, &context, None, reply, is_head),
            Err(fault) => Err(fault),
        };
        cookies::written(&context, answered).map_err(|fault| Refusal { fault, close })
    }

    /// The parts of a call that come from the head of its request, which are taken out of it.
    pub(crate) fn parts(
        &self,
        operation: &Arc<OperationInfo>,
        head: &mut Parts,
        place: &Arc<Place>,
        Caller { id, client }: Caller,
        deadline: Option<Instant>,
    ) -> Call {
        let connection = client.map(|client| client as _);
        let mut extensions = Extensions::of(take(&mut head.extensions), connection);
        let (place, new_cookies) = (Arc::clone(place), NewCookies::default());
        let method = take(&mut head.method);
        extensions.insert(Head { method, version: head.version, place, new_cookies });
        Call {
            protocol: PROTOCOL,
            operation: Arc::clone(operation),
            container: self.container.clone(),
            request_id: id,
            deadline,
            metadata: take(&mut head.headers),
            input: RawInput { uri: take(&mut head.uri), ..RawInput::default() },
            extensions,
        }
    }
}
