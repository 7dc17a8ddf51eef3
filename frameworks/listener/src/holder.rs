//! Which process has a port, as Linux tells it (`proc(5)`).

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// Who listens on `address`, in words; none where the system does not tell.
pub(crate) fn of(address: SocketAddr) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let tables = tables.into_iter().flatten().collect::<String>();
    let socket = tables.lines().filter_map(Listener::parse).find(|found| found.blocks(address))?;
    Some(match process_with(&socket.inode) {
        Some(process) => process,
        None => format!("a process of the user with the id {}", socket.user),
    })
}

/// A socket that listens.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    user: String,
    inode: String,
}

impl Listener {
    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split_ascii_whitespace();
        let address = columns.nth(1)?;
        let state = columns.nth(1)?;
        let (user, inode) = (columns.nth(3)?.to_owned(), columns.nth(1)?.to_owned());
        let address = parse_address(address)?;
        (state == LISTEN).then_some(Self { address, user, inode })
    }

    fn blocks(&self, wanted: SocketAddr) -> bool {
        let (mine, wanted_ip) = (self.address.ip().to_canonical(), wanted.ip().to_canonical());
        let same = mine == wanted_ip || mine.is_unspecified() || wanted_ip.is_unspecified();
        same && self.address.port() == wanted.port()
    }
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of 32 bits, each as this machine keeps it in memory.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for index in (0..words.len()).step_by(8) {
        let word = u32::from_str_radix(words.get(index..index + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The process that has a socket open, where this one may see that.
fn process_with(inode: &str) -> Option<String> {
    let link = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let path = processes.filter(|path| is_process(path)).find(|path| has_open(path, &link))?;
    let id = path.file_name()?.to_str()?.to_owned();
    if id == std::process::id().to_string() {
        return Some("this process itself".to_owned());
    }
    let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
    Some(format!("process {id} ({})", name.trim_end()))
}

fn is_process(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn has_open(process: &Path, link: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let mut targets = descriptors.flatten().map(|entry| fs::read_link(entry.path()));
    targets.any(|target| target.is_ok_and(|target| target.as_os_str() == link))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const LINE: &str = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                        1000        0 4242 1 0000000000000000 100 0 0 10 0";

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listening_socket_is_read_from_its_line() {
        let found = Listener::parse(LINE).expect("listens");
        assert_eq!(found.address, "127.0.0.1:8080".parse().expect("an address"));
        assert_eq!((found.user.as_str(), found.inode.as_str()), ("1000", "4242"));
        assert!(found.blocks("0.0.0.0:8080".parse().expect("an address")));
        assert!(!found.blocks("127.0.0.2:8080".parse().expect("an address")));
        assert!(!found.blocks("127.0.0.1:8081".parse().expect("an address")));
        assert_eq!(Listener::parse(&LINE.replace(" 0A ", " 01 ")), None);
        let any = parse_address("00000000000000000000000000000000:0050").expect("an address");
        assert_eq!(any, "[::]:80".parse().expect("an address"));
    }

    #[test]
    fn lines_of_any_other_form_are_left_out() {
        for line in ["", "sl local_address", "1: 0100:1F90 a 0A b c d e f g", "1: é:1 a 0A b c d e"]
        {
            assert_eq!(Listener::parse(line), None, "{line}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_that_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("is bound");
        assert_eq!(of(address).as_deref(), Some("this process itself"));
        drop(listener);
        assert_eq!(of(address), None);
    }
}
