//! The insides of lists, maps and enums, with placeholders where something is wrong.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{
    Refusal,
    deserializer::{Catch, Collect},
    placeholder::Placeholder,
    state::{Segment, State},
};
use crate::operation::binding::{named::Given, values::Values};

/// Reads a part of something larger.
struct Inside<'s, S> {
    seed: S,
    state: &'s State,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Inside<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        let value = Collect::new(value, self.state);
        self.seed.deserialize(value).map_err(|refusal| self.state.hand_on(refusal))
    }
}

impl State {
    pub(super) fn within<T>(
        &self,
        segment: Segment<'_>,
        look: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mark = self.enter(segment).map_err(|refusal| self.note(refusal))?;
        let found = look().map_err(|refusal| self.note(refusal));
        self.leave(mark);
        found
    }
}

/// The elements of a list.
pub(super) struct CollectSeq<'s, A> {
    inner: A,
    state: &'s State,
    next: usize,
}

impl<'s, A> CollectSeq<'s, A> {
    pub(super) fn new(inner: A, state: &'s State) -> Self {
        Self { inner, state, next: 0 }
    }
}

impl<'de, A: SeqAccess<'de>> CollectSeq<'_, A> {
    /// Passes over an element; whether there was one.
    fn skip(&mut self) -> Result<bool, Refusal> {
        let skipped = self.inner.next_element::<IgnoredAny>();
        skipped.map(|element| element.is_some()).map_err(|error| self.state.carried(error))
    }

    fn element<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refusal> {
        let state = self.state;
        if state.is_placed() {
            return match self.skip()? {
                true => seed.deserialize(Placeholder(state)).map(Some),
                false => Ok(None),
            };
        }
        let element = self.inner.next_element_seed(Inside { seed, state });
        element.map_err(|error| state.carried(error))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for CollectSeq<'_, A> {
    type Error = Refusal;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        let state = self.state;
        loop {
            let here = Segment::Index(self.next);
            self.next += 1;
            if !state.within(here, || Ok(state.is_dropped()))? {
                return state.within(here, || self.element(seed));
            }
            if !self.skip()? {
                return Ok(None);
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The entries of a map, and then what it lacks.
pub(super) struct CollectMap<'s, A> {
    inner: A,
    state: &'s State,
    missing: std::vec::IntoIter<&'static str>,
    key: String,
    /// Whether the entry is one that is lacking.
    is_missing: bool,
}

impl<'s, A> CollectMap<'s, A> {
    pub(super) fn new(inner: A, state: &'s State) -> Self {
        let missing = state.missing().into_iter();
        Self { inner, state, missing, key: String::new(), is_missing: false }
    }
}

impl<'de, A: MapAccess<'de>> CollectMap<'_, A> {
    fn next_name(&mut self) -> Result<bool, Refusal> {
        let state = self.state;
        while let Some(key) = self.inner.next_key().map_err(|error| state.carried(error))? {
            self.key = key;
            if !state.within(Segment::Key(&self.key), || Ok(state.is_dropped()))? {
                state.saw_key(&self.key);
                return Ok(true);
            }
            self.skip()?;
        }
        self.is_missing = true;
        let next = self.missing.next();
        self.key = next.unwrap_or_default().to_owned();
        Ok(next.is_some())
    }

    fn skip(&mut self) -> Result<(), Refusal> {
        self.inner.next_value::<IgnoredAny>().map_err(|error| self.state.carried(error))?;
        Ok(())
    }

    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refusal> {
        let state = self.state;
        if self.is_missing {
            return seed.deserialize(Placeholder(state));
        }
        if state.is_placed() {
            self.skip()?;
            return seed.deserialize(Placeholder(state));
        }
        self.inner.next_value_seed(Inside { seed, state }).map_err(|error| state.carried(error))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for CollectMap<'_, A> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        if !self.next_name()? {
            return Ok(None);
        }
        let key = [Given::text(&self.key)];
        let key = seed.deserialize(Collect::new(Values(&key), self.state));
        key.map(Some).map_err(|refusal| self.state.note(refusal))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refusal> {
        let key = std::mem::take(&mut self.key);
        self.state.within(Segment::Key(&key), || self.value(seed))
    }
}

/// A variant of an enum.
pub(super) struct CollectEnum<'s, A> {
    inner: A,
    state: &'s State,
}

impl<'s, A> CollectEnum<'s, A> {
    pub(super) fn new(inner: A, state: &'s State) -> Self {
        Self { inner, state }
    }
}

impl<'de, 's, A: EnumAccess<'de>> EnumAccess<'de> for CollectEnum<'s, A> {
    type Error = Refusal;
    type Variant = CollectVariant<'s, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Refusal> {
        let Self { inner, state } = self;
        let (name, inner) = inner.variant::<String>().map_err(|error| state.carried(error))?;
        let variant = seed.deserialize(name.as_str().into_deserializer());
        let variant = variant.map_err(|refusal| state.note(refusal))?;
        state.saw_variant(&name);
        Ok((variant, CollectVariant { inner, state, name }))
    }
}

/// What a variant holds.
pub(super) struct CollectVariant<'s, A> {
    inner: A,
    state: &'s State,
    name: String,
}

impl<'de, A: VariantAccess<'de>> CollectVariant<'_, A> {
    /// Reads what it holds with `reader`, or shows that a placeholder.
    fn content<R, T>(
        self,
        reader: R,
        read: impl FnOnce(A, R) -> Result<T, A::Error>,
        placed: impl FnOnce(Placeholder<'_>, R) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Self { inner, state, name } = self;
        state.within(Segment::Key(&name), || {
            if !state.is_placed() {
                return read(inner, reader).map_err(|error| state.carried(error));
            }
            inner.newtype_variant::<IgnoredAny>().map_err(|error| state.carried(error))?;
            placed(Placeholder(state), reader)
        })
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for CollectVariant<'_, A> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        self.inner.unit_variant().map_err(|error| self.state.carried(error))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refusal> {
        let state = self.state;
        self.content(
            seed,
            |inner, seed| inner.newtype_variant_seed(Inside { seed, state }),
            |placeholder, seed| seed.deserialize(placeholder),
        )
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let state = self.state;
        self.content(
            visitor,
            |inner, visitor| inner.tuple_variant(length, Catch { visitor, state }),
            |placeholder, visitor| placeholder.deserialize_tuple(length, visitor),
        )
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let state = self.state;
        let read = |inner: A, visitor| {
            state.saw_fields(fields);
            inner.struct_variant(fields, Catch { visitor, state })
        };
        self.content(visitor, read, |placeholder, visitor| {
            placeholder.deserialize_struct("", fields, visitor)
        })
    }
}
