//! What the readings of one input have found out.

use std::{
    cell::{Cell, Ref, RefCell},
    collections::{HashMap, HashSet},
};

use super::{Refusal, Shape};
use crate::operation::binding::fault::{FieldFault, MOST_FAULTS};

/// How often an input is read at most: once for each fault, and some for placeholders that their
/// types refuse.
const MOST_READINGS: usize = 4 * MOST_FAULTS;
/// How many bytes all readings but the first may take together.
const MOST_BYTES: usize = 1024 * 1024;
/// How many parts all readings but the first may look at together.
const MOST_PARTS: usize = 50_000;
/// How many values are tried as the placeholder of one part.
const MOST_TRIES: usize = 10;

/// Where a reading is: as the client writes it, and with all elements of a list as one.
#[derive(Debug, Default)]
struct Here {
    path: String,
    pattern: String,
}

/// A part of a path.
#[derive(Clone, Copy)]
pub(super) enum Segment<'k> {
    Key(&'k str),
    Index(usize),
}

/// Where to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize, usize);

pub(super) struct State {
    here: RefCell<Here>,
    shape: RefCell<Shape>,
    faults: RefCell<Vec<FieldFault>>,
    /// How many values were tried at each part that has a placeholder.
    placed: RefCell<HashMap<String, usize>>,
    /// The fields that each struct lacks.
    missing: RefCell<HashMap<String, Vec<&'static str>>>,
    /// The parts that are passed over.
    dropped: RefCell<HashSet<String>>,
    /// Placeholders of which nobody said what they have to be.
    untyped: RefCell<HashSet<String>>,
    /// The refusal that ended this reading, and where.
    noted: RefCell<Option<(String, Refusal)>>,
    incomplete: Cell<bool>,
    parts: Cell<usize>,
    readings_left: Cell<usize>,
    is_first: Cell<bool>,
    depth: Cell<usize>,
}

impl State {
    pub(super) fn new(bytes: usize) -> Self {
        let readings = (MOST_BYTES / bytes.max(1)).clamp(1, MOST_READINGS);
        Self {
            here: RefCell::default(),
            shape: RefCell::default(),
            faults: RefCell::default(),
            placed: RefCell::default(),
            missing: RefCell::default(),
            dropped: RefCell::default(),
            untyped: RefCell::default(),
            noted: RefCell::default(),
            incomplete: Cell::new(false),
            parts: Cell::new(0),
            readings_left: Cell::new(readings),
            is_first: Cell::new(true),
            depth: Cell::new(0),
        }
    }

    pub(super) fn enter(&self, segment: Segment<'_>) -> Result<Mark, Refusal> {
        self.parts.set(self.parts.get() + 1);
        if !self.is_first.get() && self.parts.get() > MOST_PARTS {
            return Err(Refusal::Over);
        }
        self.depth.set(self.depth.get() + 1);
        let mut here = self.here.borrow_mut();
        let mark = Mark(here.path.len(), here.pattern.len());
        match segment {
            Segment::Key(key) => {
                push_key(&mut here.path, key);
                push_key(&mut here.pattern, key);
            }
            Segment::Index(index) => {
                here.path.push_str(&format!("[{index}]"));
                here.pattern.push_str("[]");
            }
        }
        Ok(mark)
    }

    pub(super) fn leave(&self, Mark(path, pattern): Mark) {
        self.depth.set(self.depth.get() - 1);
        let mut here = self.here.borrow_mut();
        here.path.truncate(path);
        here.pattern.truncate(pattern);
    }

    /// Notes what ends this reading; what comes up on the way out is the same refusal.
    pub(super) fn note(&self, refusal: Refusal) -> Refusal {
        let mut noted = self.noted.borrow_mut();
        if noted.is_none() {
            *noted = Some((self.here.borrow().path.clone(), refusal));
        }
        Refusal::Noted
    }

    /// Whether this part has a placeholder.
    pub(super) fn is_placed(&self) -> bool {
        self.placed.borrow().contains_key(&self.here.borrow().path)
    }

    /// How many values its type has refused in this place.
    pub(super) fn tries(&self) -> usize {
        self.placed.borrow().get(&self.here.borrow().path).copied().unwrap_or_default()
    }

    /// How many parts this one is within.
    pub(super) fn depth(&self) -> usize {
        self.depth.get()
    }

    /// Says that the placeholder here is of a kind that was not asked for.
    pub(super) fn is_untyped_here(&self) {
        self.untyped.borrow_mut().insert(self.here.borrow().path.clone());
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.borrow().contains(&self.here.borrow().path)
    }

