//! What calls need to know of the framework's settings.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{HttpSettings, UploadSettings, cookies::CookieRules, redirect::RedirectHosts};

/// What all routes of a framework have in common.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// Where relative paths of files begin.
    pub(crate) base: PathBuf,
    pub(crate) redirects: RedirectHosts,
    pub(crate) cookies: CookieRules,
    pub(crate) uploads: UploadSettings,
}

impl Site {
    pub(crate) fn new(settings: &HttpSettings, base: &Path) -> Arc<Self> {
        Arc::new(Self {
            base: base.to_owned(),
            redirects: RedirectHosts::new(&settings.redirect_hosts),
            cookies: CookieRules::new(&settings.cookies),
            uploads: settings.uploads.clone(),
        })
    }
}
