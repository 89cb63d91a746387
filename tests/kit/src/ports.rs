//! TCP ports that are handed out once: to one test, in one process, of one network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// A TCP port that nobody listens on, from below the range from which the kernel picks for `--port 0` and for clients.
///
/// Daemons of one user share a port without a word, so a port must never be handed out twice: each test process takes
/// ports from a block that is its own.
pub fn free_port() -> u16 {
    static BLOCK: OnceLock<(UnixListener, u16)> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (_, first) = BLOCK.get_or_init(claim_block);
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS_PER_BLOCK;
        let free = |address: IpAddr| TcpListener::bind((address, port)).is_ok();
        let everywhere = free(Ipv6Addr::UNSPECIFIED.into()) || !has_ipv6();
        if everywhere && free(Ipv4Addr::UNSPECIFIED.into()) && free(Ipv4Addr::LOCALHOST.into()) {
            return port;
        }
    }
}

/// Some more than one run of all tests takes.
const PORTS_PER_BLOCK: u16 = 1_000;

/// The first port of a block that no other test process has. The claim is an abstract socket: it is as wide as the
/// network it stands for, and gone with the process.
fn claim_block() -> (UnixListener, u16) {
    let mut claims = (0..20).filter_map(|block| {
        let address = UnixAddress::from_abstract_name(format!("audience-meter-test-ports-{block}")).unwrap();
        Some((UnixListener::bind_addr(&address).ok()?, 11_000 + block * PORTS_PER_BLOCK))
    });
    claims.next().expect("twenty test processes at once")
}

/// Whether this machine speaks IPv6 to itself.
pub fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