    /// The fields that the struct here lacks.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.missing.borrow().get(&self.here.borrow().path).cloned().unwrap_or_default()
    }

    pub(super) fn saw_fields(&self, fields: &'static [&'static str]) {
        self.shape.borrow_mut().fields(&self.here.borrow().pattern, fields);
    }

    pub(super) fn saw_key(&self, key: &str) {
        self.shape.borrow_mut().key(&self.here.borrow().pattern, key);
    }

    pub(super) fn saw_variant(&self, variant: &str) {
        self.shape.borrow_mut().variant(&self.here.borrow().pattern, variant);
    }

    pub(super) fn shape(&self) -> Ref<'_, Shape> {
        self.shape.borrow()
    }

    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete.get()
    }

    pub(super) fn take_faults(&self) -> Vec<FieldFault> {
        self.faults.take()
    }

    /// Whether what stands at `path` is not what the client sent.
    pub(super) fn is_placeholder(&self, path: &str) -> bool {
        let placed = self.placed.borrow();
        self.is_within_placed(path)
            || placed.keys().any(|placed| below(placed, path).is_some_and(|s| !s.starts_with('[')))
    }

    fn is_within_placed(&self, path: &str) -> bool {
        let placed = self.placed.borrow();
        let mut ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain([path.len()]);
        ends.any(|end| placed.contains_key(&path[..end]))
    }

    /// Makes of the refusal that ended a reading what the next one needs to come further; `false`
    /// where it would not.
    pub(super) fn learn(&self) -> bool {
        *self.here.borrow_mut() = Here::default();
        self.depth.set(0);
        if self.is_first.replace(false) {
            self.parts.set(0);
        }
        let Some((path, refusal)) = self.noted.take() else { return false };
        let goes_on = match refusal {
            Refusal::Missing(field) => self.add_missing(&path, field),
            Refusal::Unknown(field) => self.drop_unknown(&path, &field),
            Refusal::Message(message) => self.place(path, message),
            Refusal::Over | Refusal::Noted => false,
        };
        let left = self.readings_left.get();
        self.readings_left.set(left.saturating_sub(1));
        goes_on && left > 1 && self.faults.borrow().len() < MOST_FAULTS
    }

    fn record(&self, path: &str, message: impl Into<String>) {
        self.faults.borrow_mut().push(FieldFault::new(path, message));
    }

    fn add_missing(&self, path: &str, field: &'static str) -> bool {
        let child = child(path, field);
        if self.dropped.borrow().contains(&child) || self.placed.borrow().contains_key(&child) {
            return self.pass_over(path);
        }
        if !self.is_within_placed(path) {
            self.record(&child, "is required");
        }
        self.placed.borrow_mut().insert(child, 0);
        self.missing.borrow_mut().entry(path.to_owned()).or_default().push(field);
        true
    }

    fn drop_unknown(&self, path: &str, field: &str) -> bool {
        let child = child(path, field);
        let is_new = self.dropped.borrow_mut().insert(child.clone());
        if is_new {
            self.record(&child, "is unknown");
        }
        is_new
    }

    fn place(&self, path: String, message: String) -> bool {
        let tries = self.placed.borrow().get(&path).copied();
        match tries {
            Some(tries) if tries + 1 < MOST_TRIES => {
                self.placed.borrow_mut().insert(path, tries + 1);
                true
            }
            Some(_) => self.pass_over(&path),
            None if self.is_within_placed(&path) => {
                self.placed.borrow_mut().insert(path, 1);
                true
            }
            None if self.has_placed_below(&path) => {
                self.try_other_kinds_below(&path) || self.pass_over(&path)
            }
            None => {
                self.record(&path, message);
                let is_part = !path.is_empty();
                self.placed.borrow_mut().insert(path, 0);
                is_part
            }
        }
    }

    fn has_placed_below(&self, path: &str) -> bool {
        self.placed.borrow().keys().any(|placed| below(placed, path).is_some())
    }

    /// What a type reads from parts that it does not describe is refused as a whole.
    fn try_other_kinds_below(&self, path: &str) -> bool {
        let untyped = self.untyped.borrow();
        let mut placed = self.placed.borrow_mut();
        let mut changed = false;
        for part in untyped.iter().filter(|part| below(part, path).is_some()) {
            let tries = placed.entry(part.clone()).or_default();
            changed |= *tries + 1 < MOST_TRIES;
            *tries += 1;
        }
        changed
    }

    /// Gives up on a part: no placeholder does.
    fn pass_over(&self, path: &str) -> bool {
        self.incomplete.set(true);
        !path.is_empty() && self.dropped.borrow_mut().insert(path.to_owned())
    }
}

/// What of `path` lies below `above`.
fn below<'p>(path: &'p str, above: &str) -> Option<&'p str> {
    match path.strip_prefix(above)? {
        "" => None,
        rest if above.is_empty() || rest.starts_with(['.', '[']) => Some(rest),
        _ => None,
    }
}

fn child(path: &str, field: &str) -> String {
    let mut child = path.to_owned();
    push_key(&mut child, field);
    child
}

pub(super) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}
