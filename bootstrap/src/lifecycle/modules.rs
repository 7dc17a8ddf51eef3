//! Which modules there are, which of them are on, and in which order.

use std::{
    any::{TypeId, type_name},
    sync::Arc,
};

use super::switches::Switches;
use crate::{Config, Error, Result, container::without_paths, module::Module, panics};

/// A module as it was added.
pub(crate) struct ModuleEntry {
    type_id: TypeId,
    type_name: &'static str,
    module: Arc<dyn Module>,
}

impl ModuleEntry {
    pub(crate) fn new<M: Module>(module: M) -> Self {
        Self { type_id: TypeId::of::<M>(), type_name: type_name::<M>(), module: Arc::new(module) }
    }

    pub(super) fn name(&self) -> &str {
        self.module.name()
    }

    pub(super) fn shared(&self) -> Arc<dyn Module> {
        Arc::clone(&self.module)
    }

    pub(super) fn module(&self) -> &dyn Module {
        &*self.module
    }

    /// `UserModule` where that is the type of a module called `user`, else `module user`.
    pub(super) fn title(&self) -> String {
        let short = without_paths(self.type_name);
        let plain = |text: &str| text.replace(['-', '_', ' '], "").to_lowercase();
        match short.strip_suffix("Module") {
            Some(bare) if plain(bare) == plain(self.name()) => short,
            _ => format!("module {}", self.name()),
        }
    }
}

/// The modules of one start.
#[derive(Default)]
pub(crate) struct Modules {
    /// Each stands behind those that it depends on; otherwise the order of registration stays.
    pub(super) on: Vec<ModuleEntry>,
    /// Those that are off.
    pub(super) off: Vec<Off>,
}

impl Modules {
    /// Those that are off and in whose place no other stands, each name once.
    pub(super) fn absent(&self) -> impl Iterator<Item = &Off> {
        absent(&self.on, &self.off)
    }
}

/// A module that is off.
pub(super) struct Off {
    pub(super) entry: ModuleEntry,
    /// Ends the sentence "it is off …".
    pub(super) why: String,
}

/// Asks every module whether it is on, and puts those that are in order. The same module twice is
/// one.
pub(crate) fn in_order(entries: Vec<ModuleEntry>, config: &Config) -> Result<Modules> {
    let (on, off) = decide(entries, config)?;
    let modules = unique(on)?;
    let order = ordered(&modules, &off)?;
    let mut slots: Vec<_> = modules.into_iter().map(Some).collect();
    let on = order.into_iter().filter_map(|index| slots[index].take()).collect();
    Ok(Modules { on, off })
}

/// Which modules are on, and which are not.
fn decide(entries: Vec<ModuleEntry>, config: &Config) -> Result<(Vec<ModuleEntry>, Vec<Off>)> {
    let names: Vec<&str> = entries.iter().map(ModuleEntry::name).collect();
    let switches = Switches::read(config, &names)?;
    let (mut on, mut off) = (Vec::new(), Vec::new());
    let mut errors = Vec::new();
    for entry in entries {
        let ask = |config: &Config| panics::caught(|| Ok(entry.module.enabled(config)));
        let (enabled, keys) = config.keys_read_by(ask);
        match (enabled, switches.of(entry.name())) {
            (Err(error), _) => errors.push(error.context(format!("module {}", entry.name()))),
            (_, Some(false)) => {
                let keys = [Switches::key(entry.name())];
                off.push(Off { why: why_off(config, &keys), entry });
            }
            (Ok(true), _) => on.push(entry),
            (Ok(false), _) => off.push(Off { why: why_off(config, &keys), entry }),
        }
    }
    Error::all("modules cannot say whether they are on", errors)?;
    turn_on(&switches, &mut on, &mut off);
    Ok((on, off))
}

/// Turns on what is off by itself and on by configuration, unless another of that name is on.
fn turn_on(switches: &Switches, on: &mut Vec<ModuleEntry>, off: &mut Vec<Off>) {
    let taken: Vec<String> = on.iter().map(|entry| entry.name().to_owned()).collect();
    let wanted = |off: &mut Off| {
        let name = off.entry.name();
        switches.of(name) == Some(true) && taken.iter().all(|taken| taken != name)
    };
    on.extend(off.extract_if(.., wanted).map(|off| off.entry));
}

/// Those of `off` whose names none of `on` has, each name once.
fn absent<'a>(on: &'a [ModuleEntry], off: &'a [Off]) -> impl Iterator<Item = &'a Off> {
    off.iter().enumerate().filter_map(move |(place, one)| {
        let name = one.entry.name();
        let told = off[..place].iter().any(|earlier| earlier.entry.name() == name);
        let replaced = on.iter().any(|entry| entry.name() == name);
        (!told && !replaced).then_some(one)
    })
}

