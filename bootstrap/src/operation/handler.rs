use std::future::Future;

use super::{Context, Fault, InputSlot, OperationInfo, extract::Extract, extract::Payload};

/// An async function with up to twelve extractors that returns `Result<T, E: Into<Fault>>`; it can
/// be served on every protocol.
///
/// `Input` and `Output` are the types of its input and of its value; what a protocol needs of them
/// is asked where the operation is registered, so that a protobuf-only operation needs no serde
/// and the other way round.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Ctx, Fault, Operation};
///
/// async fn ping(Ctx(context): Ctx) -> Result<String, Fault> {
///     Ok(context.request_id.to_string())
/// }
///
/// fn name_of<M>(operation: impl Operation<M>) -> String {
///     operation.info().name().to_owned()
/// }
/// assert_eq!(name_of(ping), "ping");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operation",
    label = "not an operation",
    note = "an operation is an async function whose arguments all implement `FromContext` (at most \
            one takes the input) and that returns `Result<T, E>` with `E: Into<Fault>`"
)]
pub trait Operation<Marker>: Clone + Send + Sync + 'static {
    /// What it takes as its input; [`NoInput`](super::NoInput) where it takes none.
    type Input: Send + 'static;
    /// Its value.
    type Output: Send + 'static;

    /// What it says of itself.
    fn info(&self) -> OperationInfo;

    /// Calls it with a bound and validated input.
    fn call<'a>(
        &'a self,
        context: &'a Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Fault>> + Send + 'a;
}

macro_rules! operation {
    ($($arg:ident),*) => {
        #[allow(non_snake_case, reason = "the macro names each argument after its type")]
        impl<F, Fut, T, E, $($arg,)*> Operation<($($arg,)*)> for F
        where
            F: FnOnce($($arg),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<T, E>> + Send + 'static,
            T: Send + 'static,
            E: Into<Fault> + 'static,
            ($($arg,)*): Extract + 'static,
        {
            type Input = <<($($arg,)*) as Extract>::Payload as Payload>::Input;
            type Output = T;

            fn info(&self) -> OperationInfo {
                let mut info = OperationInfo::of::<F>();
                <($($arg,)*) as Extract>::describe(&mut info);
                info
            }

            async fn call(&self, context: &Context, input: Self::Input) -> Result<T, Fault> {
                let mut input = Some(input);
                let mut slot = InputSlot::new(&mut input);
                let ($($arg,)*) =
                    <($($arg,)*) as Extract>::extract(context, &mut slot).await?;
                self.clone()($($arg),*).await.map_err(Into::into)
            }
        }
    };
}

operation!();
operation!(A1);
operation!(A1, A2);
operation!(A1, A2, A3);
operation!(A1, A2, A3, A4);
operation!(A1, A2, A3, A4, A5);
operation!(A1, A2, A3, A4, A5, A6);
operation!(A1, A2, A3, A4, A5, A6, A7);
operation!(A1, A2, A3, A4, A5, A6, A7, A8);
operation!(A1, A2, A3, A4, A5, A6, A7, A8, A9);
operation!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10);
operation!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11);
operation!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12);
