//! Reads raw values as types: a deserializer that knows where it is, and what it met on its way.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use figment::value::{Dict, Num, Value};
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess,
        SeqAccess, Unexpected, VariantAccess, Visitor,
    },
    forward_to_deserialize_any,
};

use super::{
    key::Key,
    layers::Layers,
    probe::Fields,
    refusal::{Reason, Refusal},
    secret,
    secrets::Pattern,
};

/// One reading of a value: what it leaves out, and what it meets.
pub(super) struct Decoder<'a> {
    layers: &'a Layers,
    /// Unknown keys are noted and left out; the paths are sections of other owners. `None`: what
    /// is unknown is the type's to judge.
    owned: Option<&'a [Vec<String>]>,
    /// What was found to be faulty, and is taken for absent.
    left_out: &'a BTreeSet<Vec<String>>,
    here: RefCell<Here>,
    met: RefCell<Met>,
}

/// What a reading met.
#[derive(Default)]
pub(super) struct Met {
    pub(super) unknown: BTreeMap<Vec<String>, Fields>,
    pub(super) secrets: BTreeSet<Pattern>,
    /// The keys of every struct.
    pub(super) fields: BTreeMap<Pattern, Fields>,
}

#[derive(Default)]
struct Here {
    path: Vec<String>,
    pattern: Pattern,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(
        layers: &'a Layers,
        base: &[String],
        owned: Option<&'a [Vec<String>]>,
        left_out: &'a BTreeSet<Vec<String>>,
    ) -> Self {
        let pattern = base.iter().cloned().map(Some).collect();
        let here = RefCell::new(Here { path: base.to_vec(), pattern });
        Self { layers, owned, left_out, here, met: RefCell::default() }
    }

    /// Reads `value` as a `T`.
    pub(super) fn decode<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Refusal> {
        self.noting_copied_secrets(|| T::deserialize(At { decoder: self, value }))
            .map_err(|refusal| self.placed(refusal))
    }

    pub(super) fn met(self) -> Met {
        self.met.into_inner()
    }

    /// Looks at what stands at `key`; `fixed` keys are a struct's, all others may be any.
    fn within<T>(
        &self,
        key: &str,
        fixed: bool,
        look: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        {
            let mut here = self.here.borrow_mut();
            here.path.push(key.to_owned());
            here.pattern.push(fixed.then(|| key.to_owned()));
        }
        let answer = self.noting_copied_secrets(look).map_err(|refusal| self.placed(refusal));
        let mut here = self.here.borrow_mut();
        here.path.pop();
        here.pattern.pop();
        answer
    }

    /// A flattened, tagged or untagged type reads a copy that serde has made of what stands here:
    /// where in it a secret was found cannot be told, so that all of it counts as one.
    fn noting_copied_secrets<T>(&self, look: impl FnOnce() -> T) -> T {
        let (answer, found) = secret::found_unseen(look);
        if found {
            self.note_secret();
        }
        answer
    }

    fn note_secret(&self) {
        let pattern = self.here.borrow().pattern.clone();
        self.met.borrow_mut().secrets.insert(pattern);
    }

    fn placed(&self, mut refusal: Refusal) -> Refusal {
        refusal.path.get_or_insert_with(|| self.path());
        refusal
    }

    fn path(&self) -> Vec<String> {
        self.here.borrow().path.clone()
    }

    fn path_of(&self, key: &str) -> Vec<String> {
        let mut path = self.path();
        path.push(key.to_owned());
        path
    }

    fn leaves_out(&self, key: &str) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(&self.path_of(key))
    }

    /// Whether a key that the struct does not know is to be kept from it.
    fn refuses(&self, key: &str, fields: Fields) -> bool {
        let Some(others) = self.owned else { return false };
        if fields.contains(&key) {
            return false;
        }
        let path = self.path_of(key);
        if !others.iter().any(|other| other.starts_with(&path)) {
            self.met.borrow_mut().unknown.insert(path, fields);
        }
        true
    }

    /// What an environment variable said word for word, where the value here is its and no text:
    /// a password of digits is not a number.
    fn raw(&self, value: &Value) -> Option<&'a str> {
        match value {
            Value::String(..) => None,
            _ => self.layers.raw_variable(&self.here.borrow().path),
        }
    }
}

/// A value in its place.
#[derive(Clone, Copy)]
struct At<'d, 'v> {
    decoder: &'d Decoder<'d>,
    value: &'v Value,
}

impl<'d, 'v> At<'d, 'v> {
    fn as_text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.decoder.raw(self.value) {
            Some(raw) => visitor.visit_str(raw),
            None => self.deserialize_any(visitor),
        }
    }

    fn table<'de, V: Visitor<'de>>(
        self,
        table: &'v Dict,
        fields: Option<Fields>,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let decoder = self.decoder;
        let kept = |key: &String| {
            !decoder.leaves_out(key) && !fields.is_some_and(|fields| decoder.refuses(key, fields))
        };
        let entries: Vec<_> = table.iter().filter(|(key, _)| kept(key)).collect();
        let fixed = fields.is_some();
        visitor.visit_map(Table { decoder, fixed, entries: entries.into_iter(), value: None })
    }
}

