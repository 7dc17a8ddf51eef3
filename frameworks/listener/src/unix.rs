//! Unix sockets: the files that they leave behind.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path as FilePath, PathBuf},
};

use tokio::net::UnixSocket;

use crate::{BindError, SocketMode};

/// The file of a socket, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Path {
    path: PathBuf,
    /// Another process may have put its own socket there since.
    identity: (u64, u64),
}

impl Drop for Path {
    fn drop(&mut self) {
        if identity_of(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity_of(path: &FilePath) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Takes a path. Nobody can connect before it listens, so nobody does before the mode is set.
pub(crate) fn bind(path: &FilePath, mode: SocketMode) -> Result<(UnixSocket, Path), BindError> {
    let refused = |error| BindError::path(path, error);
    remove_stale(path).map_err(refused)?;
    let socket = UnixSocket::new_stream().map_err(refused)?;
    socket.bind(path).map_err(refused)?;
    let identity = identity_of(path).map_err(refused)?;
    let file = Path { path: path.to_owned(), identity };
    fs::set_permissions(path, fs::Permissions::from_mode(mode.bits())).map_err(refused)?;
    Ok((socket, file))
}

/// Removes a socket that nobody listens on any more.
fn remove_stale(path: &FilePath) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::other("something that is no socket is at this path"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "removed a socket that nobody listens on");
            fs::remove_file(path)
        }
        // It lives: binding says so.
        _ => Ok(()),
    }
}
