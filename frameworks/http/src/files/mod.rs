//! Static files.

mod lookup;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use futures_util::FutureExt;
use http::HeaderValue;
use polyport_bootstrap::{Error, operation::Endpoint};

use self::lookup::Folder;

/// A folder whose files are served by [`HttpRoutes::files`](crate::HttpRoutes::files).
///
/// GET and HEAD are answered with `ETag`, `Last-Modified` and a content type by the file's ending;
/// conditional requests and requests for a part are answered as RFC 9110, sections 13 and 14, has
/// it. Where a file lies beside it with the ending `.br`, `.zst` or `.gz` and the client takes that
/// coding, that one is sent instead, as it is. `/docs` is redirected to `/docs/` where that folder
/// has an index.
///
/// Nothing outside of the folder is served: neither `..` nor a symbolic link leads out of it (links
/// within it are followed). Names that begin with a dot are not found, but those in `.well-known`
/// (RFC 8615).
///
/// # Examples
/// ```
/// use polyport_http::{HttpRoutes, StaticFiles};
///
/// let routes = HttpRoutes::default()
///     .files("/assets", StaticFiles::new("dist/assets").cache_control("public, max-age=31536000"))
///     .files("/", StaticFiles::new("dist").page("index.html"));
/// # drop(routes);
/// ```
#[derive(Debug, Clone)]
pub struct StaticFiles {
    folder: PathBuf,
    index: Option<String>,
    page: Option<String>,
    cache_control: Option<String>,
    has_hidden: bool,
}

impl StaticFiles {
    /// The files of this folder; a relative path begins at the application's base directory. That
    /// it does not exist is an error at start.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            index: Some("index.html".to_owned()),
            page: None,
            cache_control: None,
            has_hidden: false,
        }
    }

    /// Sets the file that a folder is shown by; default `index.html`.
    #[must_use]
    pub fn index(mut self, name: impl Into<String>) -> Self {
        self.index = Some(name.into());
        self
    }

    /// Shows no folder by a file.
    #[must_use]
    pub fn no_index(mut self) -> Self {
        self.index = None;
        self
    }

    /// Sends this file of the folder where there is none, to browsers that open a page (whose
    /// `Accept` names `text/html`): for applications that find their way by themselves. A script or
    /// a picture that is missing is 404 all the same.
    #[must_use]
    pub fn page(mut self, path: impl Into<String>) -> Self {
        self.page = Some(path.into());
        self
    }

    /// Sets `Cache-Control` (RFC 9111, section 5.2) of all files but the [`page`](Self::page), which
    /// is `no-cache`. Default none: caches ask whether a file is still the same when they like.
    #[must_use]
    pub fn cache_control(mut self, value: impl Into<String>) -> Self {
        self.cache_control = Some(value.into());
        self
    }

    /// Serves names that begin with a dot too.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.has_hidden = true;
        self
    }

    /// The folder as it is served.
    fn opened(&self, base: &Path) -> Result<Folder, Error> {
        let folder = base.join(&self.folder);
        if !folder.is_dir() {
            let error = Error::wiring(format!("there is no folder {}", folder.display()));
            return Err(error.advise("build the files before, or name the folder they are in"));
        }
        let header = |value: &String| {
            HeaderValue::from_str(value)
                .map_err(|_| Error::wiring(format!("no header can hold {value:?}")))
        };
        Ok(Folder {
            folder,
            index: self.index.clone(),
            page: self.page.clone(),
            cache_control: self.cache_control.as_ref().map(header).transpose()?,
            has_hidden: self.has_hidden,
        })
    }
}

impl<P: Into<PathBuf>> From<P> for StaticFiles {
    fn from(folder: P) -> Self {
        Self::new(folder)
    }
}

/// Files at their place.
#[derive(Debug)]
pub(crate) struct MountedFiles {
    files: StaticFiles,
    place: OnceLock<Place>,
}

/// Where they are, once that is known.
#[derive(Debug)]
struct Place {
    folder: Folder,
    /// How many segments of a request's path belong to the prefix.
    depth: usize,
}

impl MountedFiles {
    pub(crate) fn new(files: StaticFiles) -> Arc<Self> {
        Arc::new(Self { files, place: OnceLock::new() })
    }

    /// Says where they are.
    ///
    /// # Errors
    /// Returns an error where they are not there.
    pub(crate) fn settle(&self, prefix: &str, base: &Path) -> Result<(), Error> {
        let folder = self.files.opened(base);
        let folder = folder.map_err(|error| error.context(format!("the files at {prefix}")))?;
        let depth = prefix.split('/').filter(|segment| !segment.is_empty()).count();
        let _ = self.place.set(Place { folder, depth });
        Ok(())
    }

    pub(crate) fn endpoint(self: &Arc<Self>) -> Endpoint {
        let files = Arc::clone(self);
        Endpoint::native("static files", move |context| {
            let files = Arc::clone(&files);
            async move {
                let missing = || Error::other("nobody has said where the files are");
                let place = files.place.get().ok_or_else(missing)?;
                place.folder.answer(context, place.depth).await
            }
            .boxed()
        })
    }
}
