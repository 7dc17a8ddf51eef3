//! Bodies that come bit by bit: bytes, and items as server-sent events or JSON lines.

mod bytes;
mod format;
mod items;
mod source;

pub(crate) use self::{bytes::BytesBody, format::Format, items::ItemsBody};
