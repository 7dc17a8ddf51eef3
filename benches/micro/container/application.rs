//! What polyport serves in the benchmarks.

use std::{hint::black_box, sync::Arc};

use polyport_bootstrap::{
    Container, Provide,
    container::ContainerBuilder,
    operation::{Call, Context, Endpoint, Fault, Inject, NoInput, Operation, Protocol},
};
use tokio::runtime::Builder;

use crate::turn::{Turn, now, turn};

/// A singleton that operations use through its trait.
pub(super) trait Service: Send + Sync {
    fn answer(&self) -> u64;
}

pub(super) struct Answers(pub(super) u64);

impl Service for Answers {
    fn answer(&self) -> u64 {
        self.0
    }
}

/// What an operation of this benchmark returns.
type Answer = Result<u64, Fault>;

/// A value that belongs to one call, and needs nobody.
pub(super) struct Session(pub(super) u64);

/// A value that belongs to one call, and needs a singleton.
#[derive(Provide)]
#[provide(scope = "request")]
pub(super) struct Repo {
    #[inject]
    service: Arc<dyn Service>,
}

/// A singleton under its own type.
#[derive(Provide)]
pub(super) struct Clock {
    #[default(7)]
    time: u64,
}

pub(super) struct Application {
    pub(super) container: Container,
}

#[allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]
impl Application {
    /// Everything that lives as long as the process is built.
    pub(super) fn new() -> Self {
        let mut builder = ContainerBuilder::new();
        builder.provide_value::<dyn Service>(Arc::new(Answers(42)));
        builder.provide_with(async || Ok::<_, polyport_bootstrap::Error>(Session(7))).request();
        builder.provide::<Repo>();
        builder.provide::<Clock>();
        let container = builder.build().expect("fits together");
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(container.get::<Clock>()).expect("is built");
        Self { container }
    }

    /// `operation` again and again in one context: its extractors and its body, nothing else.
    pub(super) fn handler<M: 'static, O>(&self, operation: O) -> Turn
    where
        O: Operation<M, Input = NoInput, Output = u64>,
    {
        let info = Arc::new(operation.info());
        let context = Context::new(Call::new(Protocol::new("bench"), info, self.container.clone()));
        turn(move || now(operation.call(&context, NoInput)).expect("answers"))
    }

    /// Whole calls of `operation`, each with a context of its own, as frameworks make them.
    pub(super) fn call<M: 'static, O>(&self, operation: O) -> Turn
    where
        O: Operation<M, Input = NoInput, Output = u64>,
    {
        let (container, endpoint) = (self.container.clone(), Endpoint::json(operation));
        turn(move || {
            let operation = Arc::clone(endpoint.info());
            let call = Call::new(Protocol::new("bench"), operation, container.clone());
            now(endpoint.call(&Context::new(call))).expect("answers")
        })
    }
}

pub(super) async fn without() -> Answer {
    Ok(black_box(1))
}

pub(super) async fn with_singleton(Inject(service): Inject<dyn Service>) -> Answer {
    Ok(service.answer())
}

pub(super) async fn with_clock(Inject(clock): Inject<Clock>) -> Answer {
    Ok(clock.time)
}

pub(super) async fn with_repo(Inject(repo): Inject<Repo>) -> Answer {
    Ok(repo.service.answer())
}

pub(super) async fn with_session(Inject(session): Inject<Session>) -> Answer {
    Ok(black_box(session.0))
}
