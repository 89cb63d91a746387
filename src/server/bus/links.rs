//! Links: streams to siblings, which no filter of packets touches.
//!
//! Owns the streams and what is on its way in them. A link carries what the group on loopback carries, both ways, while one
//! of the two ends does not receive the other there. It does not know when that is.
//!
//! A sibling that hangs takes nothing off its stream, so what does not fit into the kernel's buffer is lost, and heals like
//! other losses. Of a frame that is cut, the rest is kept until it fits.
//!
//! Two siblings may connect to each other at the same time. Of two links between them the one stays whose guest, the end that
//! has connected, has the lesser name; of two links with one guest the later one.
//!
//! Invariant: there is at most one link to a node, and at most [`LINKS_MAX`].

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::frames::{Incoming, frame};
use crate::collections::tick::Tick;
use crate::meter::news::NodeId;
use crate::reactor::{Reactor, Registered, Token};
use crate::server::conns::torture;

/// Most links: siblings of this number are those of a host with as many processors.
const LINKS_MAX: usize = 256;

/// Most parts in which a frame is written at a time.
const WRITES_MAX: usize = 8;

/// The links of a process.
#[derive(Default)]
pub(super) struct Links {
    open: Vec<Link>,
}

/// A stream to a sibling that has introduced itself.
pub(in crate::server) struct Link {
    /// The process at the other end.
    pub(in crate::server) node: NodeId,
    /// The one of the two that has connected.
    pub(in crate::server) guest: NodeId,
    stream: Registered<UnixStream>,
    incoming: Incoming,
    /// The rest of a frame that was cut.
    rest: Vec<u8>,
    received_at: Option<Tick>,
}

/// What a link had to give.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A datagram of this length.
    Datagram(usize),
    /// A datagram that is left aside.
    Copy,
    /// Nothing at the moment.
    Nothing,
}

impl Link {
    pub(in crate::server) fn new(node: NodeId, guest: NodeId, stream: Registered<UnixStream>) -> Self {
        Self { node, guest, stream, incoming: Incoming::default(), rest: Vec::new(), received_at: None }
    }

    /// Has its stream called by another name.
    pub(super) fn rename(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        self.stream.rename(reactor, token)
    }

    /// Sends a frame, or what fits of it; returns whether it is on its way.
    fn send(&mut self, frame: &[u8]) -> io::Result<bool> {
        if !self.flush()? {
            return Ok(false);
        }
        let count = self.write(frame)?;
        self.rest.extend_from_slice(frame.get(count..).filter(|_| count > 0).unwrap_or_default());
        Ok(count > 0)
    }

    /// Sends what is left of a cut frame; returns whether nothing is.
    fn flush(&mut self) -> io::Result<bool> {
        let rest = std::mem::take(&mut self.rest);
        let count = self.write(&rest)?;
        self.rest = rest.get(count..).unwrap_or_default().to_vec();
        Ok(self.rest.is_empty())
    }

