//! A deserializer that stands around another and notes where a type refuses what it gives.

use serde::de::{Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::{
    Refusal,
    access::{CollectEnum, CollectMap, CollectSeq},
    state::State,
};

pub(super) struct Collect<'s, D> {
    inner: D,
    state: &'s State,
}

impl<'s, D> Collect<'s, D> {
    pub(super) fn new(inner: D, state: &'s State) -> Self {
        Self { inner, state }
    }
}

impl State {
    /// The refusal that comes out of a deserializer: what has been noted, or its own.
    pub(super) fn carried(&self, error: impl std::fmt::Display) -> Refusal {
        self.note(Refusal::Message(without_position(error.to_string())))
    }

    /// Hands what has been noted to a deserializer, on its way out.
    pub(super) fn hand_on<E: Error>(&self, refusal: Refusal) -> E {
        E::custom(self.note(refusal))
    }
}

/// What serde_json says of a value that is of no kind that an enum can be written in.
const NO_VARIANT: &str = "expected value";

/// Takes ` at line 1 column 9` away, which serde_json adds: the path says where it is.
fn without_position(mut text: String) -> String {
    if let Some((before, after)) = text.rsplit_once(" at line ")
        && after.split(" column ").all(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        text.truncate(before.len());
    }
    text
}

macro_rules! forwarded {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            fn $method<V: Visitor<'de>>(
                self,
                $($argument: $type,)*
                visitor: V,
            ) -> Result<V::Value, Refusal> {
                let Self { inner, state } = self;
                let visitor = Catch { visitor, state };
                inner.$method($($argument,)* visitor).map_err(|error| state.carried(error))
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Collect<'_, D> {
    type Error = Refusal;

    forwarded! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_map();
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let Self { inner, state } = self;
        state.saw_fields(fields);
        let visitor = Catch { visitor, state };
        inner.deserialize_struct(name, fields, visitor).map_err(|error| state.carried(error))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let Self { inner, state } = self;
        let visitor = Catch { visitor, state };
        inner.deserialize_enum(name, variants, visitor).map_err(|error| {
            match without_position(error.to_string()) {
                text if text == NO_VARIANT => {
                    state.carried(format!("expected one of {}", variants.join(", ")))
                }
                text => state.carried(text),
            }
        })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Notes what a visitor refuses.
pub(super) struct Catch<'s, V> {
    pub(super) visitor: V,
    pub(super) state: &'s State,
}

macro_rules! caught {
    ($($method:ident($type:ty);)*) => {
        $(
            fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
                self.visitor.$method(value).map_err(|refusal| self.state.hand_on(refusal))
            }
        )*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Catch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    caught! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none().map_err(|refusal| self.state.hand_on(refusal))
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit().map_err(|refusal| self.state.hand_on(refusal))
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = Collect::new(value, self.state);
        self.visitor.visit_some(value).map_err(|refusal| self.state.hand_on(refusal))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = Collect::new(value, self.state);
        self.visitor.visit_newtype_struct(value).map_err(|refusal| self.state.hand_on(refusal))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        let elements = CollectSeq::new(elements, self.state);
        self.visitor.visit_seq(elements).map_err(|refusal| self.state.hand_on(refusal))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        let entries = CollectMap::new(entries, self.state);
        self.visitor.visit_map(entries).map_err(|refusal| self.state.hand_on(refusal))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        let variant = CollectEnum::new(variant, self.state);
        self.visitor.visit_enum(variant).map_err(|refusal| self.state.hand_on(refusal))
    }
}
