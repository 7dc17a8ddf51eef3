//! Values of one type under names that are known only when the configuration is complete.

use std::{collections::HashMap, fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Container, Key, Resolver, Scope, assemble,
    erased::{Construct, building},
    registration::{Entry, Source},
    report,
    table::{Origin, Slot},
};
use crate::{Error, Result};

/// When the members of a family come.
pub(super) const WHEN: &str = "when the configuration is complete, after the before-hooks";

/// What a family consists of.
pub(crate) trait Members: Send + Sync + 'static {
    /// What each member is.
    type Member: Send + Sync + 'static;

    /// The members' names; asked once, when the configuration is complete but for this.
    fn names(&self) -> Result<Vec<String>>;

    /// What to do about a member that is missing: `"add it …"`.
    fn remedy(&self, name: &str) -> String;

    /// Builds one of them.
    fn build(
        &self,
        resolver: &Resolver<'_>,
        name: &str,
    ) -> BoxFuture<'static, Result<Self::Member>>;
}

/// [`Members`] of any type.
#[derive(Clone)]
pub(super) struct Family {
    names: Arc<dyn Fn() -> Result<Vec<String>> + Send + Sync>,
    remedy: Arc<dyn Fn(&str) -> String + Send + Sync>,
    make: Arc<dyn Fn(&str) -> Construct + Send + Sync>,
}

impl Family {
    pub(super) fn new<M: Members>(members: M) -> Self {
        let members = Arc::new(members);
        let (names, remedy) = (Arc::clone(&members), Arc::clone(&members));
        Self {
            names: Arc::new(move || names.names()),
            remedy: Arc::new(move |name| remedy.remedy(name)),
            make: Arc::new(move |name| {
                let (members, name) = (Arc::clone(&members), name.to_owned());
                Construct::later(move |resolver| building(members.build(&resolver, &name)))
            }),
        }
    }

    pub(super) fn remedy(&self, name: &str) -> String {
        (self.remedy)(name)
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family")
    }
}

impl Container {
    /// Gives every family its members: singletons that are built at start.
    ///
    /// # Errors
    /// One report of the families whose names cannot be told, and of names that are taken.
    pub(crate) fn settle_families(&self) -> Result<()> {
        let mut members = Vec::new();
        let mut errors = Vec::new();
        for slot in self.table().slots() {
            let Origin::Family(family) = &slot.origin else { continue };
            match (family.names)() {
                Ok(names) => members.extend(names.iter().map(|name| member(slot, family, name))),
                Err(error) => errors.push(error.context(format!("module {}", slot.module))),
            }
        }
        members.retain(|member| !self.is_replaced(&member.key));
        errors.extend(self.taken_names(&members));
        Error::all("families of instances do not fit", errors)?;
        self.table().add_members(members);
        Ok(())
    }

    /// One error for each member whose key another provider has.
    fn taken_names(&self, members: &[Slot]) -> Vec<Error> {
        let mut owners: HashMap<&Key, &Slot> = HashMap::new();
        owners.extend(self.table().slots().map(|slot| (&slot.key, slot)));
        let mut errors = Vec::new();
        for member in members {
            if let Some(other) = owners.insert(&member.key, member) {
                errors.push(report::provided_twice(&member.key, &other.module, &member.module));
            }
        }
        errors
    }

    /// A test has put a value in its place.
    fn is_replaced(&self, key: &Key) -> bool {
        self.table().slots().any(|slot| slot.overridden && slot.key == *key)
    }
}

fn member(family: &Slot, made_by: &Family, name: &str) -> Slot {
    let source = Source::Factory((made_by.make)(name));
    let mut entry = Entry::new(family.key.clone().named(name), Arc::clone(&family.module), source);
    entry.dependencies = family.dependencies.to_vec();
    entry.eager = true;
    entry.private = family.private;
    entry.scope = Scope::Singleton;
    entry.dispose = family.dispose.clone();
    assemble::slot(entry)
}
