//! Inputs whose fields say where they come from: what `#[derive(Input)]` expands to.

use std::borrow::Cow;

use garde::Validate;
use http::HeaderMap;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor},
    forward_to_deserialize_any,
};
use smallvec::{SmallVec, smallvec};

use super::{
    PathParams, Readable, Unbound,
    body::Body,
    headers,
    merge::Nothing,
    named::{AllGiven, Given, Named},
    read,
    values::Values,
};
use crate::operation::Fault;

/// A field of an input, and where it comes from.
#[derive(Debug)]
pub struct InputField {
    /// Its name in Rust.
    pub rust: &'static str,
    /// Its name for serde, and then its aliases.
    pub names: &'static [&'static str],
    /// Where it is looked for, in this order.
    pub from: &'static [InputSource],
}

/// A place where a field is looked for, under these names.
#[derive(Debug)]
pub enum InputSource {
    /// The parameters of the route.
    Path(&'static [&'static str]),
    /// The query.
    Query(&'static [&'static str]),
    /// The headers, in lower case.
    Header(&'static [&'static str]),
    /// The cookies.
    Cookie(&'static [&'static str]),
    /// The body.
    Body(&'static [&'static str]),
}

impl InputField {
    /// Its name for serde and clients.
    pub(super) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or(self.rust)
    }

    fn is_from_body(&self) -> bool {
        self.from.iter().any(|source| matches!(source, InputSource::Body(_)))
    }

    fn is_in_body_as(&self, key: &str) -> bool {
        self.from
            .iter()
            .any(|from| matches!(from, InputSource::Body(names) if names.contains(&key)))
    }
}

/// A struct that derives `Input`.
pub trait InputFields: Sized {
    /// Its fields.
    const FIELDS: &'static [InputField];

    /// Reads it as serde would.
    ///
    /// # Errors
    /// Returns the deserializer's error.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// The rules of an input.
#[diagnostic::on_unimplemented(
    message = "the input `{Self}` has no rules to be validated by",
    note = "derive `garde::Validate` for it, beside `Input`"
)]
pub trait Rules: Validate<Context = ()> {}

impl<T: Validate<Context = ()>> Rules for T {}

/// Binds and validates a struct that derives `Input`.
///
/// # Errors
/// Returns a fault that names every faulty field.
pub fn bind_fields<T>(unbound: &Unbound<'_>) -> Result<T, Fault>
where
    T: InputFields + Rules,
{
    let input = unbound.input;
    let reads_body = T::FIELDS.iter().any(InputField::is_from_body);
    let body = if reads_body { Body::of(input)? } else { Body::Nothing };
    let mut places = Places {
        path: &input.path,
        query: Named::default(),
        form: Named::default(),
        metadata: unbound.metadata,
        json: body.json(),
    };
    if let Some(query) = input.query_text() {
        places.query.add_encoded(0, query.as_bytes());
    }
    body.add_to(&mut places.form, 0);
    let readable = Readable { fields: T::FIELDS, ..Readable::of(input, &body) };
    let bound: Derived<T> = read(|| Sourced { fields: T::FIELDS, places: &places }, &readable)?;
    Ok(bound.0)
}

/// Lends serde's traits to a struct that must not have them itself.
struct Derived<T>(T);

impl<'de, T: InputFields> Deserialize<'de> for Derived<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

impl<T: Validate<Context = ()>> Validate for Derived<T> {
    type Context = ();

    fn validate_into(
        &self,
        context: &(),
        parent: &mut dyn FnMut() -> garde::Path,
        report: &mut garde::Report,
    ) {
        self.0.validate_into(context, parent, report);
    }
}

/// Everything that a field can come from.
struct Places<'a> {
    path: &'a PathParams,
    query: Named<'a>,
    form: Named<'a>,
    metadata: &'a HeaderMap,
    json: Option<&'a [u8]>,
}

/// What was found in one place.
enum Found<'p, 'a> {
    There(&'p [Given<'a>]),
    Own(AllGiven<'a>),
}

impl<'a> Found<'_, 'a> {
    fn values(&self) -> &[Given<'a>] {
        match self {
            Self::There(values) => values,
            Self::Own(values) => values,
        }
    }
}

impl<'a> Places<'a> {
    fn find(&self, source: &InputSource) -> Option<Found<'_, 'a>> {
        let (InputSource::Path(names)
        | InputSource::Query(names)
        | InputSource::Header(names)
        | InputSource::Cookie(names)
        | InputSource::Body(names)) = source;
        names.iter().find_map(|name| match source {
            InputSource::Path(_) => self.path.get(name).map(|value| one(Given::text(value))),
            InputSource::Query(_) => self.query.get(name).map(Found::There),
            InputSource::Body(_) => self.form.get(name).map(Found::There),
            InputSource::Cookie(_) => headers::cookie(self.metadata, name).map(one),
            InputSource::Header(_) => {
                let values = headers::header(self.metadata, name);
                (!values.is_empty()).then_some(Found::Own(values))
            }
        })
    }
}

