//! The trace that a call belongs to, and what it passes on to those whom it calls.

use std::sync::OnceLock;

use super::{
    Context,
    trace::{Baggage, Carrier, TraceContext},
};

const REQUEST_ID: &str = "x-request-id";
const TIMEOUT: &str = "x-request-timeout-ms";

/// What a call's metadata says of its trace, read when somebody first asks.
#[derive(Debug, Default)]
pub(super) struct Traced {
    spans: OnceLock<Box<Spans>>,
    baggage: OnceLock<Box<Baggage>>,
}

#[derive(Debug)]
struct Spans {
    caller: Option<TraceContext>,
    own: TraceContext,
}

impl Spans {
    fn of(context: &Context) -> Box<Self> {
        let caller = TraceContext::extract(&context.metadata);
        let own = caller.as_ref().map_or_else(|| TraceContext::root(false), TraceContext::child);
        Box::new(Self { caller, own })
    }
}

impl Context {
    /// This call's own span: a child of its caller's, or the first one of a new trace that nobody
    /// records. Read when first asked for.
    #[must_use]
    pub fn trace(&self) -> &TraceContext {
        &self.spans().own
    }

    /// The caller's span, where it has sent one (`traceparent`).
    #[must_use]
    pub fn caller_trace(&self) -> Option<&TraceContext> {
        self.spans().caller.as_ref()
    }

    /// What the caller wants to go along with all calls that come of this one (`baggage`).
    #[must_use]
    pub fn baggage(&self) -> &Baggage {
        let read = || Box::new(Baggage::extract(&self.metadata));
        self.traced().baggage.get_or_init(read)
    }

    /// Writes what belongs to this call for whoever it calls: its span as the caller's, the
    /// baggage, the request id (`x-request-id`), and how long the answer is waited for
    /// (`x-request-timeout-ms`).
    ///
    /// # Examples
    /// ```
    /// use http::HeaderMap;
    /// use polyport_bootstrap::Context;
    ///
    /// /// The headers of a request that is a part of this call.
    /// fn headers(context: &Context) -> HeaderMap {
    ///     let mut headers = HeaderMap::new();
    ///     context.inject(&mut headers);
    ///     headers
    /// }
    /// ```
    pub fn inject(&self, carrier: &mut dyn Carrier) {
        self.trace().inject(carrier);
        self.baggage().inject(carrier);
        carrier.set(REQUEST_ID, self.request_id.as_str());
        if let Some(left) = self.remaining() {
            carrier.set(TIMEOUT, &left.as_millis().to_string());
        }
    }

    fn spans(&self) -> &Spans {
        self.traced().spans.get_or_init(|| Spans::of(self))
    }
}
