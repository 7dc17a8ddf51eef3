use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use polyport_wire::Envelope;
use serde::Serialize;

use super::{
    Bind, Context, Fault, FaultKind, Operation, OperationInfo, RawInput, scope::EndOfCall,
};
use crate::Error;

/// An operation made callable by a framework: the protocol's input in, the protocol's answer out.
///
/// Everything that every call needs is fused into it: binding, validation, the deadline (whose
/// timer is armed only where the call has to wait), panics, and the log line of a fault. A call
/// costs one boxed future.
pub struct Endpoint<I, O> {
    info: Arc<OperationInfo>,
    run: Arc<Run<I, O>>,
}

type Run<I, O> = dyn Fn(Context, I) -> BoxFuture<'static, Result<O, Fault>> + Send + Sync;

/// The endpoint of a protocol that speaks JSON.
pub type JsonEndpoint = Endpoint<JsonCall, Answer>;

/// The input of a call on a protocol that speaks JSON, and where its answer goes.
#[derive(Debug)]
pub struct JsonCall {
    /// Where the input is.
    pub input: RawInput,
    /// What stands around the answer.
    pub envelope: Arc<dyn Envelope>,
    /// What the answer is appended to.
    pub out: Vec<u8>,
}

/// The answer of a call on a protocol that speaks JSON.
#[derive(Debug)]
pub struct Answer {
    /// The call's `out` with the answer, in its envelope, appended.
    pub body: Vec<u8>,
    /// Whether the operation has a value at all (`()` is none).
    pub has_value: bool,
}

impl<I, O> Clone for Endpoint<I, O> {
    fn clone(&self) -> Self {
        Self { info: Arc::clone(&self.info), run: Arc::clone(&self.run) }
    }
}

impl<I, O> fmt::Debug for Endpoint<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("info", &self.info).finish_non_exhaustive()
    }
}

impl<I: Send + 'static, O: Send + 'static> Endpoint<I, O> {
    /// Makes an endpoint of `operation`: `decode` turns the protocol's input into the operation's
    /// and whatever `encode` needs later, `encode` the operation's value into the protocol's
    /// answer.
    pub fn new<M, Op, C: Send + 'static>(
        operation: Op,
        decode: impl Fn(&Context, I) -> Result<(Op::Input, C), Fault> + Copy + Send + Sync + 'static,
        encode: impl Fn(&Context, C, Op::Output) -> Result<O, Fault> + Copy + Send + Sync + 'static,
    ) -> Self
    where
        Op: Operation<M>,
    {
        let info = Arc::new(operation.info());
        let run = move |context: Context, input: I| {
            let operation = operation.clone();
            let call = async move {
                let (input, rest) = decode(&context, input)?;
                let output = operation.call(context.clone(), input).await?;
                encode(&context, rest, output)
            };
            call.boxed()
        };
        Self { info, run: Arc::new(run) }
    }

    /// What the operation says of itself.
    #[must_use]
    pub fn info(&self) -> &Arc<OperationInfo> {
        &self.info
    }

    /// Calls the operation. A panic, a deadline that passes and every other fault come back as a
    /// fault, and are logged.
    ///
    /// # Errors
    /// Returns the operation's fault, or that of binding its input.
    pub async fn call(&self, context: Context, input: I) -> Result<O, Fault> {
        answered(&context, async { (self.run)(context.clone(), input).await }).await
    }
}

impl JsonEndpoint {
    /// Makes an endpoint for the protocols that speak JSON.
    pub fn json<M, Op>(operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: Serialize,
    {
        Self::new(operation, decode_json::<Op::Input>, encode_json::<Op::Output>)
    }
}

type JsonRest = (Arc<dyn Envelope>, Vec<u8>);

fn decode_json<T: Bind>(_: &Context, call: JsonCall) -> Result<(T, JsonRest), Fault> {
    Ok((T::bind(call.input)?, (call.envelope, call.out)))
}

fn encode_json<T: Serialize + 'static>(
    context: &Context,
    (envelope, mut out): JsonRest,
    value: T,
) -> Result<Answer, Fault> {
    envelope
        .write_value(&mut out, context.request_id.as_str(), &mut |out| {
            serde_json::to_writer(out, &value)
        })
        .map_err(|error| Error::other("the answer cannot be written as JSON").caused_by(error))?;
    let has_value = std::any::TypeId::of::<T>() != std::any::TypeId::of::<()>();
    Ok(Answer { body: out, has_value })
}

/// Runs a call under its deadline, turns a panic into a fault, and logs the fault it ends in. When
/// the answer is made, what belongs to the call is disposed of, and then it is returned; each value
/// has 5 s for that, and what fails there is logged and changes no answer.
///
/// # Errors
/// Returns the call's fault, or that of its panic or deadline.
pub async fn answered<T>(
    context: &Context,
    call: impl Future<Output = Result<T, Fault>> + Send,
) -> Result<T, Fault> {
    let end = EndOfCall(context);
    let result = AssertUnwindSafe(within_deadline(context, call))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(Fault::panicked(&*panic)));
    if let Err(fault) = &result {
        log(context, fault);
    }
    end.reached().await;
    result
}

async fn within_deadline<T>(
    context: &Context,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match context.deadline {
        None => call.await,
        Some(deadline) => tokio::time::timeout_at(deadline, call).await.unwrap_or_else(|_| {
            Err(Fault::deadline_exceeded(
                "DEADLINE_EXCEEDED",
                "the call took longer than its deadline",
            ))
        }),
    }
}

fn log(context: &Context, fault: &Fault) {
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
