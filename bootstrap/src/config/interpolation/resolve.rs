//! Fills in what texts are made of, on the merged tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use figment::value::Value;

use super::{
    filled::{Cause, Interpolated, Part, Path, Surroundings},
    template::{Piece, Reference, Target, Template},
};
use crate::{
    Error,
    config::{
        nearest::{nearest, nearest_key},
        secrets::{Pattern, Secrets},
        tree, variables,
    },
};

/// How many values may lie between a value and what it is made of in the end.
const MAX_CHAIN: usize = 16;
/// How many tables and arrays may lie around all of those: each takes a part of the stack.
const MAX_LEVELS: usize = 2 * tree::MAX_DEPTH;
/// How large all that is filled in may become, in bytes of text and in values:
/// `a = "${b}${b}"`, `b = "${c}${c}"` … doubles.
const MAX_SIZE: usize = 1 << 22;

/// Fills in all texts of `raw`. `secrets` are those that are known; `texts` is what values that
/// are not text were in the environment variable that sets them.
pub(in crate::config) fn resolve(
    raw: &Value,
    around: &Surroundings,
    secrets: Secrets,
    texts: BTreeMap<Path, String>,
) -> Interpolated {
    let mut resolver = Resolver {
        raw,
        around,
        secrets,
        done: HashMap::new(),
        open: Vec::new(),
        size: 0,
        levels: 0,
        faults: BTreeMap::new(),
        parts: BTreeMap::new(),
        texts,
        tainted: BTreeSet::new(),
    };
    let (values, _) = resolver.tree(&mut Vec::new(), raw);
    let Resolver { secrets, faults, parts, texts, tainted, .. } = resolver;
    let secrets = secrets.with(&tainted).unwrap_or(secrets);
    Interpolated { values, faults, secrets, parts, texts }
}

/// A value, and the path of the fault for which it is not the right one.
type Outcome = (Value, Option<Path>);

struct Resolver<'a> {
    raw: &'a Value,
    around: &'a Surroundings,
    secrets: Secrets,
    done: HashMap<Path, Outcome>,
    /// The texts that are being filled in, the innermost last.
    open: Vec<Open>,
    size: usize,
    levels: usize,
    faults: BTreeMap<Path, Cause>,
    parts: BTreeMap<Path, Vec<Part>>,
    texts: BTreeMap<Path, String>,
    /// What is a secret because of what it was made of.
    tainted: BTreeSet<Pattern>,
}

/// A text that is being filled in.
struct Open {
    path: Path,
    parts: Vec<Part>,
    secret: bool,
    /// What the value says word for word, where it is not text itself.
    text: Option<String>,
}