/// What a module looked at before it said that it is off.
fn why_off(config: &Config, keys: &[String]) -> String {
    let mut why = format!("in environment \"{}\"", config.environment());
    for (index, key) in keys.iter().enumerate() {
        why.push_str(if index == 0 { ": " } else { ", " });
        why.push_str(&match config.explain(key) {
            Some(found) => format!("{key} is {} ({})", found.winner().value(), found.winner()),
            None => format!("{key} is not set"),
        });
    }
    why
}

fn unique(entries: Vec<ModuleEntry>) -> Result<Vec<ModuleEntry>> {
    let mut kept: Vec<ModuleEntry> = Vec::new();
    let mut errors = Vec::new();
    for entry in entries {
        if entry.name().trim().is_empty() {
            errors.push(
                Error::wiring(format!("a module has no name: {}", without_paths(entry.type_name)))
                    .advise("give it one: reports and configuration call it by its name"),
            );
        }
        match kept.iter().find(|known| known.name() == entry.name()) {
            None => kept.push(entry),
            Some(known) if known.type_id == entry.type_id => {}
            Some(_) => errors.push(
                Error::wiring(format!("two modules are named \"{}\"", entry.name()))
                    .advise("rename one of them: a module's name must be its own"),
            ),
        }
    }
    Error::all("modules do not fit together", errors)?;
    Ok(kept)
}

fn ordered(modules: &[ModuleEntry], off: &[Off]) -> Result<Vec<usize>> {
    let mut order = Order { modules, off, done: Vec::new(), failed: Vec::new(), path: Vec::new() };
    let mut errors = order.all_absent();
    errors.extend((0..modules.len()).filter_map(|index| order.visit(index).err()));
    Error::all("modules do not fit together", errors)?;
    Ok(order.done)
}

struct Order<'a> {
    modules: &'a [ModuleEntry],
    off: &'a [Off],
    done: Vec<usize>,
    /// Each fault is told once, not again for every module that depends on it.
    failed: Vec<usize>,
    path: Vec<usize>,
}

impl<'a> Order<'a> {
    fn visit(&mut self, index: usize) -> Result<()> {
        if self.done.contains(&index) || self.failed.contains(&index) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|&on_path| on_path == index) {
            return Err(self.cycle(start));
        }
        self.path.push(index);
        let visited = self.visit_dependencies(index);
        self.path.pop();
        match visited {
            Ok(()) => self.done.push(index),
            Err(_) => self.failed.push(index),
        }
        visited
    }

    fn visit_dependencies(&mut self, index: usize) -> Result<()> {
        let module = self.modules[index].module();
        for name in module.depends_on() {
            if let Some(dependency) = self.position(name) {
                self.visit(dependency)?;
            }
        }
        for name in module.optionally_depends_on() {
            match self.position(name) {
                Some(dependency) => self.visit(dependency)?,
                None => self.warn_of_absent(name, index),
            }
        }
        Ok(())
    }

    /// One error for each module that another needs and that is not there.
    fn all_absent(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        for (index, entry) in self.modules.iter().enumerate() {
            let needed = entry.module().depends_on().into_iter();
            let absent = needed.filter(|name| self.position(name).is_none());
            errors.extend(absent.map(|name| self.absent(name, index)));
        }
        errors
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.modules.iter().position(|module| module.name() == name)
    }

    fn off(&self, name: &str) -> Option<&'a Off> {
        self.off.iter().find(|off| off.entry.name() == name)
    }

    fn absent(&self, name: &str, needed_by: usize) -> Error {
        let needed_by = self.modules[needed_by].name();
        let depends = format!("module \"{needed_by}\" depends on module \"{name}\", which is");
        match self.off(name) {
            Some(off) => Error::wiring(format!("{depends} off {}", off.why)).advise(format!(
                "turn \"{name}\" on, let \"{needed_by}\" be off with it (Module::enabled), or \
                 depend on it only optionally (Module::optionally_depends_on)"
            )),
            None => Error::wiring(format!("{depends} not loaded")).advise(format!(
                "add it to the bootstrap; loaded are: {}",
                self.names().join(", ")
            )),
        }
    }

    fn warn_of_absent(&self, name: &str, wanted_by: usize) {
        let module = self.modules[wanted_by].name();
        let why = self
            .off(name)
            .map_or("it is not loaded".to_owned(), |off| format!("it is off {}", off.why));
        tracing::warn!(
            module,
            absent = name,
            why,
            "the module does without another that it would use"
        );
    }

    fn names(&self) -> Vec<&str> {
        self.modules.iter().map(|module| module.name()).collect()
    }

    fn cycle(&self, start: usize) -> Error {
        let all = self.names();
        let mut names: Vec<_> = self.path[start..].iter().map(|&index| all[index]).collect();
        names.push(names[0]);
        Error::wiring(format!("modules depend on each other in a circle: {}", names.join(" → ")))
            .advise("move what both need into a third module")
    }
}

#[cfg(test)]
mod tests;
