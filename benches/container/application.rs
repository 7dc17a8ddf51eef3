//! What polyport serves in the benchmarks.

use std::{hint::black_box, rc::Rc, sync::Arc};

use polyport_bootstrap::{
    Container,
    container::ContainerBuilder,
    operation::{Call, Context, Inject, NoInput, Operation, OperationInfo, Protocol, answered},
};
use tokio::runtime::Runtime;

use crate::{Answer, measure::Case, number};

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

/// A value that belongs to one call.
pub(crate) struct Session(pub(crate) u64);

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
        let container = builder.build().expect("fits together");
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
                    let called = operation.clone().call(context.clone(), NoInput);
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
        let info: Arc<OperationInfo> = Arc::new(operation.info());
        Case::batch(name, move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    let call =
                        Call::new(Protocol::new("bench"), Arc::clone(&info), container.clone());
                    let context = Context::new(call);
                    let called = operation.clone().call(context.clone(), NoInput);
                    black_box(answered(&context, called).await.expect("answers"));
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

pub(crate) async fn with_session(Inject(session): Inject<Session>) -> Answer {
    Ok(number(&session))
}
