use super::arguments::Arguments;

/// What an exchange routes to a queue, or to another exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The exchange that routes.
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) arguments: Arguments,
}

/// Adds those of `further` that are not there yet.
pub(super) fn unite(bindings: &mut Vec<Binding>, further: Vec<Binding>) {
    for binding in further {
        if !bindings.contains(&binding) {
            bindings.push(binding);
        }
    }
}
