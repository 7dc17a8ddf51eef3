//! Which modules there are, and in which order.

use std::any::TypeId;

use crate::{Error, Result, module::Module};

pub(crate) struct ModuleEntry {
    type_id: TypeId,
    module: Box<dyn Module>,
}

impl ModuleEntry {
    pub(crate) fn new<M: Module>(module: M) -> Self {
        Self { type_id: TypeId::of::<M>(), module: Box::new(module) }
    }
}

/// Orders modules so that each stands behind those that it depends on; otherwise the order of
/// registration stays. The same module twice is one.
pub(crate) fn in_order(entries: Vec<ModuleEntry>) -> Result<Vec<Box<dyn Module>>> {
    let modules = unique(entries)?;
    let names: Vec<_> = modules.iter().map(|module| module.name()).collect();
    let mut order = Order {
        modules: &modules,
        names: &names,
        done: Vec::new(),
        failed: Vec::new(),
        path: Vec::new(),
    };
    let errors = (0..modules.len()).filter_map(|index| order.visit(index).err()).collect();
    let done = std::mem::take(&mut order.done);
    Error::all("modules do not fit together", errors)?;
    let mut slots: Vec<_> = modules.into_iter().map(Some).collect();
    Ok(done.into_iter().filter_map(|index| slots[index].take()).collect())
}

fn unique(entries: Vec<ModuleEntry>) -> Result<Vec<Box<dyn Module>>> {
    let mut kept: Vec<ModuleEntry> = Vec::new();
    let mut errors = Vec::new();
    for entry in entries {
        match kept.iter().find(|known| known.module.name() == entry.module.name()) {
            None => kept.push(entry),
            Some(known) if known.type_id == entry.type_id => {}
            Some(_) => errors.push(
                Error::wiring(format!("two modules are named \"{}\"", entry.module.name()))
                    .advise("rename one of them: a module's name must be its own"),
            ),
        }
    }
    Error::all("modules do not fit together", errors)?;
    Ok(kept.into_iter().map(|entry| entry.module).collect())
}

struct Order<'a> {
    modules: &'a [Box<dyn Module>],
    names: &'a [&'static str],
    done: Vec<usize>,
    /// Each fault is told once, not again for every module that depends on it.
    failed: Vec<usize>,
    path: Vec<usize>,
}

impl Order<'_> {
    fn visit(&mut self, index: usize) -> Result<()> {
        if self.done.contains(&index) || self.failed.contains(&index) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|&on_path| on_path == index) {
            return Err(self.cycle(start));
        }
        self.path.push(index);
        let dependencies = self.modules[index].depends_on();
        let visited = dependencies.iter().try_for_each(|name| {
            let dependency = self.find(name, index)?;
            self.visit(dependency)
        });
        self.path.pop();
        if visited.is_err() {
            self.failed.push(index);
        }
        visited?;
        self.done.push(index);
        Ok(())
    }

    fn find(&self, name: &str, needed_by: usize) -> Result<usize> {
        self.names.iter().position(|known| *known == name).ok_or_else(|| {
            Error::wiring(format!(
                "module \"{}\" depends on module \"{name}\", which is not loaded",
                self.names[needed_by]
            ))
            .advise(format!("add it to the bootstrap; loaded are: {}", self.names.join(", ")))
        })
    }

    fn cycle(&self, start: usize) -> Error {
        let mut names: Vec<_> = self.path[start..].iter().map(|&index| self.names[index]).collect();
        names.push(names[0]);
        Error::wiring(format!("modules depend on each other in a circle: {}", names.join(" → ")))
            .advise("move what both need into a third module")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleBuilder;

    struct Named<const ID: usize>(&'static str, &'static [&'static str]);

    impl<const ID: usize> Module for Named<ID> {
        fn name(&self) -> &'static str {
            self.0
        }

        fn depends_on(&self) -> &'static [&'static str] {
            self.1
        }

        fn configure(&self, _: &mut ModuleBuilder<'_>) -> Result<()> {
            Ok(())
        }
    }

    fn order(entries: Vec<ModuleEntry>) -> Result<Vec<&'static str>, String> {
        match in_order(entries) {
            Ok(modules) => Ok(modules.iter().map(|module| module.name()).collect()),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    #[test]
    fn dependencies_come_first_and_the_rest_keeps_its_order() {
        let entries = vec![
            ModuleEntry::new(Named::<0>("chat", &["store", "user"])),
            ModuleEntry::new(Named::<0>("user", &["store"])),
            ModuleEntry::new(Named::<0>("store", &[])),
            ModuleEntry::new(Named::<0>("last", &[])),
        ];
        assert_eq!(order(entries).expect("fits"), ["store", "user", "chat", "last"]);
    }

    #[test]
    fn the_same_module_twice_is_one_and_two_of_one_name_are_an_error() {
        let same =
            vec![ModuleEntry::new(Named::<0>("a", &[])), ModuleEntry::new(Named::<0>("a", &[]))];
        assert_eq!(order(same).expect("one"), ["a"]);
        let two =
            vec![ModuleEntry::new(Named::<0>("a", &[])), ModuleEntry::new(Named::<1>("a", &[]))];
        assert_eq!(
            order(two).expect_err("two"),
            "two modules are named \"a\"\n  help: rename one of them: a module's name must be its own\n",
        );
    }

    #[test]
    fn a_circle_and_an_absent_dependency_are_named() {
        let circle = vec![
            ModuleEntry::new(Named::<0>("a", &["b"])),
            ModuleEntry::new(Named::<0>("b", &["a"])),
        ];
        assert!(order(circle).expect_err("circle").contains("a → b → a"));
        let absent = vec![ModuleEntry::new(Named::<0>("a", &["x"]))];
        assert!(
            order(absent).expect_err("absent").contains("module \"a\" depends on module \"x\"")
        );
    }
}
