//! Which listed peers are silent.
//!
//! Owns when a datagram of each last came. A peer is a name with all its addresses, and one of them suffices.
//!
//! Invariant: a peer is silent when nothing has come for [`SILENT_TIMEOUTS`] node timeouts.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::server::troubles::source::canonical;

/// Node timeouts after which a peer is silent. A host that restarts is back within one or two.
const SILENT_TIMEOUTS: u32 = 3;

/// The peers that the operator has listed.
pub(super) struct Peers {
    node_timeout: Duration,
    listed: Vec<Peer>,
    next_check: Option<Tick>,
}

struct Peer {
    name: Rc<str>,
    addresses: Vec<SocketAddr>,
    last: Tick,
    is_silent: bool,
}

impl Peers {
    pub(super) fn new(node_timeout: Duration) -> Self {
        Self { node_timeout, listed: Vec::new(), next_check: None }
    }

    /// Expects a peer; one that is expected has these addresses now.
    pub(super) fn expect(&mut self, name: Rc<str>, addresses: Vec<SocketAddr>, now: Tick) {
        let addresses = addresses.into_iter().map(canonical).collect();
        if let Some(peer) = self.listed.iter_mut().find(|peer| peer.name == name) {
            peer.addresses = addresses;
            return;
        }
        self.listed.push(Peer { name, addresses, last: now, is_silent: false });
        self.next_check = Some(now.after(self.node_timeout));
    }

    /// A datagram came from there. Returns the peer whose silence it ends.
    pub(super) fn received(&mut self, address: SocketAddr, now: Tick) -> Option<Rc<str>> {
        let index = self.index_of(canonical(address))?;
        let peer = &mut self.listed[index];
        peer.last = now;
        std::mem::take(&mut peer.is_silent).then(|| Rc::clone(&peer.name))
    }

    /// The peer at this address. Address translation may change the port of a datagram on its way, so the only peer of a host
    /// is known by the host.
    fn index_of(&self, address: SocketAddr) -> Option<usize> {
        let is_host = |peer: &Peer| peer.addresses.iter().any(|known| known.ip() == address.ip());
        let exact = self.listed.iter().position(|peer| peer.addresses.contains(&address));
        exact.or_else(|| {
            let index = self.listed.iter().position(is_host)?;
            (!self.listed[index + 1..].iter().any(is_host)).then_some(index)
        })
    }

    /// Looks for silent peers, if it is time. Returns whether it was.
    pub(super) fn check(&mut self, now: Tick) -> bool {
        if self.next_check.is_none_or(|check| now < check) {
            return false;
        }
        self.next_check = Some(now.after(self.node_timeout));
        let patience = self.node_timeout.saturating_mul(SILENT_TIMEOUTS);
        self.listed.iter_mut().for_each(|peer| peer.is_silent = now >= peer.last.after(patience));
        true
    }

    pub(super) fn silent(&self) -> impl Iterator<Item = &Rc<str>> {
        self.listed.iter().filter(|peer| peer.is_silent).map(|peer| &peer.name)
    }

    pub(super) fn has_silent(&self) -> bool {
        self.silent().next().is_some()
    }

    pub(super) fn next_check(&self) -> Option<Tick> {
        self.next_check
    }
}
