//! What systemd is told of the process (`sd_notify(3)`), where it asks for that.

use std::{ffi::OsStr, fmt};

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything is served, or is so again after a reload.
    Ready,
    /// The configuration is being reloaded.
    Reloading,
    /// A stop has begun.
    Stopping,
}

impl State {
    const fn message(self) -> &'static str {
        match self {
            Self::Ready => "READY=1",
            Self::Reloading => "RELOADING=1",
            Self::Stopping => "STOPPING=1",
        }
    }
}

/// The variable that names the socket.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The socket on which systemd listens.
pub(crate) struct Notifier(#[cfg(unix)] Address);

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notifier")
    }
}

#[cfg(unix)]
type Address = std::os::unix::net::SocketAddr;

#[cfg(unix)]
impl Notifier {
    /// The socket of this name: a path, or `@` and an abstract one.
    pub(crate) fn new(name: &OsStr) -> Option<Self> {
        match address(name) {
            Ok(address) => Some(Self(address)),
            Err(error) => {
                tracing::warn!(?name, %error, "{NOTIFY_SOCKET} names no socket");
                None
            }
        }
    }

    /// Tells systemd; where it does not hear that, there is nothing that this process can do.
    pub(crate) fn tell(&self, state: State) {
        let message = state.message();
        let socket = std::os::unix::net::UnixDatagram::unbound();
        let sent = socket.and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(message.as_bytes(), &self.0)
        });
        if let Err(error) = sent {
            tracing::warn!(message, %error, "systemd cannot be told");
        }
    }
}

#[cfg(unix)]
fn address(name: &OsStr) -> std::io::Result<Address> {
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            Address::from_abstract_name(name)
        }
        _ => Address::from_pathname(name),
    }
}

#[cfg(not(unix))]
impl Notifier {
    pub(crate) fn new(_: &OsStr) -> Option<Self> {
        None
    }

    pub(crate) fn tell(&self, _: State) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::{linux::net::SocketAddrExt, unix::net::UnixDatagram};

    use super::*;

    #[allow(clippy::expect_used, reason = "a test fails by panicking")]
    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("was sent");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn systemd_hears_on_a_path_and_on_an_abstract_name() {
        let name = format!("polyport-{}", uuid::Uuid::now_v7().simple());
        let address = Address::from_abstract_name(&name).expect("is a name");
        let socket = UnixDatagram::bind_addr(&address).expect("is free");
        let notifier = Notifier::new(OsStr::new(&format!("@{name}"))).expect("is a name");
        notifier.tell(State::Ready);
        notifier.tell(State::Stopping);
        assert_eq!([heard(&socket), heard(&socket)], ["READY=1", "STOPPING=1"]);

        let path = std::env::temp_dir().join(name);
        let socket = UnixDatagram::bind(&path).expect("is free");
        Notifier::new(path.as_os_str()).expect("is a path").tell(State::Reloading);
        std::fs::remove_file(&path).expect("is there");
        assert_eq!(heard(&socket), "RELOADING=1");
    }

    #[test]
    fn a_socket_that_is_not_there_changes_nothing() {
        Notifier::new(OsStr::new("/no/such/socket")).expect("is a path").tell(State::Ready);
        assert!(Notifier::new(OsStr::new(&"x".repeat(200))).is_none());
    }
}
