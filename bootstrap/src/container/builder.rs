//! What is registered before the container exists.

use std::sync::Arc;

use futures_util::FutureExt;

use super::{
    Container, Dependency, Elsewhere, Factory, Key, Members, Provide, Registration, Root, Scope,
    assemble,
    elsewhere::nowhere,
    erased::{Construct, Handle, building, dispose_with, erase, erase_view, handle},
    family::Family,
    registration::{Entry, Source},
    report,
};
use crate::{Result, container::graph::Stage};

/// Collects providers, and checks that they fit together before it becomes a [`Container`].
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use polyport_bootstrap::{Result, container::{ContainerBuilder, Dependency, Provide, Resolver}};
///
/// trait Greet: Send + Sync { fn greet(&self) -> String; }
/// struct English;
/// impl Greet for English { fn greet(&self) -> String { "hello".into() } }
/// impl Provide for English {
///     fn dependencies() -> Vec<Dependency> { Vec::new() }
///     async fn construct(_: Resolver<'_>) -> Result<Self> { Ok(Self) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let mut builder = ContainerBuilder::new();
/// builder.bind::<dyn Greet, English>(|english| english);
/// let container = builder.build()?;
/// assert_eq!(container.get::<dyn Greet>().await?.greet(), "hello");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ContainerBuilder {
    module: Arc<str>,
    pub(super) entries: Vec<Entry>,
    overrides: Vec<Override>,
}

/// A value that replaces a provider.
pub(super) struct Override {
    pub(super) key: Key,
    pub(super) value: Handle,
}

impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "override of {}", self.key)
    }
}

impl Default for ContainerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ContainerBuilder {
    /// Nothing is registered yet; what is belongs to module `application` until
    /// [`set_module`](Self::set_module) is called.
    #[must_use]
    pub fn new() -> Self {
        Self { module: "application".into(), entries: Vec::new(), overrides: Vec::new() }
    }

    /// What is registered from now on belongs to the module called `name`: reports name it.
    pub fn set_module(&mut self, name: impl Into<Arc<str>>) -> &mut Self {
        self.module = name.into();
        self
    }

