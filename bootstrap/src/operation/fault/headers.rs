//! What a fault says in headers.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};

use super::Fault;

static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

impl Fault {
    /// Adds a header to the answer: `Allow`, `WWW-Authenticate`, `Set-Cookie` … A name may have
    /// several values.
    ///
    /// # Examples
    /// ```
    /// use http::{HeaderValue, header};
    /// use polyport_bootstrap::Fault;
    ///
    /// let fault = Fault::unauthenticated("NO_TOKEN", "say who you are")
    ///     .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    /// assert_eq!(fault.headers()["www-authenticate"], "Bearer");
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers_mut().append(name, value);
        self
    }

    /// Says when the caller may try again, in seconds, rounded up (`Retry-After`, RFC 9110,
    /// section 10.2.3).
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
        self.headers_mut().insert(RETRY_AFTER, seconds.into());
        self
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers.as_deref().unwrap_or(&NONE)
    }

    /// When the caller may try again, where the fault says it in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.0.headers.get_or_insert_default()
    }
}
