use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{task::unconstrained, time::sleep_until};

use super::{
    Aspect, Bind, Chain, Context, EndpointService, Exposure, Fault, FaultKind, IntoReply,
    Invocation, Invoke, MadeOnce, Operation, OperationInfo, OperationKind, Pipelines, Protocol,
    Reply, StageScope, Target, Unbound, scope::EndOfCall,
};
use crate::{
    Config, Container, DEFAULT_NAME, Environment, Error, Result as StartResult,
    config::ConfigBuilder, container::Root,
};

/// An operation made callable by a framework: a call in, a reply out.
///
/// Everything that every call needs is fused into it: the deadline (whose timer is armed only
/// where the call has to wait), panics, and the log line of a fault. A call costs one boxed future,
/// and one for each stage around the operation that waits.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    info: Arc<OperationInfo>,
    bare: Arc<Chain>,
    /// Set when the process begins to serve.
    chain: OnceLock<Arc<Chain>>,
    target: Arc<dyn Target>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("info", &self.0.info)
            .field("chain", self.chain())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Makes an endpoint of `operation`: `decode` binds its input to the call, `encode` makes the
    /// reply of its value.
    pub fn new<M, Op>(
        operation: Op,
        decode: fn(&Context) -> Result<Op::Input, Fault>,
        encode: fn(&Context, Op::Output) -> Result<Reply, Fault>,
    ) -> Self
    where
        M: 'static,
        Op: Operation<M>,
    {
        Self::described(operation.info(), operation, decode, encode)
    }

    /// Makes an endpoint for the protocols that speak JSON.
    pub fn json<M, Op>(operation: Op) -> Self
    where
        M: 'static,
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        Self::decoding(operation, |context| Op::Input::bind(&Unbound::of(context)))
    }

    /// As [`json`](Self::json), where `decode` makes the input of the call.
    pub fn decoding<M, Op>(operation: Op, decode: fn(&Context) -> Result<Op::Input, Fault>) -> Self
    where
        M: 'static,
        Op: Operation<M>,
        Op::Output: IntoReply,
    {
        let mut info = operation.info();
        Op::Output::describe(&mut info);
        info.take_json();
        let encode = |context: &Context, value: Op::Output| value.into_reply(context);
        Self::described(info, operation, decode, encode)
    }

    /// Makes an endpoint of something that is no operation and is answered otherwise: a mounted
    /// router, say. It stands in the same chain as operations do.
    pub fn native<F>(name: &'static str, answer: F) -> Self
    where
        F: for<'a> Fn(&'a Context) -> BoxFuture<'a, Result<Reply, Fault>> + Send + Sync + 'static,
    {
        Self::of_kind(OperationKind::Native, name, answer)
    }

    /// Makes an endpoint of what answers calls that nothing is served for. Only middleware stands
    /// around it.
    pub fn fallback<F>(name: &'static str, answer: F) -> Self
    where
        F: for<'a> Fn(&'a Context) -> BoxFuture<'a, Result<Reply, Fault>> + Send + Sync + 'static,
    {
        Self::of_kind(OperationKind::Fallback, name, answer)
    }

    /// The same with only stages of `outermost` and of narrower scopes around it, as
    /// [`OperationExt::within`](super::OperationExt::within) says it of an operation: for what a
    /// framework brings itself. It has no chain yet.
    #[must_use]
    pub fn within(self, outermost: StageScope) -> Self {
        let mut info = OperationInfo::clone(self.info());
        info.set_outermost(outermost);
        Self::of(info, self.target())
    }

    fn of_kind<F>(kind: OperationKind, name: &'static str, answer: F) -> Self
    where
        F: for<'a> Fn(&'a Context) -> BoxFuture<'a, Result<Reply, Fault>> + Send + Sync + 'static,
    {
        let mut info = OperationInfo::named(name);
        info.set_kind(kind);
        Self::of(info, Arc::new(Native(answer)))
    }

    fn described<M, Op>(
        info: OperationInfo,
        operation: Op,
        decode: fn(&Context) -> Result<Op::Input, Fault>,
        encode: fn(&Context, Op::Output) -> Result<Reply, Fault>,
    ) -> Self
    where
        M: 'static,
        Op: Operation<M>,
    {
        Self::of(info, Arc::new(Bound::<M, Op> { operation, decode, encode }))
    }

    fn of(info: OperationInfo, target: Arc<dyn Target>) -> Self {
        Self::of_shared(Arc::new(info), target)
    }

    fn of_shared(info: Arc<OperationInfo>, target: Arc<dyn Target>) -> Self {
        let bare = Arc::new(Chain::bare(Arc::clone(&target)));
        Self(Arc::new(Inner { info, bare, chain: OnceLock::new(), target }))
    }

    /// What the operation says of itself.
    #[must_use]
    pub fn info(&self) -> &Arc<OperationInfo> {
        &self.0.info
    }

    /// Calls the operation through its chain. A panic, a deadline that passes and every other fault
    /// come back as a fault, and are logged.
    ///
    /// # Errors
    /// Returns the fault that the call ends in.
    pub async fn call(&self, context: &Context) -> Result<Reply, Fault> {
        let answer = answered(context, async { self.chain().run(context).await });
        Ok(context.within(answer).await?.belonging_to(context))
    }

    /// The same operation, with what its own declaration says to stand around it, for a program
    /// that is no [`Bootstrap`](crate::Bootstrap). One that a bootstrap serves has its chain
    /// already.
    ///
    /// # Errors
    /// Returns an error where it cannot be served on this protocol, where `container` does not
    /// provide what it or a stage takes, or where the section `middleware` of the configuration in
    /// `container`, if there is one, does not fit.
    pub async fn standalone(&self, protocol: Protocol, container: &Container) -> StartResult<Self> {
        let config = match container.try_get::<Config>() {
            Some(config) => config,
            // A container that was made by hand has none, and no folder is below this one.
            None => Arc::new(ConfigBuilder::new(Environment::production(), "/dev/null").build()?),
        };
        if let Some(refusal) = self.info().refusal_on(protocol) {
            return Err(Error::wiring(refusal));
        }
        let alone = Self::of_shared(Arc::clone(&self.0.info), Arc::clone(&self.0.target));
        let name = self.info().name().to_owned();
        let exposure = Exposure {
            protocol,
            framework: DEFAULT_NAME.to_owned(),
            route: name.clone(),
            module: name,
            endpoint: alone.clone(),
        };
        let mut pipelines = Pipelines::default();
        pipelines.learn(&config, std::slice::from_ref(&exposure))?;
        let (plan, made) = (pipelines.plan(&exposure), MadeOnce::default());
        let dependencies = self.info().dependencies().to_vec();
        let own = Root::new(exposure.title(), dependencies).per_call();
        container.check(&std::iter::once(own).chain(plan.roots()).collect::<Vec<_>>())?;
        alone.set_chain(plan.assemble(container, &config, self.target(), &made).await?);
        Ok(alone)
    }

    /// It as a `tower` service of the neutral call, chain included, which stands in any tower
    /// program; frameworks make services of their protocol's requests of it.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{
    ///     Container, Context, Fault, Result,
    ///     operation::{Call, Endpoint, Protocol},
    /// };
    /// use tower::ServiceExt;
    ///
    /// async fn greet() -> Result<&'static str, Fault> {
    ///     Ok("Hello")
    /// }
    ///
    /// async fn serve(container: Container) -> Result<()> {
    ///     let protocol = Protocol::new("mine");
    ///     let endpoint = Endpoint::json(greet).standalone(protocol, &container).await?;
    ///     let call = Call::new(protocol, endpoint.info().clone(), container);
    ///     let reply = endpoint.into_service().oneshot(Context::new(call)).await;
    ///     assert_eq!(reply.expect("greets").value(), Some(&"Hello"));
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn into_service(self) -> EndpointService {
        EndpointService::new(self)
    }

    pub(crate) fn target(&self) -> Arc<dyn Target> {
        Arc::clone(&self.0.target)
    }

    /// Sets what calls run through from now on; the first time counts.
    pub(crate) fn set_chain(&self, chain: Chain) {
        let _ = self.0.chain.set(Arc::new(chain));
    }

    fn chain(&self) -> &Arc<Chain> {
        self.0.chain.get().unwrap_or(&self.0.bare)
    }
}

