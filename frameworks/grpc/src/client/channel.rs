//! What generated clients call through.

use std::{
    error::Error as StdError,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use http::{Request, Response, request::Parts};
use polyport_bootstrap::{
    Backoff, Fault, Result as StartResult,
    container::{Dependency, Injectable, InjectableNamed, Key, Resolver},
};
use tokio::time::timeout_at;
use tonic::{Code, Status, TimeoutExpired, body::Body};
use tower::{Service, ServiceExt};

use super::{
    GrpcClientSettings,
    body::{Timed, Unsent},
    outgoing::{prepare, too_late},
    targets::{Target, Targets},
};
use crate::fault_from_status;

/// The delays before all addresses are tried again.
const DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The connections of one client of `grpc.clients`, through which any client calls that tonic
/// generates: `UsersClient<GrpcChannel>`. Clones share them and are cheap.
///
/// A call carries the request id, the trace, the baggage and the remaining deadline of the call that
/// it is made in. [`GrpcClients`](super::GrpcClients) provides it; inject the generated client with
/// `#[inject(grpc = "users")]`, or the channel alone with `#[inject(name = "users")]`.
#[derive(Clone)]
pub struct GrpcChannel(Arc<Inner>);

struct Inner {
    name: String,
    /// None once it is closed.
    targets: ArcSwapOption<Targets>,
    deadline: Option<Duration>,
    retries: u32,
}

impl GrpcChannel {
    /// A channel that is not provided by [`GrpcClients`](super::GrpcClients): for tests, and for
    /// addresses that no configuration knows. `name` is what its faults call it. It has to be made
    /// within a tokio runtime.
    ///
    /// # Errors
    /// Returns an error where an address or a certificate is malformed, or there is no address.
    pub fn open(name: impl Into<String>, settings: &GrpcClientSettings) -> StartResult<Self> {
        let targets = Targets::new(&settings.endpoints()?);
        Ok(Self(Arc::new(Inner {
            name: name.into(),
            targets: ArcSwapOption::from_pointee(targets),
            deadline: Some(settings.deadline).filter(|deadline| !deadline.is_zero()),
            retries: settings.retries,
        })))
    }

    /// Closes the connections when the last of their calls has ended. A call that is made after that
    /// is UNAVAILABLE.
    pub fn close(&self) {
        self.0.targets.store(None);
    }
}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcChannel").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Inner {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut head, body) = request.into_parts();
        let deadline = prepare(&mut head.headers, self.deadline)?;
        let body = Unsent::new(body);
        let tries = self.tries(&head, &body);
        let response = match deadline {
            Some(deadline) => timeout_at(deadline, tries).await.map_err(|_| too_late())?,
            None => tries.await,
        };
        Ok(response?.map(|body| Timed::wrap(body, deadline)))
    }

    /// Tries all addresses, and again after a while, as long as nothing was sent.
    async fn tries(&self, head: &Parts, body: &Unsent) -> Result<Response<Body>, Status> {
        let mut delays = Backoff::new(DELAYS.0, DELAYS.1);
        for round in 0..=self.retries {
            if round > 0 {
                tokio::time::sleep(delays.next_delay()).await;
            }
            if let Some(outcome) = self.round(head, body).await {
                return outcome;
            }
        }
        let name = &self.name;
        Err(Status::unavailable(format!("no address of the gRPC client {name} can be reached")))
    }

    /// Tries all addresses once; none where nothing was sent to any of them.
    async fn round(&self, head: &Parts, body: &Unsent) -> Option<Result<Response<Body>, Status>> {
        let Some(targets) = self.targets.load_full() else { return Some(Err(self.closed())) };
        for target in targets.in_turn() {
            let status = match attempt(target, head, body).await {
                Ok(response) => return Some(Ok(response)),
                Err(error) => self.status(error),
            };
            if status.code() != Code::Unavailable || !body.is_whole() {
                return Some(Err(status));
            }
            targets.failed(target);
        }
        None
    }

    /// What went wrong on the way; the log has it, and callers do not read of addresses.
    fn status(&self, error: tonic::transport::Error) -> Status {
        let source = chain(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::debug!(client = self.name, source, "a gRPC call failed on its way");
        if chain(&error).any(|error| error.is::<TimeoutExpired>()) {
            return too_late();
        }
        let code = match Status::from_error(error.into()).code() {
            // A connection that breaks has no code of its own with tonic.
            Code::Unknown => Code::Unavailable,
            code => code,
        };
        Status::new(code, format!("the connection of the gRPC client {} failed", self.name))
    }

    fn closed(&self) -> Status {
        Status::unavailable(format!("the gRPC client {} is closed: the process stops", self.name))
    }
}

async fn attempt(
    target: &Target,
    head: &Parts,
    body: &Unsent,
) -> Result<Response<Body>, tonic::transport::Error> {
    let request = Request::from_parts(head.clone(), body.lend());
    target.channel.clone().oneshot(request).await
}

type AnyError = dyn StdError + 'static;

fn chain(error: &AnyError) -> impl Iterator<Item = &AnyError> {
    std::iter::successors(Some(error), |&error| error.source())
}

impl Service<Request<Body>> for GrpcChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.call(request).await })
    }
}

impl Injectable for GrpcChannel {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(Dependency::required(Key::of::<Self>()).advise(advice("{name}")));
    }

    fn resolve(resolver: &Resolver<'_>) -> StartResult<Self> {
        Ok(resolver.get::<Self>()?.as_ref().clone())
    }
}

impl InjectableNamed for GrpcChannel {
    fn named_dependencies(name: &'static str, out: &mut Vec<Dependency>) {
        out.push(Dependency::required(Key::of::<Self>().named(name)).advise(advice(name)));
    }

    fn resolve_named(name: &'static str, resolver: &Resolver<'_>) -> StartResult<Self> {
        Ok(resolver.get_named::<Self>(name)?.as_ref().clone())
    }
}

fn advice(name: &str) -> String {
    format!("add the module GrpcClients, and grpc.clients.{name} to the configuration")
}

/// Makes a fault of the status that a call of another service ended in, by
/// [`fault_from_status`]: `users.get_user(request).await.or_fault()?`.
pub trait OrFault<T> {
    /// The answer.
    ///
    /// # Errors
    /// Returns the fault that the other side has answered with.
    fn or_fault(self) -> Result<T, Fault>;
}

impl<T> OrFault<T> for Result<T, Status> {
    fn or_fault(self) -> Result<T, Fault> {
        self.map_err(|status| fault_from_status(&status))
    }
}
