//! What systemd hands over and is told, where the process runs under it.

mod notify;
mod sockets;

pub(crate) use notify::{NOTIFY_SOCKET, Notifier, State};
pub use sockets::{HandedOver, Inherited, SocketAddress};
pub(crate) use sockets::{given, with};
