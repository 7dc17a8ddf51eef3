//! Exchanges and their bindings.

use amq_protocol::{
    protocol::exchange::Declare,
    types::{AMQPValue, FieldTable},
};

use crate::{
    arguments::{bytes, inequivalent, same_value},
    exception::{Exception, ReplyCode},
    message::Name,
    topic::Pattern,
};

/// The argument that names where messages go that match no binding.
const ALTERNATE: &str = "alternate-exchange";

/// How an exchange chooses among its bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Kind {
    /// # Errors
    /// 503 for a type without implementation, as RabbitMQ answers without the type's plugin.
    fn parse(name: &str) -> Result<Self, Exception> {
        match name {
            "direct" => Ok(Self::Direct),
            "fanout" => Ok(Self::Fanout),
            "topic" => Ok(Self::Topic),
            "headers" => Ok(Self::Headers),
            other => {
                Err(ReplyCode::CommandInvalid.because(format!("unknown exchange type '{other}'")))
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// The end of a binding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    Queue(Name),
    Exchange(Name),
}

/// A rule that leads from an exchange to a queue or to another exchange.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    pub(crate) destination: Destination,
    key: Name,
    arguments: FieldTable,
    pattern: Option<Pattern>,
}

/// An exchange of a virtual host.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: Kind,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) durable: bool,
    pub(crate) bindings: Vec<Binding>,
    /// Where messages go that match no binding.
    pub(crate) alternate: Option<Name>,
    label: String,
}

impl Exchange {
    pub(crate) fn predeclared(kind: Kind, label: String) -> Self {
        Self {
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            bindings: Vec::new(),
            alternate: None,
            label,
        }
    }

    /// # Errors
    /// 503 for an unknown type, 406 for an alternate exchange that is no name.
    pub(crate) fn new(declare: &Declare, label: String) -> Result<Self, Exception> {
        for (argument, _) in &declare.arguments {
            if argument.as_str() != ALTERNATE {
                tracing::warn!(exchange = label, %argument, "argument without effect");
            }
        }
        Ok(Self {
            kind: Kind::parse(declare.kind.as_str())?,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            bindings: Vec::new(),
            alternate: alternate(&declare.arguments, &label)?,
            label,
        })
    }

    /// # Errors
    /// 406, which names the first property that differs.
    pub(crate) fn check_equivalent(&self, declare: &Declare) -> Result<(), Exception> {
        let kind = Kind::parse(declare.kind.as_str())?;
        self.same("type", kind.name(), self.kind.name())?;
        self.same("durable", declare.durable, self.durable)?;
        self.same("auto_delete", declare.auto_delete, self.auto_delete)?;
        self.same("internal", declare.internal, self.internal)?;
        let declared = alternate(&declare.arguments, &self.label)?;
        let name = |alternate: Option<&Name>| alternate.map_or("none".to_owned(), Name::to_string);
        self.same(ALTERNATE, name(declared.as_ref()), name(self.alternate.as_ref()))
    }

    fn same<T: PartialEq + ToString>(
        &self,
        key: &str,
        declared: T,
        current: T,
    ) -> Result<(), Exception> {
        if declared == current {
            return Ok(());
        }
        let (declared, current) = (declared.to_string(), current.to_string());
        Err(inequivalent(key, &self.label, &format!("'{declared}'"), &format!("'{current}'")))
    }

    /// Adds a binding, unless the same exists already.
    pub(crate) fn bind(&mut self, destination: Destination, key: Name, arguments: FieldTable) {
        let pattern = (self.kind == Kind::Topic).then(|| Pattern::new(key.as_str()));
        let binding = Binding { destination, key, arguments, pattern };
        if !self.bindings.contains(&binding) {
            self.bindings.push(binding);
        }
    }

    /// Removes a binding; says whether it existed.
    pub(crate) fn unbind(
        &mut self,
        destination: &Destination,
        key: &Name,
        arguments: &FieldTable,
    ) -> bool {
        let before = self.bindings.len();
        self.bindings.retain(|binding| {
            (&binding.destination, &binding.key, &binding.arguments)
                != (destination, key, arguments)
        });
        self.bindings.len() < before
    }

    /// Where a message with this key and these headers goes; a destination may come twice.
    pub(crate) fn targets<'a>(
        &'a self,
        key: &'a Name,
        headers: Option<&'a FieldTable>,
    ) -> impl Iterator<Item = &'a Destination> {
        let matching = self.bindings.iter().filter(move |binding| match self.kind {
            Kind::Fanout => true,
            Kind::Direct => binding.key == *key,
            Kind::Topic => binding.pattern.as_ref().is_some_and(|it| it.matches(key.as_str())),
            Kind::Headers => headers_match(&binding.arguments, headers),
        });
        matching.map(|binding| &binding.destination)
    }
}

/// # Errors
/// 406 for an alternate exchange that is no name.
fn alternate(arguments: &FieldTable, label: &str) -> Result<Option<Name>, Exception> {
    let Some(value) = arguments.inner().get(ALTERNATE) else {
        return Ok(None);
    };
    let text = bytes(value).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| Name::try_new(text).ok()) {
        Some(name) => Ok(Some(name)),
        None => Err(ReplyCode::PreconditionFailed
            .because(format!("invalid arg '{ALTERNATE}' for {label}: {value:?}"))),
    }
}

/// The rule of a headers exchange: `x-match` is `all` (the default), `any`, or one of these with
/// `-with-x`, which looks at headers that begin with `x-` too. Void asks for presence only.
fn headers_match(arguments: &FieldTable, headers: Option<&FieldTable>) -> bool {
    let mode = arguments.inner().get("x-match").and_then(bytes).unwrap_or(b"all");
    let with_x = mode.ends_with(b"-with-x");
    let mut wanted = arguments.into_iter().filter(|(key, _)| {
        key.as_str() != "x-match" && (with_x || !key.as_str().starts_with("x-"))
    });
    let present = |(key, value): (&Name, &AMQPValue)| {
        let header = headers.and_then(|headers| headers.inner().get(key));
        header.is_some_and(|header| *value == AMQPValue::Void || same_value(value, header))
    };
    if mode.starts_with(b"any") { wanted.any(present) } else { wanted.all(present) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn headers_match_all_any_and_presence() {
        let message = table(&[("a", text("1")), ("b", AMQPValue::LongInt(2))]);
        let all = table(&[("a", text("1")), ("b", AMQPValue::LongLongInt(2))]);
        let any = table(&[("x-match", text("any")), ("a", text("1")), ("c", text("3"))]);
        let presence = table(&[("a", AMQPValue::Void)]);
        for arguments in [all, any.clone(), presence] {
            assert!(headers_match(&arguments, Some(&message)), "{arguments:?}");
            assert!(!headers_match(&arguments, None), "{arguments:?}");
        }
        assert!(!headers_match(&any, Some(&table(&[("a", text("2"))]))));
    }

    #[test]
    fn x_headers_count_only_when_asked_for() {
        let message = table(&[("x-kind", text("a"))]);
        let plain = table(&[("x-match", text("all")), ("x-kind", text("b"))]);
        let with_x = table(&[("x-match", text("all-with-x")), ("x-kind", text("b"))]);
        assert!(headers_match(&plain, Some(&message)));
        assert!(!headers_match(&with_x, Some(&message)));
    }
}