/// An operation with how its input is bound and its value made a reply.
struct Bound<M, Op: Operation<M>> {
    operation: Op,
    decode: fn(&Context) -> Result<Op::Input, Fault>,
    encode: fn(&Context, Op::Output) -> Result<Reply, Fault>,
}

impl<M: 'static, Op: Operation<M>> Bound<M, Op> {
    async fn run(&self, context: &Context, input: Op::Input) -> Result<Reply, Fault> {
        let value = self.operation.call(context, input).await?;
        (self.encode)(context, value)
    }
}

impl<M: 'static, Op: Operation<M>> Target for Bound<M, Op> {
    fn call<'a>(
        &'a self,
        context: &'a Context,
        aspects: &'a [Arc<dyn Aspect>],
    ) -> BoxFuture<'a, Result<Reply, Fault>> {
        let input = match (self.decode)(context) {
            Ok(input) => input,
            Err(fault) => return std::future::ready(Err(fault)).boxed(),
        };
        match aspects {
            [] => self.run(context, input).boxed(),
            aspects => Invocation::new(Box::new(input), aspects, self).proceed(context),
        }
    }
}

impl<M: 'static, Op: Operation<M>> Invoke for Bound<M, Op> {
    fn invoke<'a>(
        &'a self,
        context: &'a Context,
        input: Box<dyn Any + Send>,
    ) -> BoxFuture<'a, Result<Reply, Fault>> {
        let run = async {
            match input.downcast() {
                Ok(input) => self.run(context, *input).await,
                Err(_) => Err(Error::other("an aspect has changed the type of the input").into()),
            }
        };
        run.boxed()
    }
}

