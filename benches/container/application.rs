//! What polyport serves in the benchmarks.

use std::{hint::black_box, rc::Rc, sync::Arc};

use polyport_bootstrap::{
    Container, Provide,
    container::ContainerBuilder,
    operation::{Call, Context, Endpoint, Fault, Inject, NoInput, Operation, Protocol},
};
use tokio::runtime::Runtime;

use crate::measure::Case;

/// A singleton that operations use through its trait.
pub(crate) trait Service: Send + Sync {
    fn answer(&self) -> u64;
}

pub(crate) struct Answers(pub(crate) u64);

impl Service for Answers {
    fn answer(&self) -> u64 {
        self.0
    }
}

/// What an operation of this benchmark returns.
type Answer = Result<u64, Fault>;

/// A value that belongs to one call, and needs nobody.
pub(crate) struct Session(pub(crate) u64);

/// A value that belongs to one call, and needs a singleton.
#[derive(Provide)]
#[provide(scope = "request")]
pub(crate) struct Repo {
    #[inject]
    service: Arc<dyn Service>,
}

/// A singleton under its own type.
#[derive(Provide)]
pub(crate) struct Clock {
    #[default(7)]
    time: u64,
}

pub(crate) struct Application {
    runtime: Rc<Runtime>,
    pub(crate) container: Container,
}

impl Application {
    /// Everything that lives as long as the process is built.
    #[allow(clippy::expect_used, reason = "a benchmark that cannot begin ends")]
    pub(crate) fn new(runtime: &Rc<Runtime>) -> Self {
        let mut builder = ContainerBuilder::new();
        builder.provide_value::<dyn Service>(Arc::new(Answers(42)));
        builder.provide_with(async || Ok::<_, polyport_bootstrap::Error>(Session(7))).request();
        builder.provide::<Repo>();
        builder.provide::<Clock>();
        let container = builder.build().expect("fits together");
        runtime.block_on(container.get::<Clock>()).expect("is built");
        Self { runtime: Rc::clone(runtime), container }
    }

    /// `operation` again and again in one context: its extractors and its body, nothing else.
    #[allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]
    pub(crate) fn handler<M: 'static, O>(&self, name: &'static str, operation: O) -> Case
    where
        O: Operation<M, Input = NoInput, Output = u64>,
    {
        let runtime = Rc::clone(&self.runtime);
        let info = Arc::new(operation.info());
        let context = Context::new(Call::new(Protocol::new("bench"), info, self.container.clone()));
        Case::batch(name, move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    let called = operation.call(&context, NoInput);
                    black_box(called.await.expect("answers"));
                }
            });
        })
    }

    /// Whole calls of `operation`, each with a context of its own, as frameworks make them.
    #[allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]
    pub(crate) fn case<M: 'static, O>(&self, name: &'static str, operation: O) -> Case
    where
        O: Operation<M, Input = NoInput, Output = u64>,
    {
        let (runtime, container) = (Rc::clone(&self.runtime), self.container.clone());
        let endpoint = Endpoint::json(operation);
        Case::batch(name, move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    let operation = Arc::clone(endpoint.info());
                    let call = Call::new(Protocol::new("bench"), operation, container.clone());
                    black_box(endpoint.call(&Context::new(call)).await.expect("answers"));
                }
            });
        })
    }
}

pub(crate) async fn without() -> Answer {
    Ok(black_box(1))
}

pub(crate) async fn with_singleton(Inject(service): Inject<dyn Service>) -> Answer {
    Ok(service.answer())
}

pub(crate) async fn with_clock(Inject(clock): Inject<Clock>) -> Answer {
    Ok(clock.time)
}

pub(crate) async fn with_repo(Inject(repo): Inject<Repo>) -> Answer {
    Ok(repo.service.answer())
}

pub(crate) async fn with_session(Inject(session): Inject<Session>) -> Answer {
    Ok(black_box(session.0))
}