macro_rules! as_text {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
                self.as_text(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for At<'_, '_> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.value {
            Value::String(_, text) => visitor.visit_str(text),
            Value::Char(_, character) => visitor.visit_char(*character),
            Value::Bool(_, value) => visitor.visit_bool(*value),
            Value::Num(_, number) => visit_number(number, visitor),
            Value::Empty(..) => visitor.visit_unit(),
            Value::Dict(_, table) => self.table(table, None, visitor),
            Value::Array(_, items) => {
                let items = items.iter().enumerate();
                visitor.visit_seq(Items { decoder: self.decoder, items })
            }
        }
    }

    as_text! { deserialize_str deserialize_string deserialize_char }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.value {
            Value::Empty(..) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name == secret::NAME {
            self.decoder.note_secret();
            secret::is_seen();
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let pattern = self.decoder.here.borrow().pattern.clone();
        self.decoder.met.borrow_mut().fields.insert(pattern, fields);
        match self.value {
            Value::Dict(_, table) => self.table(table, Some(fields), visitor),
            // A section in which everything is a comment.
            Value::Empty(..) => self.table(&Dict::new(), Some(fields), visitor),
            _ => Err(Refusal::invalid_type(Unexpected::Other("another value"), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.value {
            Value::String(_, text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Dict(_, table) if table.len() == 1 => {
                let decoder = self.decoder;
                let entry = table.iter().next();
                let chosen = entry.map(|(name, value)| Chosen { decoder, name, value });
                visitor.visit_enum(chosen.ok_or_else(|| Refusal::unknown_variant("", variants))?)
            }
            value => match self.decoder.raw(value) {
                Some(raw) => visitor.visit_enum(raw.into_deserializer()),
                None => Err(Refusal::unknown_variant("", variants)),
            },
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Num, visitor: V) -> Result<V::Value, Refusal> {
    match *number {
        Num::F32(number) => visitor.visit_f32(number),
        Num::F64(number) => visitor.visit_f64(number),
        _ => match (number.to_i128(), number.to_u128()) {
            (Some(number), _) => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (_, Ok(number)) => visitor.visit_u64(number),
                _ => visitor.visit_i128(number),
            },
            (None, Some(number)) => match (u64::try_from(number), i128::try_from(number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i128(number),
                _ => visitor.visit_u128(number),
            },
            (None, None) => Err(Refusal::custom("the number is too large")),
        },
    }
}

/// The entries of a table.
struct Table<'d, 'v> {
    decoder: &'d Decoder<'d>,
    fixed: bool,
    entries: std::vec::IntoIter<(&'v String, &'v Value)>,
    value: Option<(&'v str, &'v Value)>,
}

impl<'de> MapAccess<'de> for Table<'_, '_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        self.decoder.within(key, self.fixed, || seed.deserialize(Key(key))).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refusal> {
        let decoder = self.decoder;
        match self.value.take() {
            Some((key, value)) => {
                decoder.within(key, self.fixed, || seed.deserialize(At { decoder, value }))
            }
            None => Err(Refusal::custom("a value was taken before its key")),
        }
    }
}

/// The elements of an array.
struct Items<'d, 'v> {
    decoder: &'d Decoder<'d>,
    items: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Refusal;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        let decoder = self.decoder;
        let next = self.items.by_ref().find_map(|(at, value)| {
            let at = at.to_string();
            (!decoder.leaves_out(&at)).then_some((at, value))
        });
        let Some((at, value)) = next else { return Ok(None) };
        decoder.within(&at, false, || seed.deserialize(At { decoder, value })).map(Some)
    }
}

/// The variant of an enum that has content: `{ variant = content }`.
struct Chosen<'d, 'v> {
    decoder: &'d Decoder<'d>,
    name: &'v str,
    value: &'v Value,
}

impl<'de> EnumAccess<'de> for Chosen<'_, '_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refusal> {
        let variant = seed.deserialize(Key(self.name))?;
        Ok((variant, self))
    }
}

impl<'d, 'v> Chosen<'d, 'v> {
    fn content<T>(self, read: impl FnOnce(At<'d, 'v>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let Self { decoder, name, value } = self;
        decoder.within(name, true, || read(At { decoder, value }))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_, '_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        self.content(|at| match at.value {
            Value::Empty(..) => Ok(()),
            _ => Err(Refusal { path: None, reason: Reason::Expected("nothing".to_owned()) }),
        })
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refusal> {
        self.content(|at| seed.deserialize(at))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.content(|at| at.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.content(|at| at.deserialize_struct("", fields, visitor))
    }
}