    /// Provides a `T`, which says itself how it is built. Once more from the same module changes
    /// nothing.
    pub fn provide<T: Provide>(&mut self) -> Registration<'_, T> {
        Registration::new(self.provide_type::<T>(Source::Type))
    }

    /// Provides a finished value.
    pub fn provide_value<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        value: Arc<T>,
    ) -> Registration<'_, T> {
        let entry = self.add(Key::of::<T>(), Source::Value(handle(value)), Vec::new());
        entry.is_view = is_view::<T>();
        Registration::new(entry)
    }

    /// Provides what the async `factory` returns, built from its [`Injectable`] arguments.
    ///
    /// [`Injectable`]: super::Injectable
    pub fn provide_with<Marker, F: Factory<Marker>>(
        &mut self,
        factory: F,
    ) -> Registration<'_, F::Output> {
        let dependencies = factory.dependencies();
        let construct = Construct::later(move |resolver| factory.call_erased(resolver));
        let key = Key::of::<F::Output>();
        Registration::new(self.add(key, Source::Factory(construct), dependencies))
    }

    /// Provides the `T` that somebody provides as a `D` too: the same value, seen as a trait
    /// object.
    pub fn alias<D, T>(
        &mut self,
        view: impl Fn(Arc<T>) -> Arc<D> + Send + Sync + 'static,
    ) -> Registration<'_, D>
    where
        D: ?Sized + Send + Sync + 'static,
        T: ?Sized + Send + Sync + 'static,
    {
        let construct = Construct::now(move |resolver| {
            resolver.get::<T>().map(|value| erase_view(view(value)))
        });
        let target = vec![Dependency::required(Key::of::<T>())];
        let entry = self.add(Key::of::<D>(), Source::Alias(construct), target);
        entry.is_view = is_view::<D>();
        Registration::new(entry)
    }

    /// [Provides](Self::provide) a `T`, unless it is provided in another way, now or later, and
    /// makes it the `D`. Several types may be bound to one trait: whoever takes `Vec<Arc<D>>` has
    /// them all, in the order of registration, and whoever takes `Arc<D>` is told at start that it
    /// is ambiguous.
    pub fn bind<D, T>(
        &mut self,
        view: impl Fn(Arc<T>) -> Arc<D> + Send + Sync + 'static,
    ) -> Registration<'_, D>
    where
        D: ?Sized + Send + Sync + 'static,
        T: Provide,
    {
        self.provide_type::<T>(Source::Implied);
        self.alias(view)
    }

    /// Promises a `T` that exists only later. `when` ends the sentence "it comes …", for whoever
    /// asks too early: `"when the frameworks are built"`. Once more changes nothing.
    pub fn announce<T: ?Sized + Send + Sync + 'static>(&mut self, when: impl Into<String>) {
        self.add(Key::of::<T>(), Source::Announced(when.into()), Vec::new());
    }

    /// [Promises](Self::announce) a `T` called `name`.
    pub fn announce_named<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        name: &str,
        when: impl Into<String>,
    ) {
        self.add(Key::of::<T>().named(name), Source::Announced(when.into()), Vec::new());
    }

    /// Promises one more `T`, with or without a name: it is known when it comes.
    pub fn announce_open<T: ?Sized + Send + Sync + 'static>(&mut self, when: impl Into<String>) {
        self.add(Key::of::<T>(), Source::Open(when.into()), Vec::new());
    }

    /// Promises a `T` that somebody fetches at run time and
    /// [inserts](Container::insert); `when` as in [`announce`](Self::announce).
    pub fn expect<T: ?Sized + Send + Sync + 'static>(&mut self, when: impl Into<String>) {
        self.add(Key::of::<T>(), Source::Expected(when.into()), Vec::new());
    }

    /// Provides a `T` under each name that is known when the configuration is complete.
    pub(crate) fn provide_family<M: Members>(
        &mut self,
        members: M,
        dependencies: Vec<Dependency>,
    ) -> Registration<'_, M::Member> {
        let source = Source::Family(Family::new(members));
        Registration::new(self.add(Key::of::<M::Member>(), source, dependencies))
    }

    /// Promises a `T` that every call brings along.
    pub(crate) fn expect_of_calls<T: Send + Sync + 'static>(&mut self) {
        self.add(Key::of::<T>(), Source::Call, Vec::new()).scope = Scope::Request;
    }

    /// Replaces whatever is provided as a `T`, which is then never built.
    pub fn override_value<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.overrides.push(Override { key: Key::of::<T>(), value: handle(value) });
    }

    /// Replaces whatever is provided as the `T` called `name`.
    pub fn override_named<T: ?Sized + Send + Sync + 'static>(&mut self, name: &str, value: Arc<T>) {
        self.overrides.push(Override { key: Key::of::<T>().named(name), value: handle(value) });
    }

    /// Checks that everything fits together, what is announced being taken for granted, and
    /// builds nothing.
    ///
    /// # Errors
    /// One report of all keys that are provided twice, providers that are missing, circles, and
    /// overrides of what nobody provides.
    pub fn build(self) -> Result<Container> {
        self.build_for(&[])
    }

    /// [Builds](Self::build), with what `roots` lack in the same report.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_for(self, roots: &[Root]) -> Result<Container> {
        self.build_asking(roots, &nowhere)
    }

    /// [Builds](Self::build_for), and tells of what is missing who has it elsewhere.
    pub(crate) fn build_asking(
        self,
        roots: &[Root],
        elsewhere: Elsewhere<'_>,
    ) -> Result<Container> {
        let (table, mut faults) = assemble::assemble(self.entries, self.overrides);
        faults.extend(report::faults(&table, roots, Stage::Registered, elsewhere));
        report::all(faults)?;
        Ok(Container::new(table))
    }

    fn provide_type<T: Provide>(&mut self, source: fn(Construct) -> Source) -> &mut Entry {
        let entry = self.add(Key::of::<T>(), source(construct::<T>()), T::dependencies());
        entry.eager = T::EAGER;
        entry.scope = T::SCOPE;
        entry.dispose = T::DISPOSES.then(|| dispose_with(T::dispose));
        entry
    }

    fn add(&mut self, key: Key, source: Source, dependencies: Vec<Dependency>) -> &mut Entry {
        let entry = Entry::new(key, Arc::clone(&self.module), source).needs(dependencies);
        self.entries.push_mut(entry)
    }
}

fn construct<T: Provide>() -> Construct {
    if !T::IMMEDIATE {
        return Construct::later(|resolver| building(T::construct(resolver)));
    }
    Construct::now(|resolver| {
        let value = T::construct(resolver).now_or_never();
        let value = value.unwrap_or_else(|| Err(report::not_immediate(&Key::of::<T>())));
        value.map(|value| erase(Arc::new(value)))
    })
}

/// A pointer to a trait object is as wide as two.
const fn is_view<T: ?Sized>() -> bool {
    size_of::<*const T>() > size_of::<usize>()
}
