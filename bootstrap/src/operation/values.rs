//! Typed values from text: parameters of a route, a query, a form.

use std::borrow::Cow;

use serde::{
    de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor, value::SeqDeserializer},
    forward_to_deserialize_any,
};

type Error = serde::de::value::Error;

/// Every value that one name was given; never empty. Where one value is wanted, the last is it.
#[derive(Clone, Copy)]
pub(super) struct Values<'a, 'de>(pub(super) &'a [Cow<'de, str>]);

impl<'de> Values<'_, 'de> {
    fn last(&self) -> &str {
        self.0.last().map_or("", |value| value)
    }

    fn parse<T: std::str::FromStr>(&self, expected: &'static str) -> Result<T, Error> {
        let text = self.last();
        text.parse().map_err(|_| Error::invalid_value(Unexpected::Str(text), &expected))
    }
}

impl Values<'_, '_> {
    /// As JSON, text knows no infinity and no NaN.
    fn finite<T: std::str::FromStr + Into<f64> + Copy>(
        &self,
        expected: &'static str,
    ) -> Result<T, Error> {
        let number: T = self.parse(expected)?;
        if number.into().is_finite() {
            return Ok(number);
        }
        Err(Error::invalid_value(Unexpected::Str(self.last()), &expected))
    }
}

macro_rules! parsed {
    ($($method:ident => $visit:ident: $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                visitor.$visit(self.parse::<$type>(stringify!($type))?)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Values<'_, 'de> {
    type Error = Error;

    parsed! {
        deserialize_bool => visit_bool: bool;
        deserialize_i8 => visit_i8: i8;
        deserialize_i16 => visit_i16: i16;
        deserialize_i32 => visit_i32: i32;
        deserialize_i64 => visit_i64: i64;
        deserialize_i128 => visit_i128: i128;
        deserialize_u8 => visit_u8: u8;
        deserialize_u16 => visit_u16: u16;
        deserialize_u32 => visit_u32: u32;
        deserialize_u64 => visit_u64: u64;
        deserialize_u128 => visit_u128: u128;
        deserialize_char => visit_char: char;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(self.finite("f32")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.finite("f64")?)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.last())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.last().into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.chunks(1).map(Each)))
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

struct Each<'a, 'de>(&'a [Cow<'de, str>]);

impl<'a, 'de> IntoDeserializer<'de, Error> for Each<'a, 'de> {
    type Deserializer = Values<'a, 'de>;

    fn into_deserializer(self) -> Values<'a, 'de> {
        Values(self.0)
    }
}
