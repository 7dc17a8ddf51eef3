//! What is said of an operation where it is registered.

use std::{any::Any, sync::Arc};

use schemars::JsonSchema;

use super::{
    Context, Fault, Operation, OperationInfo, Pipeline, Schemas, StageScope, attributes::Attributes,
};

/// Says more of an operation: attributes, a name, what stands around it.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Context, Fault, Operation, OperationExt};
///
/// #[derive(Debug, PartialEq)]
/// enum Role { Admin }
///
/// async fn delete_user() -> Result<(), Fault> {
///     Ok(())
/// }
///
/// let operation = delete_user.attr(Role::Admin).pipeline(|p| {
///     p.guard(|context: &Context| match context.operation().attribute::<Role>() {
///         Some(Role::Admin) => Err(Fault::permission_denied("ADMINS_ONLY", "not for you")),
///         None => Ok(()),
///     })
/// });
/// # fn info<M>(operation: &impl Operation<M>) -> polyport_bootstrap::operation::OperationInfo {
/// #     operation.info()
/// # }
/// assert_eq!(info(&operation).attribute(), Some(&Role::Admin));
/// ```
pub trait OperationExt<M>: Operation<M> {
    /// Adds an attribute: a value that guards and interceptors read by its type, with
    /// [`OperationInfo::attribute`].
    fn attr<T: Any + Send + Sync>(self, value: T) -> Declared<Self> {
        let mut declared = Declared::new(self, StageScope::Operation);
        declared.change(|declaration| declaration.attributes.add(value));
        declared
    }

    /// Gives it another name than its function's, as logs and reports show it.
    fn named(self, name: &'static str) -> Declared<Self> {
        let mut declared = Declared::new(self, StageScope::Operation);
        declared.change(|declaration| declaration.name = Some(name));
        declared
    }

    /// Says what its input and its value look like, as JSON Schema; the macros `operation` and
    /// `controller` find it out by themselves.
    fn schemas(self) -> Declared<Self>
    where
        Self::Input: JsonSchema,
        Self::Output: JsonSchema,
    {
        self.with_schemas(Schemas::of::<Self::Input, Self::Output>())
    }

    #[doc(hidden)]
    fn with_schemas(self, schemas: Schemas) -> Declared<Self> {
        let mut declared = Declared::new(self, StageScope::Operation);
        declared.change(|declaration| declaration.schemas = Some(schemas));
        declared
    }

    /// What its controller was declared with, around what it says of itself.
    #[doc(hidden)]
    fn of_controller(self, declaration: &ControllerDeclaration) -> Declared<Self> {
        let mut declared = Declared::new(self, StageScope::Controller);
        declared.change(|own| {
            own.attributes = declaration.attributes.clone();
            own.pipeline = declaration.pipeline.clone();
        });
        declared
    }

    /// Keeps away what was added to wider scopes: within [`StageScope::Module`] neither the
    /// application's nor the framework's stages stand around it, within
    /// [`StageScope::Operation`] only its own. For what has to be reached in any case, such as a
    /// health check.
    fn within(self, outermost: StageScope) -> Declared<Self> {
        let mut declared = Declared::new(self, StageScope::Operation);
        declared.change(|declaration| declaration.outermost = Some(outermost));
        declared
    }

    /// Adds guards and whatever else is to stand around it.
    fn pipeline(self, add: impl FnOnce(Pipeline) -> Pipeline) -> Declared<Self> {
        let mut declared = Declared::new(self, StageScope::Operation);
        let pipeline = add(Pipeline::new());
        declared.change(|declaration| declaration.pipeline = pipeline);
        declared
    }
}

impl<M, Op: Operation<M>> OperationExt<M> for Op {}

/// An operation of which more was said: [`OperationExt`].
#[derive(Debug, Clone)]
pub struct Declared<Op> {
    operation: Op,
    declaration: Arc<Declaration>,
}

#[derive(Debug, Clone)]
struct Declaration {
    scope: StageScope,
    name: Option<&'static str>,
    outermost: Option<StageScope>,
    attributes: Attributes,
    pipeline: Pipeline,
    schemas: Option<Schemas>,
}

/// What all operations of a controller have in common.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct ControllerDeclaration {
    attributes: Attributes,
    pipeline: Pipeline,
}

impl ControllerDeclaration {
    #[must_use]
    pub fn attr<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.attributes.add(value);
        self
    }

    #[must_use]
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.pipeline = add(self.pipeline);
        self
    }
}

impl<Op> Declared<Op> {
    fn new(operation: Op, scope: StageScope) -> Self {
        let declaration = Declaration {
            scope,
            name: None,
            outermost: None,
            attributes: Attributes::default(),
            pipeline: Pipeline::new(),
            schemas: None,
        };
        Self { operation, declaration: Arc::new(declaration) }
    }

    fn change(&mut self, change: impl FnOnce(&mut Declaration)) {
        change(Arc::make_mut(&mut self.declaration));
    }
}

impl<M, Op: Operation<M>> Operation<M> for Declared<Op> {
    type Input = Op::Input;
    type Output = Op::Output;

    fn info(&self) -> OperationInfo {
        let mut info = self.operation.info();
        let Declaration { scope, name, outermost, attributes, pipeline, schemas } =
            &*self.declaration;
        info.declare(*scope, attributes, pipeline.clone());
        if let Some(name) = name {
            info.set_name(name);
        }
        if let Some(schemas) = schemas {
            info.set_schemas(*schemas);
        }
        if let Some(outermost) = outermost {
            info.set_outermost(*outermost);
        }
        info
    }

    fn call<'a>(
        &'a self,
        context: &'a Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Fault>> + Send + 'a {
        self.operation.call(context, input)
    }
}
