//! One deserializer over everything that the fields of an input can come from.

use std::{borrow::Cow, cell::RefCell, collections::HashMap};

use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess,
        Visitor, value::MapAccessDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{BodyFormat, Fault, RawInput, bind::invalid, values::Values};

/// Reads `T` from the input. The path of a faulty field is found by a second pass, so that only
/// faulty calls pay for it.
pub(super) fn deserialize<T: DeserializeOwned>(input: &RawInput) -> Result<T, Fault> {
    let mut fields = Fields::of(input);
    let body = (input.format == BodyFormat::Json && !input.body.is_empty()).then_some(&*input.body);
    if input.path.is_empty() && body.is_some_and(|body| !is_object(body)) {
        fields = Fields::default();
    }
    let result = match body {
        Some(body) if fields.is_empty() => serde_json::from_slice(body),
        body => T::deserialize(Merged { fields: &fields, body }),
    };
    result.map_err(|_| {
        match serde_path_to_error::deserialize::<_, T>(Merged { fields: &fields, body }) {
            Err(error) => {
                let path = match error.path().to_string() {
                    path if path == "." || path == "?" => String::new(),
                    path => path,
                };
                let fault = fields.fault.take().unwrap_or_else(|| error.into_inner().to_string());
                invalid(vec![(path, fault)])
            }
            Ok(_) => trailing(body),
        }
    })
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// What is wrong with a body whose value is right.
fn trailing(body: Option<&[u8]>) -> Fault {
    let error = serde_json::from_slice::<IgnoredAny>(body.unwrap_or_default());
    let text = error.err().map_or_else(|| "malformed".to_owned(), |error| error.to_string());
    invalid(vec![(String::new(), text)])
}

/// Up to so many names are looked through faster than they are hashed.
const FEW: usize = 16;

/// The fields outside of a JSON body, each name once, with every value it was given.
#[derive(Debug, Default)]
struct Fields<'a> {
    values: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
    /// Where each name stands, once there are too many to look through.
    index: HashMap<Cow<'a, str>, usize>,
    /// What is wrong with one of the values: a JSON error would add a position in the body to it.
    fault: RefCell<Option<String>>,
}

impl<'a> Fields<'a> {
    fn of(input: &'a RawInput) -> Self {
        let mut fields = Self::default();
        for (name, value) in &input.path {
            fields.push(Cow::Borrowed(name), Cow::Borrowed(value));
        }
        let from_path = fields.values.len();
        if let Some(query) = input.query.as_ref().and_then(|uri| uri.query()) {
            fields.add(from_path, query.as_bytes());
        }
        let from_query = fields.values.len();
        if input.format == BodyFormat::Form {
            fields.add(from_query, &input.body);
        }
        fields
    }

    /// Adds pairs; the first `fixed` fields are already decided.
    fn add(&mut self, fixed: usize, encoded: &'a [u8]) {
        for (name, value) in form_urlencoded::parse(encoded) {
            match self.position(&name) {
                Some(position) if position < fixed => {}
                Some(position) => self.values[position].1.push(value),
                None => self.push(name, value),
            }
        }
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        if self.values.len() == FEW {
            let names = self.values.iter().enumerate();
            self.index.extend(names.map(|(position, (name, _))| (name.clone(), position)));
        }
        if self.values.len() >= FEW {
            self.index.insert(name.clone(), self.values.len());
        }
        self.values.push((name, vec![value]));
    }

    fn position(&self, name: &str) -> Option<usize> {
        if self.values.len() > FEW {
            return self.index.get(name).copied();
        }
        self.values.iter().position(|(known, _)| known == name)
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }
}

#[derive(Clone, Copy)]
struct Merged<'a, 'de> {
    fields: &'a Fields<'de>,
    body: Option<&'de [u8]>,
}

impl<'de> Deserializer<'de> for Merged<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let Some(body) = self.body else {
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
        match self.body {
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
    fields: &'a Fields<'de>,
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
    fields: &'a Fields<'de>,
    next: usize,
    body: A,
}

impl<'a, 'de, A> FieldsThen<'a, 'de, A> {
    fn new(fields: &'a Fields<'de>, body: A) -> Self {
        Self { fields, next: 0, body }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for FieldsThen<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if let Some((name, _)) = self.fields.values.get(self.next) {
            self.next += 1;
            return seed.deserialize(name.as_ref().into_deserializer()).map(Some);
        }
        self.next = usize::MAX;
        while let Some(name) = self.body.next_key::<Cow<'de, str>>()? {
            if self.fields.contains(&name) {
                self.body.next_value::<IgnoredAny>()?;
            } else {
                return seed.deserialize(name.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.next.checked_sub(1).and_then(|current| self.fields.values.get(current)) {
            Some((_, values)) => seed.deserialize(Values(values)).map_err(|error| {
                self.fields.fault.replace(Some(error.to_string()));
                serde::de::Error::custom(error)
            }),
            None => self.body.next_value_seed(seed),
        }
    }
}

/// A map with nothing in it.
struct Nothing;

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