struct Native<F>(F);

impl<F> Target for Native<F>
where
    F: for<'a> Fn(&'a Context) -> BoxFuture<'a, Result<Reply, Fault>> + Send + Sync,
{
    fn call<'a>(
        &'a self,
        context: &'a Context,
        _: &'a [Arc<dyn Aspect>],
    ) -> BoxFuture<'a, Result<Reply, Fault>> {
        (self.0)(context)
    }
}

/// Runs a call under its deadline, turns a panic into a fault, and logs the fault it ends in. When
/// the answer is made, what belongs to the call is disposed of, and then it is returned; each value
/// has 5 s for that, and what fails there is logged and changes no answer.
async fn answered<T>(
    context: &Context,
    call: impl Future<Output = Result<T, Fault>> + Send,
) -> Result<T, Fault> {
    let end = EndOfCall(context);
    let result = AssertUnwindSafe(within_deadline(context, call))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(Fault::panicked(&*panic)));
    match &result {
        #[cfg(any(test, feature = "testing"))]
        Ok(_) => super::told::answered(context),
        #[cfg(not(any(test, feature = "testing")))]
        Ok(_) => {}
        Err(fault) => log(context, fault),
    }
    end.reached().await;
    result
}

/// The timer is made only where the call has to wait: most are answered without it.
async fn within_deadline<T>(
    context: &Context,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let Some(deadline) = context.deadline else { return call.await };
    let (mut call, mut timer) = (pin!(call), None);
    let answer = poll_fn(|cx| {
        if let Poll::Ready(answer) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        // Unconstrained: a call that always has something to do would keep the time from being seen.
        let timer = timer.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(deadline))));
        timer.as_mut().poll(cx).map(|()| None)
    });
    answer.await.unwrap_or_else(|| {
        Err(Fault::deadline_exceeded("DEADLINE_EXCEEDED", "the call took longer than its deadline"))
    })
}

pub(super) fn log(context: &Context, fault: &Fault) {
    #[cfg(any(test, feature = "testing"))]
    super::told::faulted(context, fault);
    let (operation, protocol) = (context.operation.name(), context.protocol.as_str());
    let request_id = context.request_id.as_str();
    let source = fault.source_text();
    match fault.kind() {
        FaultKind::Internal => {
            tracing::error!(operation, protocol, request_id, %fault, source, "call failed");
        }
        FaultKind::Unavailable | FaultKind::DeadlineExceeded => {
            tracing::warn!(operation, protocol, request_id, %fault, source, "call failed");
        }
        _ => tracing::debug!(operation, protocol, request_id, %fault, source, "call refused"),
    }
}
