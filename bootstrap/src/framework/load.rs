use super::Framework;
use crate::Config;

/// What [`Bootstrap::load`](crate::Bootstrap::load) takes: a framework, or a closure that makes
/// one from the finished configuration.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be loaded",
    note = "load a framework, or a closure `|config: &Config| -> Framework`"
)]
pub trait IntoFramework<Marker>: Send + 'static {
    /// The framework.
    type Framework: Framework;

    /// Makes it.
    fn into_framework(self, config: &Config) -> Self::Framework;

    /// The framework's name, where it is known before the configuration is.
    fn name(&self) -> Option<&str> {
        None
    }
}

/// Marks a framework that is loaded as it is.
#[derive(Debug, Clone, Copy)]
pub struct AsItIs;

/// Marks a framework that is made from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct FromConfig;

impl<F: Framework> IntoFramework<AsItIs> for F {
    type Framework = F;

    fn into_framework(self, _: &Config) -> F {
        self
    }

    fn name(&self) -> Option<&str> {
        Some(Framework::name(self))
    }
}

impl<C, F> IntoFramework<FromConfig> for C
where
    C: FnOnce(&Config) -> F + Send + 'static,
    F: Framework,
{
    type Framework = F;

    fn into_framework(self, config: &Config) -> F {
        self(config)
    }
}
