//! `trace`: a span for each call, with the names of OpenTelemetry's semantic conventions.

use async_trait::async_trait;
use garde::Validate;
use serde::{Deserialize, Serialize};
use tracing::{
    Instrument, Span,
    field::{Empty, display},
};

use crate::operation::{
    Band, Context, Exposure, Fault, FaultKind, Interceptor, Next, Pipeline, Reply,
};

/// The section `middleware.trace`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
pub struct TraceOptions {}

pub(super) fn add(pipeline: Pipeline) -> Pipeline {
    let make = |_: &TraceOptions, exposure: &Exposure| Some(Traced(Kind::of(exposure)));
    pipeline.middleware_for("trace", Band::Core, false, make)
}

/// What a call is in the words of the conventions; decided by its protocol, at start.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Http { name: String, method: String, route: String },
    Rpc { name: String, system: String, service: String, method: String },
    Messaging { name: String, system: &'static str, destination: String },
}

impl Kind {
    fn of(exposure: &Exposure) -> Self {
        let (protocol, route) = (exposure.protocol.as_str(), exposure.route.as_str());
        match protocol {
            "http" => {
                let (method, path) = route.split_once(' ').unwrap_or(("_OTHER", route));
                let (method, path) = (method.to_owned(), path.to_owned());
                Self::Http { name: route.to_owned(), method, route: path }
            }
            "amqp" => Self::Messaging {
                name: format!("process {route}"),
                system: "rabbitmq",
                destination: route.to_owned(),
            },
            system => {
                let (service, method) = route.rsplit_once('/').unwrap_or(("", route));
                let (service, method) = (service.to_owned(), method.to_owned());
                Self::Rpc { name: route.to_owned(), system: system.to_owned(), service, method }
            }
        }
    }

    fn span(&self, context: &Context) -> Span {
        match self {
            Self::Http { name, method, route } => tracing::info_span!(
                "call",
                otel.name = name,
                otel.kind = "server",
                http.request.method = method,
                http.route = route,
                http.response.status_code = Empty,
                request_id = context.request_id.as_str(),
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                otel.status_code = Empty,
                "error.type" = Empty,
            ),
            Self::Rpc { name, system, service, method } => tracing::info_span!(
                "call",
                otel.name = name,
                otel.kind = "server",
                rpc.system = system,
                rpc.service = service,
                rpc.method = method,
                request_id = context.request_id.as_str(),
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                otel.status_code = Empty,
                "error.type" = Empty,
            ),
            Self::Messaging { name, system, destination } => tracing::info_span!(
                "call",
                otel.name = name,
                otel.kind = "consumer",
                messaging.system = system,
                messaging.operation.type = "process",
                messaging.destination.name = destination,
                request_id = context.request_id.as_str(),
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                otel.status_code = Empty,
                "error.type" = Empty,
            ),
        }
    }
}

struct Traced(Kind);

#[async_trait]
impl Interceptor for Traced {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let span = self.0.span(context);
        if span.is_disabled() {
            return next.run(context).await;
        }
        record_trace(&span, context);
        let answer = next.run(context).instrument(span.clone()).await;
        record(&span, &answer);
        answer
    }
}

fn record_trace(span: &Span, context: &Context) {
    let own = context.trace();
    span.record("trace_id", display(own.trace_id())).record("span_id", display(own.span_id()));
    if let Some(caller) = context.caller_trace() {
        span.record("parent_id", display(caller.span_id()));
    }
}

/// What the conventions want to know of an answer. Of a server's span, only what is the server's
/// own fault is an error.
fn record(span: &Span, answer: &Result<Reply, Fault>) {
    match answer {
        Ok(reply) => {
            let status = reply.status().map_or(200, |status| status.as_u16());
            span.record("http.response.status_code", status);
        }
        Err(fault) => {
            span.record("http.response.status_code", fault.status());
            span.record("error.type", fault.reason());
            if fault.status() >= 500 || fault.kind() == FaultKind::Internal {
                span.record("otel.status_code", "ERROR");
            }
        }
    }
}
