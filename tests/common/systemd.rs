//! What systemd hears from a process.

use std::{os::unix::net::UnixDatagram, path::PathBuf};

use crate::program::{PATIENCE, unique};

/// The other end of the socket that a process tells its state.
pub(crate) struct Systemd {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Systemd {
    pub(crate) fn listen() -> Self {
        let path = std::env::temp_dir().join(unique());
        let socket = UnixDatagram::bind(&path).expect("is free");
        socket.set_read_timeout(Some(PATIENCE)).expect("is set");
        Self { path, socket }
    }

    /// The variable that a process finds this by.
    pub(crate) fn variable(&self) -> (&str, &str) {
        ("NOTIFY_SOCKET", self.path.to_str().expect("is text"))
    }

    /// What the process tells next.
    pub(crate) fn hear(&self) -> String {
        let mut bytes = [0; 64];
        let length = self.socket.recv(&mut bytes).expect("is told");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