fn one(given: Given<'_>) -> Found<'_, '_> {
    Found::Own(smallvec![given])
}

/// The fields of an input, from their places.
struct Sourced<'p, 'de> {
    fields: &'static [InputField],
    places: &'p Places<'de>,
}

impl<'de> Deserializer<'de> for Sourced<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let Some(body) = self.places.json else {
            return visitor.visit_map(FromPlaces::new(&self, Nothing));
        };
        let mut json = serde_json::Deserializer::from_slice(body);
        let value = json.deserialize_map(WithBody { sourced: self, visitor })?;
        json.end()?;
        Ok(value)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any option newtype_struct
        enum
    }
}

struct WithBody<'p, 'de, V> {
    sourced: Sourced<'p, 'de>,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for WithBody<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, body: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(FromPlaces::new(&self.sourced, body))
    }
}

/// Where a field has been found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Body,
    Elsewhere,
}

/// First what is looked for before the body, then what the body has, and then what is looked for
/// in its stead.
struct FromPlaces<'p, 'de, A> {
    fields: &'static [InputField],
    places: &'p Places<'de>,
    body: Option<A>,
    next: usize,
    found: SmallVec<[Place; 16]>,
    /// The values of the field whose key was given last; those of the body stand in the body.
    current: Option<Found<'p, 'de>>,
}

impl<'p, 'de, A: MapAccess<'de>> FromPlaces<'p, 'de, A> {
    fn new(sourced: &Sourced<'p, 'de>, body: A) -> Self {
        let Sourced { fields, places } = *sourced;
        let found = smallvec![Place::Nowhere; fields.len()];
        Self { fields, places, body: Some(body), next: 0, found, current: None }
    }

    /// The next field that is found in its places, up to a JSON body or behind it.
    fn next_in_places(&mut self) -> Option<&'static str> {
        let is_behind = self.body.is_none();
        while let Some(field) = self.fields.get(self.next) {
            let position = self.next;
            self.next += 1;
            if self.found[position] != Place::Nowhere {
                continue;
            }
            self.current = self.find(field, is_behind);
            if self.current.is_some() {
                self.found[position] = Place::Elsewhere;
                return Some(field.name());
            }
        }
        None
    }

    fn find(&self, field: &InputField, is_behind: bool) -> Option<Found<'p, 'de>> {
        let is_body = |source: &InputSource| matches!(source, InputSource::Body(_));
        let body = match self.places.json {
            Some(_) => field.from.iter().position(is_body).unwrap_or(field.from.len()),
            None => field.from.len(),
        };
        let sources = if is_behind { &field.from[body..] } else { &field.from[..body] };
        sources.iter().find_map(|source| self.places.find(source))
    }

    /// The next key of the body that is not another place's field.
    fn next_in_body(&mut self, mut body: A) -> Result<Option<Cow<'de, str>>, A::Error> {
        while let Some(key) = body.next_key::<Cow<'de, str>>()? {
            let wanted = self.fields.iter().position(|field| field.is_in_body_as(&key));
            let known = match wanted {
                Some(position) if self.found[position] != Place::Elsewhere => {
                    self.found[position] = Place::Body;
                    Some(Cow::Borrowed(self.fields[position].name()))
                }
                // A body must not set what comes from elsewhere.
                Some(_) => None,
                None if self.fields.iter().any(|field| field.names.contains(&&*key)) => None,
                None => Some(key),
            };
            if known.is_some() {
                self.body = Some(body);
                return Ok(known);
            }
            body.next_value::<IgnoredAny>()?;
        }
        self.next = 0;
        Ok(None)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for FromPlaces<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if let Some(name) = self.next_in_places() {
            return seed.deserialize(name.into_deserializer()).map(Some);
        }
        let Some(body) = self.body.take() else { return Ok(None) };
        if let Some(key) = self.next_in_body(body)? {
            return seed.deserialize(key.into_deserializer()).map(Some);
        }
        let behind = self.next_in_places();
        behind.map(|name| seed.deserialize(name.into_deserializer())).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match (self.current.take(), &mut self.body) {
            (Some(found), _) => {
                let value = seed.deserialize(Values(found.values()));
                value.map_err(serde::de::Error::custom)
            }
            (None, Some(body)) => body.next_value_seed(seed),
            (None, None) => Err(serde::de::Error::custom("a value without a key")),
        }
    }
}
