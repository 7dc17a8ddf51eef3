//! The errors of other types that stand behind one of ours.

use std::{error::Error as StdError, fmt, io};

use super::{Cause, Error, Inner};

/// How far a chain of causes is followed, so that one which bites its own tail ends too.
const LONGEST: usize = 128;

impl Error {
    /// Every error of another type behind this one, as it was given: the error that this one was
    /// made of or caused by, what caused that, and so on; then those of [`parts`](Self::parts).
    pub fn sources(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        Sources::of_report(self)
    }

    /// What can stand behind an error of another type: this one, whose sources are found there too.
    pub(crate) fn as_std(&self) -> &(dyn StdError + 'static) {
        &*self.0
    }

    /// The first of [`sources`](Self::sources) that is an `E`.
    ///
    /// # Examples
    /// ```
    /// use std::num::ParseIntError;
    /// use polyport_bootstrap::Error;
    ///
    /// let error = Error::from("x".parse::<u16>().unwrap_err()).context("key http.port");
    /// assert!(error.find_source::<ParseIntError>().is_some());
    /// ```
    #[must_use]
    pub fn find_source<E: StdError + 'static>(&self) -> Option<&E> {
        self.sources().find_map(|source| source.downcast_ref())
    }
}

impl Cause {
    fn root(&self) -> &(dyn StdError + 'static) {
        let (Self::Behind(error) | Self::Itself(error)) = self;
        &**error
    }
}

/// An [`Error`] as others hold it.
impl StdError for Inner {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(Cause::root)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Walks a chain of causes, and the chains of a report's parts after it.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    next: Option<&'a (dyn StdError + 'static)>,
    reports: Vec<&'a Error>,
    left: usize,
}

impl<'a> Sources<'a> {
    pub(crate) fn of_report(report: &'a Error) -> Self {
        Self { next: None, reports: vec![report], left: LONGEST }
    }

    pub(crate) fn of_error(error: Option<&'a (dyn StdError + 'static)>) -> Self {
        Self { next: error, reports: Vec::new(), left: LONGEST }
    }

    /// The first error of the next report that has one.
    fn next_root(&mut self) -> Option<&'a (dyn StdError + 'static)> {
        loop {
            let report = self.reports.pop()?;
            self.reports.extend(report.parts().iter().rev());
            if let Some(cause) = &report.0.cause {
                return Some(cause.root());
            }
        }
    }
}

impl<'a> Iterator for Sources<'a> {
    type Item = &'a (dyn StdError + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let error = match self.next.take() {
            Some(error) => error,
            None => self.next_root()?,
        };
        self.next = behind(error);
        if let Some(report) = error.downcast_ref::<Inner>() {
            self.reports.extend(report.parts.iter().rev());
        }
        Some(error)
    }
}

/// What caused `error`. An `io::Error` passes over the error that it was made of.
fn behind<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
