//! A chain as calls run through it.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};

use super::{AnyFilter, Aspect, Guard, Interceptor, Site, Stage, stage::Part};
use crate::{
    Result as StartResult,
    operation::{Context, Fault, Reply},
};

type Answer = Result<Reply, Fault>;

/// What stands at the end of a chain: an operation that binds its input and runs.
pub(crate) trait Target: Send + Sync {
    fn call<'a>(
        &'a self,
        context: &'a Context,
        aspects: &'a [Arc<dyn Aspect>],
    ) -> BoxFuture<'a, Answer>;
}

/// Everything that stands around one operation, and the operation.
pub(crate) struct Chain {
    /// Middleware, then interceptors.
    around: Vec<Arc<dyn Interceptor>>,
    /// How many of them are middleware.
    middleware: usize,
    filters: Vec<Arc<dyn AnyFilter>>,
    guards: Vec<Arc<dyn Guard>>,
    aspects: Vec<Arc<dyn Aspect>>,
    target: Arc<dyn Target>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("middleware", &self.middleware)
            .field("filters", &self.filters.len())
            .field("guards", &self.guards.len())
            .field("interceptors", &(self.around.len() - self.middleware))
            .field("aspects", &self.aspects.len())
            .finish()
    }
}

impl Chain {
    /// A chain with nothing in it.
    pub(crate) fn bare(target: Arc<dyn Target>) -> Self {
        Self {
            around: Vec::new(),
            middleware: 0,
            filters: Vec::new(),
            guards: Vec::new(),
            aspects: Vec::new(),
            target,
        }
    }

    /// Adds a stage behind all others of its kind.
    pub(super) async fn add(&mut self, stage: &Stage, site: Site<'_>) -> StartResult<()> {
        match &stage.part {
            Part::Middleware(_, supply) => {
                let Some(middleware) = supply.get(site).await? else { return Ok(()) };
                self.around.insert(self.middleware, middleware);
                self.middleware += 1;
            }
            Part::Interceptor(supply) => self.around.extend(supply.get(site).await?),
            Part::FaultFilter(supply) => self.filters.extend(supply.get(site).await?),
            Part::Guard(supply) => self.guards.extend(supply.get(site).await?),
            Part::Aspect(supply) => self.aspects.extend(supply.get(site).await?),
        }
        Ok(())
    }

    /// Lets a call run through it.
    pub(crate) fn run<'a>(self: &'a Arc<Self>, context: &'a Context) -> BoxFuture<'a, Answer> {
        self.from(0, context)
    }

    /// Goes on at this place; behind the last middleware stands everything else.
    fn from<'a>(self: &'a Arc<Self>, at: usize, context: &'a Context) -> BoxFuture<'a, Answer> {
        if at == self.middleware {
            return self.filtered(context);
        }
        self.around_from(at, context)
    }

    fn around_from<'a>(
        self: &'a Arc<Self>,
        at: usize,
        context: &'a Context,
    ) -> BoxFuture<'a, Answer> {
        match self.around.get(at) {
            Some(next) => next.intercept(context, Next { chain: self, at: at + 1 }),
            None => self.target.call(context, &self.aspects),
        }
    }

    fn filtered<'a>(self: &'a Arc<Self>, context: &'a Context) -> BoxFuture<'a, Answer> {
        if self.filters.is_empty() {
            return self.guarded(context);
        }
        Box::pin(async move {
            let call = async { self.guarded(context).await };
            let answer = AssertUnwindSafe(call).catch_unwind().await;
            let fault = match answer.unwrap_or_else(|panic| Err(Fault::panicked(&*panic))) {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            for filter in &self.filters {
                if let Some(answer) = filter.apply(context, &fault).await {
                    return answer;
                }
            }
            Err(fault)
        })
    }

    /// Guards that decide at once cost no future of their own.
    fn guarded<'a>(self: &'a Arc<Self>, context: &'a Context) -> BoxFuture<'a, Answer> {
        for (position, guard) in self.guards.iter().enumerate() {
            match guard.check_now(context) {
                Some(Ok(())) => {}
                Some(Err(fault)) => return Box::pin(ready(Err(fault))),
                None => return self.guarded_from(position, context),
            }
        }
        self.around_from(self.middleware, context)
    }

    fn guarded_from<'a>(
        self: &'a Arc<Self>,
        first: usize,
        context: &'a Context,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.guards[first].check(context).await?;
            for guard in &self.guards[first + 1..] {
                match guard.check_now(context) {
                    Some(decision) => decision?,
                    None => guard.check(context).await?,
                }
            }
            self.around_from(self.middleware, context).await
        })
    }
}

/// What stands behind an interceptor or a middleware.
#[derive(Debug)]
pub struct Next<'a> {
    chain: &'a Arc<Chain>,
    at: usize,
}

impl<'a> Next<'a> {
    /// Goes on with the call.
    pub fn run(self, context: &'a Context) -> BoxFuture<'a, Answer> {
        self.chain.from(self.at, context)
    }

    /// The same, free of its call: to go on twice, or in a task of its own.
    #[must_use]
    pub fn to_owned(&self) -> OwnedNext {
        OwnedNext { chain: Arc::clone(self.chain), at: self.at }
    }
}

/// What stands behind an interceptor or a middleware, free of its call.
#[derive(Debug, Clone)]
pub struct OwnedNext {
    chain: Arc<Chain>,
    at: usize,
}

impl OwnedNext {
    /// Goes on with the call.
    pub fn run<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Answer> {
        self.chain.from(self.at, context)
    }
}
