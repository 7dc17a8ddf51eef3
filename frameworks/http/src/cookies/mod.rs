//! Cookies (RFC 6265).

mod keys;
mod new;
mod settings;

use ::cookie::{Cookie, SameSite};
use polyport_bootstrap::{
    Error,
    operation::{self, Context, Fault, FromContext, InputSlot, NoPayload, OperationInfo},
};

use self::keys::Keys;
pub(crate) use self::new::{NewCookies, written};
pub use self::settings::{CookieSettings, SecureCookies};
use crate::{
    PROTOCOL,
    request::{self, Head},
};

/// The cookies of a request and of its answer, as an argument of an operation; guards and middleware
/// get them by [`of`](Self::of). On HTTP only: elsewhere it is a wiring error at start.
///
/// What is set goes out with the answer, a fault too, unless its head has been sent already (a
/// stream goes on after that). What a cookie does not say itself is `HttpOnly`, `SameSite=Lax`,
/// `Path=/`, and `Secure` as `http.cookies.secure` has it. A later one of the same name, domain and
/// path takes the place of the earlier.
///
/// - [`get`](Self::get) and [`set`](Self::set): the value as it is. Anybody can have written it.
/// - [`signed`](Self::signed) and [`set_signed`](Self::set_signed): the value with its signature
///   (HMAC with SHA-256). The client can read it and cannot change it.
/// - [`private`](Self::private) and [`set_private`](Self::set_private): encrypted (AES-256-GCM). The
///   client can neither read nor change it.
///
/// What was tampered with, or was made with a key that is gone, reads as if it were not there. A
/// client can always send an older value, or leave one out.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::Fault;
/// use polyport_http::{Cookies, cookie::{Cookie, time::Duration}};
///
/// async fn log_in(cookies: Cookies) -> Result<(), Fault> {
///     cookies.set_private(Cookie::build(("session", "7")).max_age(Duration::days(1)))
/// }
///
/// async fn whoami(cookies: Cookies) -> Result<String, Fault> {
///     cookies.private("session").ok_or_else(|| Fault::unauthenticated("NO_SESSION", "log in"))
/// }
///
/// async fn log_out(cookies: Cookies) -> Result<(), Fault> {
///     cookies.remove("session")
/// }
/// # drop((log_in, whoami, log_out));
/// ```
#[derive(Debug, Clone)]
pub struct Cookies(Context);

impl Cookies {
    /// The cookies of a call, if it came by HTTP.
    #[must_use]
    pub fn of(context: &Context) -> Option<Self> {
        context.extension::<Head>().map(|_| Self(context.clone()))
    }

    /// The value of a cookie as it came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a signed cookie.
    #[must_use]
    pub fn signed(&self, name: &str) -> Option<&str> {
        self.all(name).find_map(|value| self.keys()?.verified(name, value))
    }

    /// The value of a private cookie.
    #[must_use]
    pub fn private(&self, name: &str) -> Option<String> {
        self.all(name).find_map(|value| self.keys()?.opened(name, value))
    }

    /// Sets a cookie with its value as it is.
    ///
    /// # Errors
    /// Returns an internal fault where no header can hold it: its name is no token, its value has
    /// blanks, quotes, commas, semicolons, backslashes or what is no ASCII, or it is longer than the
    /// 4096 bytes that browsers take.
    pub fn set(&self, cookie: impl Into<Cookie<'static>>) -> Result<(), Fault> {
        self.add(cookie.into())
    }

    /// Sets a cookie that the client can read and cannot change.
    ///
    /// # Errors
    /// Those of [`set`](Self::set), and an internal fault where `http.cookies.keys` has no key.
    pub fn set_signed(&self, cookie: impl Into<Cookie<'static>>) -> Result<(), Fault> {
        self.add_made(cookie.into(), Keys::sign)
    }

    /// Sets a cookie that the client can neither read nor change; its value may be any text.
    ///
    /// # Errors
    /// Those of [`set`](Self::set), and an internal fault where `http.cookies.keys` has no key.
    pub fn set_private(&self, cookie: impl Into<Cookie<'static>>) -> Result<(), Fault> {
        self.add_made(cookie.into(), Keys::seal)
    }

    /// Tells the client to forget a cookie: by its name, or with the domain and the path that it was
    /// set with.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub fn remove(&self, cookie: impl Into<Cookie<'static>>) -> Result<(), Fault> {
        let mut cookie = cookie.into();
        cookie.make_removal();
        self.add(cookie)
    }

    fn add_made(
        &self,
        mut cookie: Cookie<'static>,
        make: fn(&Keys, &str, &str) -> Option<String>,
    ) -> Result<(), Fault> {
        let made = self.keys().and_then(|keys| make(keys, cookie.name(), cookie.value()));
        let missing = || Error::other("there is no key for signed and private cookies");
        cookie.set_value(made.ok_or_else(|| missing().advise("set http.cookies.keys"))?);
        self.add(cookie)
    }

    fn add(&self, mut cookie: Cookie<'static>) -> Result<(), Fault> {
        if let Some(head) = self.head() {
            head.place.site.cookies.complete(&mut cookie, request::is_secure(&self.0));
            head.new_cookies.add(cookie)?;
        }
        Ok(())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named =
            operation::cookies(&self.0.metadata).filter(move |(n, _)| *n == name.as_bytes());
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    fn keys(&self) -> Option<&Keys> {
        Some(&self.head()?.place.site.cookies.keys)
    }

    fn head(&self) -> Option<&Head> {
        self.0.extension()
    }
}

impl FromContext for Cookies {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let missing = || Error::other("the call did not come by HTTP").into();
        Self::of(context).ok_or_else(missing)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Cookies");
    }
}

/// What the settings say of cookies.
#[derive(Debug, Default)]
pub(crate) struct CookieRules {
    keys: Keys,
    secure: SecureCookies,
}

impl CookieRules {
    pub(crate) fn new(settings: &CookieSettings) -> Self {
        Self { keys: Keys::new(&settings.keys), secure: settings.secure }
    }

    /// Says what a cookie does not say itself.
    fn complete(&self, cookie: &mut Cookie<'_>, is_secure: bool) {
        cookie.set_http_only(cookie.http_only().unwrap_or(true));
        cookie.set_same_site(cookie.same_site().unwrap_or(SameSite::Lax));
        if cookie.path().is_none() {
            cookie.set_path("/");
        }
        if cookie.secure().is_none() {
            // Browsers drop these where they are not secure.
            let must_be = cookie.same_site() == Some(SameSite::None)
                || ["__Host-", "__Secure-"].iter().any(|prefix| cookie.name().starts_with(prefix));
            cookie.set_secure(match self.secure {
                SecureCookies::Auto => must_be || is_secure,
                SecureCookies::Always => true,
                SecureCookies::Never => must_be,
            });
        }
    }
}
