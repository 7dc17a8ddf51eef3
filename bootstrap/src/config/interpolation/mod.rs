//! `${…}` in texts: values that are made of other values and of environment variables.

mod filled;
mod resolve;
mod template;

pub(super) use self::{
    filled::{Cause, Interpolated, Part, Surroundings},
    resolve::resolve,
    template::names_secret,
};

/// `text` so that it stands for itself, whatever it holds: what `${` begins in it is not
/// interpolated. For values that a hook fills in and that are not meant as templates.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::literal;
///
/// assert_eq!(literal("pa${ss"), "pa$${ss");
/// assert_eq!(literal("pa$$word"), "pa$$word");
/// ```
#[must_use]
pub fn literal(text: &str) -> String {
    text.replace("${", "$${")
}
