use std::{any::Any, future::Future, ops::Deref, sync::Arc};

use super::{Context, Fault, NoInput, OperationInfo};
use crate::{
    application::FromApps,
    container::{Dependency, Key},
};

/// An argument of an operation: made from the call.
///
/// Implement it for types of your own; name in [`describe`](Self::describe) what they take from
/// the container, so that a missing provider is found at start.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Context, Fault, FromContext, InputSlot, NoPayload};
///
/// struct Tenant(String);
///
/// impl FromContext for Tenant {
///     type Payload = NoPayload;
///
///     async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
///         let header = context.metadata.get("x-tenant").and_then(|value| value.to_str().ok());
///         header
///             .map(|tenant| Tenant(tenant.to_owned()))
///             .ok_or_else(|| Fault::unauthenticated("NO_TENANT", "the header x-tenant is missing"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an argument that an operation can take",
    label = "not an extractor",
    note = "operations take `Inject<T>`, `Input<T>`, `Ctx`, `App<A>` and whatever implements `FromContext`"
)]
pub trait FromContext: Sized + Send {
    /// [`Takes<T>`] where this argument takes the call's input as `T`, else [`NoPayload`]. At most
    /// one argument of an operation takes the input.
    type Payload: Send;

    /// Makes the argument.
    fn from_context(
        context: &Context,
        input: &mut InputSlot<'_>,
    ) -> impl Future<Output = Result<Self, Fault>> + Send;

    /// Says what this argument needs.
    fn describe(info: &mut OperationInfo) {
        let _ = info;
    }
}

/// The bound and validated input of a call, on its way to the argument that takes it.
pub struct InputSlot<'a>(&'a mut (dyn Any + Send));

impl std::fmt::Debug for InputSlot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InputSlot")
    }
}

impl<'a> InputSlot<'a> {
    pub(crate) fn new<T: Send + 'static>(input: &'a mut Option<T>) -> Self {
        Self(input)
    }

    /// Takes the input; it can be taken once, as the type that the argument's `Payload` names.
    pub fn take<T: 'static>(&mut self) -> Option<T> {
        self.0.downcast_mut::<Option<T>>()?.take()
    }
}

/// Says that an argument does not take the call's input.
#[derive(Debug, Clone, Copy)]
pub struct NoPayload;

/// Says that an argument takes the call's input as `T`.
#[derive(Debug, Clone, Copy)]
pub struct Takes<T>(std::marker::PhantomData<fn() -> T>);

/// A value from the container: the process's, or the call's own where it is request-scoped. The
/// values of a call are built when they are first taken, and a call that takes none pays nothing.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, Inject};
///
/// struct Clock;
///
/// async fn now(Inject(clock): Inject<Clock>) -> Result<u64, Fault> {
///     let _ = clock;
///     Ok(0)
/// }
/// ```
pub struct Inject<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> std::fmt::Debug for Inject<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inject")
    }
}

impl<T: ?Sized> Deref for Inject<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromContext for Inject<T> {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self(context.container.get_in(context).await?))
    }

    fn describe(info: &mut OperationInfo) {
        info.depends_on(Dependency::required(Key::of::<T>()));
    }
}

/// The call's input, bound from wherever the protocol carries it, and validated.
#[derive(Debug, Clone)]
pub struct Input<T>(pub T);

impl<T: Send + 'static> FromContext for Input<T> {
    type Payload = Takes<T>;

    async fn from_context(_: &Context, input: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let missing = || crate::Error::other("the input was taken by another argument");
        Ok(Self(input.take().ok_or_else(missing)?))
    }
}

/// The call's [`Context`].
#[derive(Debug, Clone)]
pub struct Ctx(pub Context);

impl Deref for Ctx {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl FromContext for Ctx {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self(context.clone()))
    }
}

/// A framework's app handle, by its type.
#[derive(Debug, Clone)]
pub struct App<A>(pub A);

impl<A: FromApps + Send> FromContext for App<A> {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self(A::from_container(&context.container, None)?))
    }

    fn describe(info: &mut OperationInfo) {
        info.depends_on(A::dependency(None));
    }
}

/// Finds the one argument that takes the input; two are a compile error.
#[doc(hidden)]
#[diagnostic::on_unimplemented(message = "an operation can take its input only once")]
pub trait Select<Rest> {
    /// Whoever takes it.
    type Out: Payload;
}

impl<Rest: Payload> Select<Rest> for NoPayload {
    type Out = Rest;
}

impl<T: Send + 'static> Select<NoPayload> for Takes<T> {
    type Out = Self;
}

/// Names the input's type.
#[doc(hidden)]
pub trait Payload {
    /// The input.
    type Input: Send + 'static;
}

impl Payload for NoPayload {
    type Input = NoInput;
}

impl<T: Send + 'static> Payload for Takes<T> {
    type Input = T;
}

/// All arguments of an operation.
#[doc(hidden)]
pub trait Extract: Sized + Send {
    /// Who takes the input.
    type Payload: Payload;

    /// Makes all arguments, one after the other.
    fn extract(
        context: &Context,
        input: &mut InputSlot<'_>,
    ) -> impl Future<Output = Result<Self, Fault>> + Send;

    /// Describes all arguments.
    fn describe(info: &mut OperationInfo);
}

impl Extract for () {
    type Payload = NoPayload;

    async fn extract(_: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(())
    }

    fn describe(_: &mut OperationInfo) {}
}

macro_rules! extract {
    ($first:ident $(, $rest:ident)*) => {
        impl<$first, $($rest,)*> Extract for ($first, $($rest,)*)
        where
            $first: FromContext,
            $($rest: FromContext,)*
            ($($rest,)*): Extract,
            $first::Payload: Select<<($($rest,)*) as Extract>::Payload>,
        {
            type Payload = <$first::Payload as Select<<($($rest,)*) as Extract>::Payload>>::Out;

            async fn extract(
                context: &Context,
                input: &mut InputSlot<'_>,
            ) -> Result<Self, Fault> {
                Ok((
                    $first::from_context(context, input).await?,
                    $($rest::from_context(context, input).await?,)*
                ))
            }

            fn describe(info: &mut OperationInfo) {
                $first::describe(info);
                $($rest::describe(info);)*
            }
        }
        extract!($($rest),*);
    };
    () => {};
}

extract!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12);
