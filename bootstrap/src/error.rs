//! The error of everything that happens outside of a call: start, stop, wiring, configuration.

mod report;
mod sources;

use std::{error::Error as StdError, fmt, sync::Arc};

pub(crate) use self::sources::Sources;

/// The result of everything that is not a call (a call answers with a
/// [`Fault`](struct@crate::operation::Fault)).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which part of the process's life an [`Error`] belongs to; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A configuration value or file is missing, malformed or contradictory (exit code 78).
    Configuration,
    /// The application does not fit together: a missing provider, a cycle, two modules of one
    /// name, two operations on one route (exit code 70).
    Wiring,
    /// A listener could not be bound, or a broker or another peer not be reached (exit code 69).
    Connection,
    /// A hook or a provider of the application failed, or something panicked (exit code 71).
    Hook,
    /// Something took longer than its deadline (exit code 75).
    Deadline,
    /// The command line asks for what there is not (exit code 64).
    Usage,
    /// A signal, by its number, ended the process otherwise than by an ordered stop (exit code
    /// 128 + number).
    Signal(u8),
    /// Anything else (exit code 1).
    Other,
}

impl ErrorKind {
    /// The process's exit code for an error of this kind, after BSD's `sysexits.h`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Configuration => 78,
            Self::Wiring => 70,
            Self::Connection => 69,
            Self::Hook => 71,
            Self::Deadline => 75,
            Self::Usage => 64,
            Self::Signal(number) => number.saturating_add(128),
            Self::Other => 1,
        }
    }
}

/// What went wrong while the process was put together, started or stopped.
///
/// It says what happened, where, and what to do: a message, the places it passed on its way
/// (outermost first), a cause, and advice. Several errors can be one report
/// ([`Error::all`]). Any [`std::error::Error`] converts into it by `?`, which is why it does not
/// implement that trait itself.
///
/// `Display` prints one line, `Debug` the whole report, no wider than a terminal, so that returning it from `main` shows a
/// person all there is to know.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Error, ErrorKind};
///
/// let error = Error::configuration("port 70000 is not a port")
///     .context("config/config.default.toml, key http.port")
///     .advise("use a number from 0 to 65535");
/// assert_eq!(error.kind(), ErrorKind::Configuration);
/// assert_eq!(
///     error.to_string(),
///     "config/config.default.toml, key http.port: port 70000 is not a port",
/// );
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    stage: Option<&'static str>,
    advice: Option<String>,
    cause: Option<Cause>,
    parts: Vec<Error>,
}

/// An error of another type that stands behind one of ours.
#[derive(Clone)]
enum Cause {
    /// What the message does not tell.
    Behind(Arc<dyn StdError + Send + Sync>),
    /// What the message is the text of.
    Itself(Arc<dyn StdError + Send + Sync>),
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            stage: None,
            advice: None,
            cause: None,
            parts: Vec::new(),
        }))
    }

    /// An [`ErrorKind::Configuration`] error.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// An [`ErrorKind::Wiring`] error.
    pub fn wiring(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Wiring, message)
    }

    /// An [`ErrorKind::Connection`] error.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Connection, message)
    }

    /// An [`ErrorKind::Hook`] error.
    pub fn hook(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Hook, message)
    }

    /// An [`ErrorKind::Deadline`] error.
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Deadline, message)
    }

    /// An [`ErrorKind::Other`] error.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    /// One report of several errors, under a `headline`. A single error is returned as it is; the
    /// report's kind is that of the first.
    ///
    /// # Errors
    /// Returns the report if `errors` holds any.
    pub fn all(headline: impl Into<String>, mut errors: Vec<Self>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => {
                let mut report = Self::new(errors[0].kind(), headline);
                report.inner().parts = errors;
                Err(report)
            }
        }
    }

    /// The errors of a report that says nothing itself; otherwise the error as it is.
    pub(crate) fn into_parts(mut self) -> Vec<Self> {
        let says_nothing = self.0.context.is_empty() && self.advice().is_none();
        match self.parts().is_empty() || !says_nothing {
            true => vec![self],
            false => std::mem::take(&mut self.inner().parts),
        }
    }

    /// Adds where this happened, or what was being done: `"framework http (default)"`. What is
    /// added last is printed first.
    #[must_use]
    pub fn context(mut self, place: impl Into<String>) -> Self {
        self.inner().context.push(place.into());
        self
    }

    /// Says at which stage of the start or stop this happened; the first word counts.
    #[must_use]
    pub(crate) fn at_stage(mut self, stage: &'static str) -> Self {
        self.inner().stage.get_or_insert(stage);
        self
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.inner().advice = Some(advice.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.inner().cause = Some(Cause::Behind(Arc::new(source)));
        self
    }

    /// Gives an error of no particular kind this one; an error that has a kind keeps it.
    #[must_use]
    pub fn or_kind(mut self, kind: ErrorKind) -> Self {
        if self.kind() == ErrorKind::Other {
            self.inner().kind = kind;
        }
        self
    }

    /// Adds what went wrong besides; it is printed below.
    #[must_use]
    pub fn also(mut self, further: impl IntoIterator<Item = Self>) -> Self {
        self.inner().parts.extend(further);
        self
    }

    /// Which part of the process's life this belongs to.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The exit code of a process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// The stage of the start or stop at which this happened, by its name.
    #[must_use]
    pub fn stage(&self) -> Option<&'static str> {
        self.0.stage
    }

    /// The errors that a report of several holds; empty for a single one.
    #[must_use]
    pub fn parts(&self) -> &[Error] {
        &self.0.parts
    }

    /// What the reader can do about it, where somebody knew.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// The error that caused this one. Of an error that was converted by `?` that is what caused
    /// it, since its own text is the message.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.cause.as_ref()? {
            Cause::Behind(error) => Some(&**error),
            Cause::Itself(error) => error.source(),
        }
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.context.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report::write(self, f, 0)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        let mut error = Self::new(ErrorKind::Other, source.to_string());
        error.inner().cause = Some(Cause::Itself(Arc::new(source)));
        error
    }
}

#[cfg(test)]
mod tests;
