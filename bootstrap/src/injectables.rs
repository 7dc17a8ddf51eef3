//! The kernel's own values as arguments of providers and operations.

use std::sync::Arc;

use crate::{
    Config, Health, Lifecycle, Reloader, Result, Tasks,
    application::FromApps,
    config::{Declared, Settings, SettingsSection},
    container::{ContainerBuilder, Dependency, Injectable, InjectableNamed, Key, Resolver},
    operation::{
        App, Context, Ctx, Fault, FromContext, Inject, InputSlot, NoPayload, OperationInfo,
    },
};

macro_rules! injectable {
    ($($handle:ty),*) => {
        $(
            impl Injectable for $handle {
                fn dependencies(out: &mut Vec<Dependency>) {
                    out.push(Dependency::required(Key::of::<Self>()));
                }

                fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
                    Ok(resolver.get::<Self>()?.as_ref().clone())
                }
            }
        )*
    };
}

injectable!(Config, Health, Lifecycle, Reloader, Tasks, Context);

/// For what belongs to a call.
impl Injectable for Ctx {
    fn dependencies(out: &mut Vec<Dependency>) {
        Context::dependencies(out);
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        Context::resolve(resolver).map(Self)
    }
}

/// As an operation takes it: `Inject(users): Inject<UserService>`.
impl<T: ?Sized + Send + Sync + 'static> Injectable for Inject<T> {
    fn dependencies(out: &mut Vec<Dependency>) {
        Arc::<T>::dependencies(out);
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.get().map(Self)
    }
}

impl<A: FromApps> Injectable for App<A> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(A::dependency(None));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        Ok(Self(A::resolve(resolver, None)?))
    }
}

impl<T: SettingsSection> Injectable for Settings<T> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(settings_of::<T>(None));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        let settings = resolver.get::<Self>()?;
        Ok(in_call(&settings, Context::of(resolver).as_ref()))
    }
}

/// Those of a framework with a name of its own.
impl<T: SettingsSection> InjectableNamed for Settings<T> {
    fn named_dependencies(name: &'static str, out: &mut Vec<Dependency>) {
        out.push(settings_of::<T>(Some(name)));
    }

    fn resolve_named(name: &'static str, resolver: &Resolver<'_>) -> Result<Self> {
        let settings = resolver.get_named::<Self>(name)?;
        Ok(in_call(&settings, Context::of(resolver).as_ref()))
    }
}

/// What belongs to a call sees what stood in the configuration when the call first looked.
fn in_call<T: SettingsSection>(settings: &Settings<T>, call: Option<&Context>) -> Settings<T> {
    match (settings.config(), call) {
        (Some(config), Some(call)) => settings.pinned_to(call.pinned(config)),
        _ => settings.clone(),
    }
}

/// What stood in the configuration when the call first took any settings.
impl<T: SettingsSection> FromContext for Settings<T> {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(context.settings().await?)
    }

    fn describe(info: &mut OperationInfo) {
        info.depends_on(settings_of::<T>(None));
    }
}

impl Context {
    /// The section that `T` is read from, as it was when this call first took any settings.
    ///
    /// # Errors
    /// No module declares the section, and no framework that is loaded.
    pub async fn settings<T: SettingsSection>(&self) -> Result<Settings<T>> {
        let settings = match self.container.try_get::<Settings<T>>() {
            Some(settings) => settings,
            None => self.container.get::<Settings<T>>().await?,
        };
        Ok(in_call(&settings, Some(self)))
    }
}

fn settings_of<T: SettingsSection>(name: Option<&str>) -> Dependency {
    let key = Key::of::<Settings<T>>();
    let key = name.map_or(key.clone(), |name| key.named(name));
    Dependency::required(key).advise(format!(
        "declare the section {} in a module, m.settings::<{}>(), or load the framework that owns it",
        T::KEY,
        short_name::<T>(),
    ))
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// Lets everybody inject a section that was declared; it is read when the first one takes it.
pub(crate) fn provide_settings<T: SettingsSection>(
    builder: &mut ContainerBuilder,
    declared: Declared<T>,
) {
    builder.provide_with(move || {
        let declared = declared.clone();
        async move { declared.settings() }
    });
}
