//! What caused a fault: typed, logged, and never sent.

use std::error::Error as StdError;

use super::Fault;
use crate::{Error, error::Sources};

pub(super) enum Source {
    Report(Error),
    Foreign(Box<dyn StdError + Send + Sync>),
}

/// What `#[derive(Fault)]` takes for a `#[source]`: an error, a box of one, or an [`Error`] of ours.
pub trait AsSource {
    /// The error.
    fn as_source(&self) -> &(dyn StdError + 'static);
}

impl<E: StdError + 'static> AsSource for E {
    fn as_source(&self) -> &(dyn StdError + 'static) {
        self
    }
}

impl AsSource for dyn StdError + 'static {
    fn as_source(&self) -> &(dyn StdError + 'static) {
        self
    }
}

impl AsSource for dyn StdError + Send + 'static {
    fn as_source(&self) -> &(dyn StdError + 'static) {
        self
    }
}

impl AsSource for dyn StdError + Send + Sync + 'static {
    fn as_source(&self) -> &(dyn StdError + 'static) {
        self
    }
}

impl AsSource for Error {
    fn as_source(&self) -> &(dyn StdError + 'static) {
        self.as_std()
    }
}

impl Fault {
    /// Keeps what caused this, whose type fault filters can be chosen by; it is logged and never
    /// sent.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Source::Foreign(Box::new(source)));
        self
    }

    /// Everything that caused this, as it was given: the error that the fault was made of, what
    /// caused that, and so on, an [`Error`]'s own causes included.
    pub fn sources(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        match &self.0.source {
            Some(Source::Report(error)) => Sources::of_report(error),
            Some(Source::Foreign(error)) => Sources::of_error(Some(&**error)),
            None => Sources::of_error(None),
        }
    }

    /// The first of [`sources`](Self::sources) that is an `E`.
    ///
    /// # Examples
    /// ```
    /// use std::num::ParseIntError;
    /// use polyport_bootstrap::Fault;
    ///
    /// let error = "x".parse::<u16>().unwrap_err();
    /// let fault = Fault::invalid_argument("NOT_A_NUMBER", "give a number").caused_by(error);
    /// assert!(fault.find_source::<ParseIntError>().is_some());
    /// ```
    #[must_use]
    pub fn find_source<E: StdError + 'static>(&self) -> Option<&E> {
        self.sources().find_map(|source| source.downcast_ref())
    }

    /// The text of what caused this, for the log.
    #[must_use]
    pub fn source_text(&self) -> Option<String> {
        match self.0.source.as_ref()? {
            Source::Report(error) => Some(format!("{error:?}").trim_end().to_owned()),
            Source::Foreign(error) => Some(chain(&**error)),
        }
    }
}

/// An error and its causes on one line; a cause that the text before it ends with is told once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    for cause in Sources::of_error(Some(error)).skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(", because: ");
            text.push_str(&cause);
        }
    }
    text
}
