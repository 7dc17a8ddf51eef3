//! What an operation's input and value look like, as JSON Schema.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, schema_for};

use super::{Answer, Items};

/// Makes a schema where somebody asks for it.
#[derive(Clone, Copy, Default)]
pub struct Schemas {
    input: Option<fn() -> Schema>,
    output: Option<fn() -> Schema>,
}

impl Schemas {
    /// Those of an operation that takes `I` and has the value `O`.
    #[must_use]
    pub fn of<I: JsonSchema, O: JsonSchema>() -> Self {
        Self { input: Some(schema::<I>), output: Some(schema::<O>) }
    }

    #[doc(hidden)]
    #[must_use]
    pub fn new(input: Option<fn() -> Schema>, output: Option<fn() -> Schema>) -> Self {
        Self { input, output }
    }

    /// The input's, where it is known.
    #[must_use]
    pub fn input(&self) -> Option<Schema> {
        self.input.map(|make| make())
    }

    /// The value's, where it is known.
    #[must_use]
    pub fn output(&self) -> Option<Schema> {
        self.output.map(|make| make())
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas")
            .field("input", &self.input.is_some())
            .field("output", &self.output.is_some())
            .finish()
    }
}

fn schema<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

/// Finds out whether a type has a schema: the method of this type is called where it has, that of
/// [`WithoutSchema`] where it has none. Works for types that are written out, as in macros.
#[doc(hidden)]
#[derive(Debug)]
pub struct SchemaOf<T>(PhantomData<fn() -> T>);

impl<T> SchemaOf<T> {
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for SchemaOf<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: JsonSchema> SchemaOf<T> {
    #[must_use]
    pub fn maker(&self) -> Option<fn() -> Schema> {
        Some(schema::<T>)
    }
}

#[doc(hidden)]
pub trait WithoutSchema {
    fn maker(&self) -> Option<fn() -> Schema> {
        None
    }
}

impl<T> WithoutSchema for SchemaOf<T> {}

macro_rules! like_its_value {
    ($($wrapper:ident),*) => {
        $(
            impl<T: JsonSchema> JsonSchema for $wrapper<T> {
                fn schema_name() -> Cow<'static, str> {
                    T::schema_name()
                }

                fn schema_id() -> Cow<'static, str> {
                    T::schema_id()
                }

                fn inline_schema() -> bool {
                    T::inline_schema()
                }

                fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                    T::json_schema(generator)
                }
            }
        )*
    };
}

like_its_value!(Answer, Items);

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    #[test]
    fn a_schema_is_found_where_there_is_one() {
        assert!(SchemaOf::<u32>::new().maker().is_some());
        assert!(SchemaOf::<Plain>::new().maker().is_none());
        let schemas = Schemas::of::<(), Answer<String>>();
        assert_eq!(schemas.output().expect("is known").get("type"), Some(&"string".into()));
    }
}
