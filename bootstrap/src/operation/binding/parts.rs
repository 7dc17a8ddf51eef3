//! Deserializers over one part of an input: the parameters, the query, the headers, the cookies.

use http::HeaderMap;
use serde::{
    de::{
        DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor,
        value::{MapAccessDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    headers,
    named::{Given, Named},
    values::{Each, Values},
};

type Error = serde::de::value::Error;

/// Named values, as a struct or a map.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a, 'g>(pub(super) &'a Named<'g>);

impl<'de> Deserializer<'de> for Parts<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { named: self.0, next: 0 })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.is_empty() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(MapAccessDeserializer::new(Entries { named: self.0, next: 0 }))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Entries<'a, 'g> {
    named: &'a Named<'g>,
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let entry = self.named.at(self.next);
        self.next += 1;
        entry.map(|(name, _)| seed.deserialize(Values(&[Given::text(name)]))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let entry = self.next.checked_sub(1).and_then(|current| self.named.at(current));
        seed.deserialize(Values(entry.map_or(&[], |(_, values)| values)))
    }
}

/// The parameters of a route: by name, by position, or the only one.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a, 'g>(pub(super) &'a Named<'g>);

impl<'a, 'g> Parameters<'a, 'g> {
    fn only(&self) -> Result<Values<'a, 'g>, Error> {
        match (self.0.at(0), self.0.len()) {
            (Some((_, values)), 1) => Ok(Values(values)),
            (_, count) => Err(Error::custom(format_args!(
                "the route has {count} parameters, and one value was asked for"
            ))),
        }
    }

    fn all(&self) -> impl Iterator<Item = Each<'a, 'g>> + use<'a, 'g> {
        let named = self.0;
        (0..named.len()).filter_map(|at| named.at(at)).map(|(_, values)| Each(values))
    }
}

macro_rules! only {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                self.only()?.$method(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Parameters<'_, '_> {
    type Error = Error;

    only! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Parts(self.0).deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.is_empty() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.all()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! { unit unit_struct map struct ignored_any }
}

/// Headers: those that a struct's fields name, or all of them as a map.
#[derive(Clone, Copy)]
pub(super) struct HeaderFields<'a>(pub(super) &'a HeaderMap);

impl<'de> Deserializer<'de> for HeaderFields<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut named = Named::default();
        for (name, value) in self.0 {
            named.add(0, name.as_str().into(), Given::bytes(value.as_bytes()));
        }
        Parts(&named).deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { metadata: self.0, fields: fields.iter(), name: "" })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'a> {
    metadata: &'a HeaderMap,
    fields: std::slice::Iter<'static, &'static str>,
    name: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let metadata = self.metadata;
        let sent = |name: &&&str| metadata.contains_key(&*headers::kebab(name));
        let Some(name) = self.fields.find(sent) else { return Ok(None) };
        self.name = name;
        seed.deserialize(self.name.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let values = headers::header(self.metadata, &headers::kebab(self.name));
        seed.deserialize(Values(&values))
    }
}
