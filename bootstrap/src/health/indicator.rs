use super::Health;

/// A component's own voice in [`Health`].
#[derive(Debug, Clone)]
pub struct Indicator {
    health: Health,
    index: usize,
}

impl Indicator {
    pub(super) fn new(health: Health, index: usize) -> Self {
        Self { health, index }
    }

    /// Whether the process is not ready while the component is down (that is so unless told
    /// otherwise), or only degraded.
    #[must_use]
    pub fn critical(self, critical: bool) -> Self {
        self.health.set_critical(self.index, critical);
        self
    }

    /// Says that the component works.
    pub fn up(&self) {
        self.health.set(self.index, None);
    }

    /// Says that it does not, and why.
    pub fn down(&self, reason: impl Into<String>) {
        self.health.set(self.index, Some(reason.into()));
    }
}