    /// Writes what fits, and returns its length.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut count = 0;
        for _ in 0..WRITES_MAX {
            let Some(left) = bytes.get(count..).filter(|left| !left.is_empty()) else { break };
            match torture::write(self.stream.source(), left) {
                Ok(written) => count += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn receive(&mut self, datagram: &mut [u8], now: Tick) -> io::Result<Received> {
        loop {
            if let Some(length) = self.incoming.take(datagram)? {
                self.received_at = Some(now);
                return Ok(Received::Datagram(length));
            }
            let stream = self.stream.source();
            match self.incoming.read(|buffer| torture::read(stream, buffer)) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return Ok(Received::Nothing);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Links {
    /// Adds a link, unless there is a better one.
    pub(super) fn add(&mut self, link: Link) {
        if let Some(known) = self.open.iter_mut().find(|known| known.node == link.node) {
            if link.guest <= known.guest {
                *known = link;
            }
        } else if self.open.len() < LINKS_MAX {
            self.open.push(link);
        }
    }

    /// Closes the link to a node.
    pub(super) fn close(&mut self, node: NodeId) {
        self.open.retain(|link| link.node != node);
    }

    /// The number of links.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The node at the other end of each.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.open.iter().map(|link| link.node)
    }

    /// The end of the link to a node that has connected.
    pub(super) fn guest_of(&self, node: NodeId) -> Option<NodeId> {
        self.open.iter().find(|link| link.node == node).map(|link| link.guest)
    }

    /// Whether something has come from the node by its link, for no longer than this ago.
    pub(super) fn carries(&self, node: NodeId, patience: Duration, now: Tick) -> bool {
        let is_fresh = |link: &Link| link.received_at.is_some_and(|at| now < at.after(patience));
        self.open.iter().any(|link| link.node == node && is_fresh(link))
    }

    /// Sends a datagram by all links; returns how many it has gone by.
    pub(super) fn send(&mut self, datagram: &[u8]) -> usize {
        let Some(frame) = frame(datagram).filter(|_| !self.open.is_empty()) else { return 0 };
        let mut sent = 0;
        self.open.retain_mut(|link| {
            let outcome = link.send(&frame);
            sent += usize::from(matches!(outcome, Ok(true)));
            outcome.is_ok()
        });
        sent
    }

    /// Sends what is left of cut frames.
    pub(super) fn flush(&mut self) {
        self.open.retain_mut(|link| link.rest.is_empty() || link.flush().is_ok());
    }

    /// Receives a datagram of the link that has this place among them; `None` if there is none, or it has just ended.
    pub(super) fn receive(&mut self, place: usize, datagram: &mut [u8], now: Tick) -> Option<(NodeId, Received)> {
        let link = self.open.get_mut(place)?;
        let node = link.node;
        let Ok(received) = link.receive(datagram, now) else {
            self.open.remove(place);
            return None;
        };
        Some((node, received))
    }

    /// The next receives begin with another link.
    pub(super) fn rotate(&mut self) {
        if !self.open.is_empty() {
            self.open.rotate_left(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Interest;
    use crate::wire::report::ENVELOPE_MAX;
    use std::io::{Read as _, Write as _};

    const HERE: NodeId = NodeId(1);
    const THERE: NodeId = NodeId(2);
    const NOW: Tick = Tick(7);

    fn link(guest: NodeId, reactor: &Reactor) -> (Link, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.set_nonblocking(true).unwrap();
        (Link::new(THERE, guest, Registered::new(reactor, here, Token(7), Interest::Read).unwrap()), there)
    }

    fn received(links: &mut Links) -> Option<Vec<u8>> {
        let mut datagram = [0; ENVELOPE_MAX];
        match links.receive(0, &mut datagram, NOW)? {
            (THERE, Received::Datagram(length)) => Some(datagram[..length].to_vec()),
            _ => None,
        }
    }

    #[test]
    fn what_is_sent_comes_out_at_the_other_end() {
        let reactor = Reactor::new().unwrap();
        let (mut links, mut others) = (Links::default(), Links::default());
        let (ours, theirs) = link(HERE, &reactor);
        links.add(ours);
        others.add(Link::new(THERE, HERE, Registered::new(&reactor, theirs, Token(7), Interest::Read).unwrap()));
        assert_eq!((links.send(b"one"), links.send(&[9; ENVELOPE_MAX]), links.send(b"")), (1, 1, 0));
        assert!(!others.carries(THERE, Duration::from_secs(1), NOW));
        assert_eq!(received(&mut others).unwrap(), b"one");
        assert_eq!(received(&mut others).unwrap(), [9; ENVELOPE_MAX]);
        assert_eq!((received(&mut others), others.len()), (None, 1));
        assert!(others.carries(THERE, Duration::from_secs(1), NOW));
        assert!(!others.carries(THERE, Duration::from_secs(1), NOW.after(Duration::from_secs(1))));
    }

    #[test]
    fn a_sibling_that_hangs_costs_one_cut_frame_and_loses_whole_ones() {
        let reactor = Reactor::new().unwrap();
        let mut links = Links::default();
        let (ours, mut hung) = link(HERE, &reactor);
        links.add(ours);
        let datagram = [9; 1_000];
        let mut sent = 0;
        while links.send(&datagram) == 1 {
            sent += 1;
        }
        assert!(sent > 10 && links.open[0].rest.len() <= ENVELOPE_MAX + 2);
        for _ in 0..100 {
            assert_eq!(links.send(&datagram), 0);
        }
        // It goes on: what it finds are whole frames.
        let mut stream = Vec::new();
        loop {
            let mut bytes = [0; 4_096];
            links.flush();
            match hung.read(&mut bytes) {
                Ok(count) => stream.extend_from_slice(&bytes[..count]),
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(stream, frame(&datagram).unwrap().repeat(sent));
        assert_eq!((links.send(&datagram), links.len()), (1, 1));
    }

    #[test]
    fn a_sibling_that_goes_in_the_middle_of_a_frame_takes_its_link_with_it() {
        let reactor = Reactor::new().unwrap();
        for bytes in [&b""[..], b"\x05", b"\x05\0half", b"\0\0", b"\xff\xff"] {
            let mut links = Links::default();
            let (ours, mut theirs) = link(HERE, &reactor);
            links.add(ours);
            theirs.write_all(bytes).unwrap();
            drop(theirs);
            assert_eq!((received(&mut links), links.len()), (None, 0));
        }
        let mut links = Links::default();
        let (ours, theirs) = link(HERE, &reactor);
        links.add(ours);
        drop(theirs);
        assert_eq!((links.send(b"to no one"), links.len()), (0, 0));
    }

    #[test]
    fn of_two_links_both_ends_keep_the_same_one() {
        let reactor = Reactor::new().unwrap();
        for guests in [[HERE, THERE], [THERE, HERE], [HERE, HERE]] {
            let mut links = Links::default();
            let ends = guests.map(|guest| {
                let (ours, theirs) = link(guest, &reactor);
                links.add(ours);
                theirs
            });
            assert_eq!((links.len(), links.guest_of(THERE)), (1, Some(HERE)));
            // The later one of one guest.
            let kept = usize::from(guests != [HERE, THERE]);
            assert_eq!(links.send(b"x"), 1);
            for (index, mut end) in ends.into_iter().enumerate() {
                assert_eq!(end.read(&mut [0; 9]).unwrap_or(9), if index == kept { 3 } else { 0 });
            }
        }
    }
}
