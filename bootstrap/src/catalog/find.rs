//! Which operation answers a route that somebody asks for.

use super::{Catalog, CatalogOperation};
use crate::{
    Error, Result,
    operation::{Exposure, Exposures},
};

/// Says which operation answers `asked` (`GET /users/7`, `websocket users.get`, or a route that
/// only one protocol knows) with which chain.
///
/// # Errors
/// Returns, for each protocol that was asked, why nothing answers there.
pub(crate) fn answer(exposures: &Exposures, asked: &str) -> Result<String> {
    let all = exposures.all();
    let (wanted, route) = protocol(&all, asked);
    let (mut answers, mut reasons) = (Vec::new(), Vec::new());
    for (protocol, framework) in served(&all) {
        if wanted.is_some_and(|wanted| wanted != protocol) {
            continue;
        }
        let of: Vec<_> = all
            .iter()
            .filter(|entry| entry.protocol.as_str() == protocol && entry.framework == framework)
            .collect();
        match exposures.find(&of, route) {
            Ok(exposure) => answers.push(describe(exposures, exposure)),
            Err(reason) => reasons.push(format!("{}: {reason}", title(protocol, framework))),
        }
    }
    if answers.is_empty() {
        return Err(Error::other(format!("nothing answers {asked:?}: {}", reasons.join("; ")))
            .advise("--operations lists every route"));
    }
    Ok(answers.join("\n"))
}

/// A protocol that is named first, and the rest.
fn protocol<'a>(all: &'a [Exposure], asked: &'a str) -> (Option<&'a str>, &'a str) {
    let Some((first, rest)) = asked.split_once(' ') else { return (None, asked) };
    let named = all.iter().map(|entry| entry.protocol.as_str());
    match named.into_iter().find(|name| name.eq_ignore_ascii_case(first)) {
        Some(protocol) => (Some(protocol), rest.trim()),
        None => (None, asked),
    }
}

/// Every framework that serves operations, by protocol and name.
fn served(all: &[Exposure]) -> Vec<(&str, &str)> {
    let mut served = Vec::new();
    for entry in all {
        let framework = (entry.protocol.as_str(), entry.framework.as_str());
        if !served.contains(&framework) {
            served.push(framework);
        }
    }
    served
}

fn title(protocol: &str, framework: &str) -> String {
    crate::application::title(protocol, framework)
}

fn describe(exposures: &Exposures, exposure: &Exposure) -> String {
    let CatalogOperation { name, module, attributes, chain, .. } =
        CatalogOperation::of(exposures, exposure);
    let mut text = format!("{} is answered by {name} (module {module})\n", exposure.title());
    if !attributes.is_empty() {
        text += &format!("  attributes: {}\n", attributes.join(", "));
    }
    for stage in &chain {
        text += &format!("  {:<15} {} ({})\n", stage.kind, stage.name, stage.scope);
    }
    text + &format!("  {:<15} {name}\n", "operation")
}

impl Catalog {
    /// The operations of this protocol.
    pub fn of_protocol<'a>(
        &'a self,
        protocol: &'a str,
    ) -> impl Iterator<Item = &'a CatalogOperation> {
        self.operations.iter().filter(move |operation| operation.protocol == protocol)
    }
}