impl Resolver<'_> {
    fn tree(&mut self, path: &mut Path, raw: &Value) -> Outcome {
        self.levels += 1;
        let mut cause = None;
        let mut child = |key: &str, value: &Value| {
            path.push(key.to_owned());
            let (value, fault) = self.tree(path, value);
            path.pop();
            cause = cause.take().or(fault);
            value
        };
        let value = match raw {
            Value::Dict(_, table) => {
                let members = table.iter().map(|(key, value)| (key.clone(), child(key, value)));
                Value::from(members.collect::<figment::value::Dict>())
            }
            Value::Array(_, items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, item)| child(&index.to_string(), item));
                Value::from(items.collect::<Vec<_>>())
            }
            Value::String(_, text) if text.contains("${") => {
                let (value, fault) = self.text(path, text);
                cause = fault;
                value
            }
            scalar => scalar.clone(),
        };
        self.levels -= 1;
        (value, cause)
    }

    /// The text at `path`, filled in; only once.
    fn text(&mut self, path: &Path, text: &str) -> Outcome {
        if let Some(done) = self.done.get(path) {
            return done.clone();
        }
        let open = Open { path: path.clone(), parts: Vec::new(), secret: false, text: None };
        self.open.push(open);
        let filled = self.filled_in(text);
        let open = self.open.pop();
        let outcome = match filled {
            Ok(value) => (value, None),
            Err(fault) => (Value::from(text), Some(self.fail(path, fault))),
        };
        if let Some(Open { path, parts, secret, text, .. }) = open {
            self.texts.extend(text.map(|text| (path.clone(), text)));
            if secret {
                self.tainted.insert(path.iter().cloned().map(Some).collect());
            }
            self.parts.insert(path, parts);
        }
        self.done.insert(path.clone(), outcome.clone());
        outcome
    }

    fn filled_in(&mut self, text: &str) -> Result<Value, Cause> {
        if self.open.len() > MAX_CHAIN || self.levels > MAX_LEVELS {
            return fault(format!(
                "it is made of values that are made of others, {MAX_CHAIN} deep"
            ));
        }
        let template = Template::parse(text).map_err(|message| {
            let error = Error::configuration(message);
            Cause::Own(error.advise("where a text holds ${ for itself, write it $${"))
        })?;
        let value = self.template(&template)?;
        let depth = self.open.last().map_or(0, |open| open.path.len()) + tree::depth(&value);
        match depth > tree::MAX_DEPTH {
            true => fault(tree::too_deep()),
            false => Ok(value),
        }
    }

    /// Notes a fault, and says which one it comes from.
    fn fail(&mut self, path: &Path, fault: Cause) -> Path {
        let cause = match &fault {
            Cause::Own(_) => path.clone(),
            Cause::Of(cause) => cause.clone(),
        };
        self.faults.insert(path.clone(), fault);
        cause
    }

    fn template(&mut self, template: &Template) -> Result<Value, Cause> {
        if let Some(reference) = template.as_reference() {
            return self.reference(reference);
        }
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Reference(reference) => text.push_str(&self.within_text(reference)?),
            }
            self.spend(0, text.len())?;
        }
        self.note(|open| open.text = None);
        Ok(Value::from(text))
    }

    /// What a reference stands for within a text.
    fn within_text(&mut self, reference: &Reference) -> Result<String, Cause> {
        let value = self.reference(reference)?;
        let said = self.open.last_mut().and_then(|open| open.text.take());
        match (said, value) {
            (Some(text), _) | (None, Value::String(_, text)) => Ok(text),
            (None, Value::Bool(_, value)) => Ok(value.to_string()),
            (None, value @ Value::Num(..)) => Ok(tree::number_text(&value)),
            (None, value) => {
                let (target, found) = (&reference.target, tree::kind_of(&value));
                fault(format!("{target} is {found}, which cannot stand within a text"))
            }
        }
    }

    fn reference(&mut self, reference: &Reference) -> Result<Value, Cause> {
        let found = match &reference.target {
            Target::Variable(name) => self.variable(name)?,
            Target::Key(key) => self.key(key)?,
        };
        let says_nothing = |value: &Value| tree::is_null(value) || value.as_str() == Some("");
        match (found, &reference.fallback) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !says_nothing(&value) => Ok(value),
            (_, Some(fallback)) => self.fallback(&reference.target, fallback),
            (None, None) => Err(self.unset(&reference.target)),
        }
    }

    fn fallback(&mut self, target: &Target, fallback: &Template) -> Result<Value, Cause> {
        let secret = target.is_secret();
        self.note(|open| {
            open.secret |= secret;
            open.parts.push(Part::Fallback(target.to_string()));
        });
        match &fallback.0[..] {
            [Piece::Text(text)] => Ok(self.typed(text)),
            _ => self.template(fallback),
        }
    }

    /// A text from outside the configuration, as the value that it says.
    fn typed(&mut self, text: &str) -> Value {
        let value = variables::parse_or_text(text);
        let said = value.as_str().is_none().then(|| text.to_owned());
        self.note(|open| open.text = said);
        value
    }

    fn variable(&mut self, name: &str) -> Result<Option<Value>, Cause> {
        let around = self.around;
        let Some(text) = around.variables.get(name) else { return Ok(None) };
        let Some(text) = text.to_str() else {
            return fault(format!("environment variable {name} is not Unicode"));
        };
        let secret = crate::config::mask::is_secret(name);
        self.note(|open| {
            open.secret |= secret;
            open.parts.push(Part::Variable(name.to_owned()));
        });
        self.spend(text.len(), 0)?;
        Ok(Some(self.typed(text)))
    }

    fn key(&mut self, key: &str) -> Result<Option<Value>, Cause> {
        let path = tree::owned_segments(key);
        let Some((value, cause)) = self.at(&path)? else {
            let application = tree::find(&self.around.application, &path).cloned();
            self.note(|open| {
                open.parts.extend(application.is_some().then(|| Part::Key(key.to_owned())));
            });
            return Ok(application);
        };
        if let Some(cause) = cause {
            return Err(Cause::Of(cause));
        }
        let (secret, text) = (self.holds_secret(&path), self.texts.get(&path).cloned());
        self.note(|open| {
            open.secret |= secret;
            open.text = text;
            open.parts.push(Part::Key(key.to_owned()));
        });
        self.spend(tree::size(&value), 0)?;
        Ok(Some(value))
    }

    /// Whether what stands at `path` is a secret, or a table or array that has one whose own key
    /// does not say so.
    fn holds_secret(&self, path: &[String]) -> bool {
        let leads = |known: &Pattern| {
            known
                .iter()
                .zip(path)
                .all(|(known, part)| known.as_ref().is_none_or(|known| known == part))
        };
        self.secrets.cover(path)
            || self.secrets.patterns().iter().any(leads)
            || self.tainted.iter().any(leads)
    }

    /// The value at `path`, on the way to which others may have to be filled in.
    fn at(&mut self, path: &[String]) -> Result<Option<Outcome>, Cause> {
        let mut raw = self.raw;
        for end in 0..path.len() {
            if let Value::String(_, text) = raw {
                if !text.contains("${") {
                    return Ok(None);
                }
                let above = path[..end].to_vec();
                self.refuse_circle(&above)?;
                let (value, cause) = self.text(&above, text);
                let found = tree::find(&value, &path[end..]).cloned();
                return Ok(cause.clone().map(|_| value).or(found).map(|value| (value, cause)));
            }
            let Some(child) = tree::find(raw, &path[end..=end]) else { return Ok(None) };
            raw = child;
        }
        self.refuse_circle(path)?;
        Ok(Some(self.tree(&mut path.to_vec(), raw)))
    }

    /// Whoever is being filled in cannot stand at or below what it is made of.
    fn refuse_circle(&self, path: &[String]) -> Result<(), Cause> {
        let Some(start) = self.open.iter().position(|open| open.path.starts_with(path)) else {
            return Ok(());
        };
        let keys = self.open[start..].iter().map(|open| open.path.join("."));
        let circle: Vec<_> = keys.chain([path.join(".")]).collect();
        fault(format!("values are made of each other in a circle: {}", circle.join(" → ")))
    }

    fn unset(&self, target: &Target) -> Cause {
        let (message, near) = match target {
            Target::Variable(name) => {
                let known = self.around.variables.keys().map(String::as_str);
                let near = nearest(name, known).map(|near| format!("env:{near}"));
                (format!("environment variable {name} is not set"), near)
            }
            Target::Key(key) => {
                let path = tree::owned_segments(key);
                let near = nearest_key(self.raw, &path);
                let near = near.or_else(|| nearest_key(&self.around.application, &path));
                (format!("it is made of {key}, which is not set"), near)
            }
        };
        let near = near.map_or(String::new(), |near| format!("; the nearest is {near}"));
        let advice = format!("set it, or say what stands in for it: ${{{target}:-…}}");
        Cause::Own(Error::configuration(format!("{message}{near}")).advise(advice))
    }

    /// Counts what is filled in; `besides` is not finished yet.
    fn spend(&mut self, size: usize, besides: usize) -> Result<(), Cause> {
        self.size += size;
        match self.size + besides > MAX_SIZE {
            true => fault(format!("more than {MAX_SIZE} bytes are filled in")),
            false => Ok(()),
        }
    }

    fn note(&mut self, note: impl FnOnce(&mut Open)) {
        if let Some(open) = self.open.last_mut() {
            note(open);
        }
    }
}

fn fault<T>(message: String) -> Result<T, Cause> {
    Err(Cause::Own(Error::configuration(message)))
}
