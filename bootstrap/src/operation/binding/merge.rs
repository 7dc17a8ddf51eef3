//! One deserializer over everything that the fields of a plain input can come from.

use std::borrow::Cow;

use serde::{
    de::{
        DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor,
        value::MapAccessDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    RawInput,
    body::{self, Body},
    named::{Given, Named},
    values::Values,
};

/// The fields of parameters, query and form, each name from the first of them that has it. A JSON
/// body that is no object stands alone.
pub(super) fn fields<'a>(input: &'a RawInput, body: &'a Body<'_>) -> Named<'a> {
    let mut named = Named::default();
    if input.path.is_empty() && body.json().is_some_and(|json| !body::is_object(json)) {
        return named;
    }
    for (name, value) in input.path.iter() {
        named.add(0, Cow::Borrowed(name), Given::text(value));
    }
    let from_path = named.len();
    if let Some(query) = input.query_text() {
        named.add_encoded(from_path, query.as_bytes());
    }
    let from_query = named.len();
    body.add_to(&mut named, from_query);
    named
}

/// Fields, and then what a JSON body has under other names.
#[derive(Clone, Copy)]
pub(super) struct Merged<'a, 'de> {
    pub(super) fields: &'a Named<'de>,
    pub(super) json: Option<&'de [u8]>,
}

impl<'de> Deserializer<'de> for Merged<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let Some(body) = self.json else {
            return visitor.visit_map(FieldsThen::new(self.fields, Nothing));
        };
        let mut json = serde_json::Deserializer::from_slice(body);
        let value = if self.fields.is_empty() {
            json.deserialize_any(visitor)?
        } else {
            json.deserialize_map(WithFields { fields: self.fields, visitor })?
        };
        json.end()?;
        Ok(value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.json {
            Some(body) => {
                let mut json = serde_json::Deserializer::from_slice(body);
                let value = json.deserialize_enum(name, variants, visitor)?;
                json.end()?;
                Ok(value)
            }
            None => visitor
                .visit_enum(MapAccessDeserializer::new(FieldsThen::new(self.fields, Nothing))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Hands the body's map to the visitor with the fields before it.
struct WithFields<'a, 'de, V> {
    fields: &'a Named<'de>,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for WithFields<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, body: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(FieldsThen::new(self.fields, body))
    }
}

/// The fields, and then whatever `body` has under other names.
struct FieldsThen<'a, 'de, A> {
    fields: &'a Named<'de>,
    next: usize,
    body: A,
}

impl<'a, 'de, A> FieldsThen<'a, 'de, A> {
    fn new(fields: &'a Named<'de>, body: A) -> Self {
        Self { fields, next: 0, body }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for FieldsThen<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if let Some((name, _)) = self.fields.at(self.next) {
            self.next += 1;
            return seed.deserialize(name.into_deserializer()).map(Some);
        }
        self.next = usize::MAX;
        while let Some(name) = self.body.next_key::<Cow<'de, str>>()? {
            if self.fields.get(&name).is_some() {
                self.body.next_value::<IgnoredAny>()?;
            } else {
                return seed.deserialize(name.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.next.checked_sub(1).and_then(|current| self.fields.at(current)) {
            Some((_, values)) => seed.deserialize(Values(values)).map_err(serde::de::Error::custom),
            None => self.body.next_value_seed(seed),
        }
    }
}

/// A map with nothing in it.
pub(super) struct Nothing;

impl<'de> MapAccess<'de> for Nothing {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        _: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<S::Value, Self::Error> {
        Err(serde::de::Error::custom("a value without a key"))
    }
}
