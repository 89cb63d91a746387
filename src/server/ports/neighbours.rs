//! Keeps two audiences from sharing a port by mistake, and counts the other processes of this one on this host.
//!
//! Processes of one audience share their ports (`SO_REUSEPORT`), and the kernel lets any process of the same user in. So a
//! second audience that forgot to choose other side ports would answer every other `nc localhost 1442`, and one that
//! listens on a more specific address would take the first one's members. So each process puts up a name for each of its
//! ports in the abstract socket namespace, which says whose port it is; the kernel takes it down when the process ends.
//! Loopback, which carries the audience's datagrams, and these names are of one extent: the network namespace.
//!
//! Invariant: a process puts up its own names before it looks; so of two that start at the same time, at least one sees the
//! other.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::port::Port;
use crate::config::Config;
use crate::config::identity::Identity;
use crate::meter::news::NodeId;
use crate::reactor::proc;

/// What all the names begin with.
const PREFIX: &str = "audience-meter/";

/// The names that this process puts up.
pub(super) struct Neighbours {
    audience: String,
    node: NodeId,
    /// Whether all processes of the audience are on this host.
    is_local: bool,
    /// The names, in the order in which they were put up.
    claims: Vec<String>,
    sockets: Vec<UnixDatagram>,
}

/// What a process says of a port.
#[derive(PartialEq, Eq)]
struct Claim<'a> {
    number: &'a str,
    /// The address it listens on, or `*`.
    host: &'a str,
    /// Whose it is.
    audience: &'a str,
    /// Which of its ports it is.
    port: &'a str,
    /// The process that says so, by a name that no process namespace changes.
    node: &'a str,
}

/// What the names that are up say.
pub(super) struct View {
    /// The first of the own names, counted from 0, that cannot stand beside another's.
    pub(super) clash: Option<usize>,
    /// The number of other processes of the audience; `None` when that cannot be seen from here.
    pub(super) sibling_count: Option<usize>,
}

impl Neighbours {
    /// Nothing is put up yet.
    pub(super) fn new(config: &Config, audience_port: u16, node: NodeId) -> Self {
        let identity = Identity::of(config, audience_port);
        let (audience, is_local) = (identity.to_string(), identity.is_local());
        Self { audience, node, is_local, claims: Vec::new(), sockets: Vec::new() }
    }

    /// Puts up the name of a port.
    pub(super) fn claim(&mut self, port: Port, number: u16, host: &str) {
        let claim = format!("{number}/{host}/{}/{port}/{}", self.audience, self.node);
        // Where there are no such names (another system call filter), there is no check; the kernel's own still holds.
        let address = SocketAddr::from_abstract_name(format!("{PREFIX}{claim}"));
        self.sockets.extend(address.and_then(|address| UnixDatagram::bind_addr(&address)));
        self.claims.push(claim);
    }

    /// Takes down all names but the first, which shows the others that this process is of the audience.
    pub(super) fn withdraw_ports(&mut self) {
        self.sockets.truncate(1);
        self.claims.truncate(1);
    }

    /// Reads all names, once: on a busy host the kernel's list is long.
    pub(super) fn look(&self) -> View {
        let list = proc::unix_socket_names();
        let up: Vec<Claim<'_>> = list.lines().filter_map(|line| Claim::parse(line.split_once(PREFIX)?.1)).collect();
        let clashes =
            |own: &String| Claim::parse(own).is_some_and(|own| up.iter().any(|other| own.clashes_with(other)));
        View { clash: self.claims.iter().position(clashes), sibling_count: self.sibling_count(&up) }
    }

    /// The number of other processes of the audience. A process that does not see its own name does not see the others'
    /// either.
    fn sibling_count(&self, up: &[Claim<'_>]) -> Option<usize> {
        let (node, port) = (self.node.to_string(), Port::Audience.to_string());
        let of_audience = up.iter().filter(|claim| claim.audience == self.audience && claim.port == port);
        let (own, others): (Vec<_>, Vec<_>) = of_audience.partition(|claim| claim.node == node);
        (self.is_local && !own.is_empty()).then_some(others.len())
    }
}

impl<'a> Claim<'a> {
    /// `number/host/audience/port/node`
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut next = || parts.next();
        Some(Self { number: next()?, host: next()?, audience: next()?, port: next()?, node: next()? })
    }

    /// Whether the other claim cannot stand beside this one.
    fn clashes_with(&self, other: &Self) -> bool {
        let overlaps = other.host == self.host || other.host == "*" || self.host == "*";
        let is_same_port = (other.host, other.audience, other.port) == (self.host, self.audience, self.port);
        other.number == self.number && overlaps && !is_same_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, audience: &str, other: &str, clashes: bool) {
        let claim = Claim { number: "7", host, audience, port: "stats", node: "own" };
        let other = Claim::parse(other);
        assert_eq!(other.is_some_and(|other| claim.clashes_with(&other)), clashes, "{host} {audience}");
    }

    #[test]
    fn a_port_is_shared_within_an_audience_only() {
        check("*", "local:*:80", "7/*/local:*:80/stats/17", false);
        check("*", "local:*:80", "7/*/local:*:81/stats/17", true);
        check("*", "local:*:80", "8/*/local:*:81/stats/17", false);
        check("*", "local:*:80", "7/*/local:*:80/demo/17", true);
        check("127.0.0.1", "x", "7/127.0.0.2/y/stats/17", false);
        check("127.0.0.1", "x", "7/*/x/stats/17", true);
        check("*", "x", "7/127.0.0.1/x/stats/17", true);
        check("*", "x", "7/nonsense", false);
    }

    /// A process of this audience that has put up the names of its ports. The address of the stats port is this test's own.
    fn up(audience: &str, address: &str, node: u64, is_local: bool) -> Neighbours {
        let audience = format!("{audience}{}", std::process::id());
        let mut up = Neighbours { audience, node: NodeId(node), is_local, claims: Vec::new(), sockets: Vec::new() };
        up.claim(Port::Audience, 8, &format!("{}.test", up.audience));
        up.claim(Port::Stats, 9, &format!("{}.{address}", std::process::id()));
        up
    }

    #[test]
    fn the_name_that_another_puts_up_is_seen() {
        let (one, same, other) = (up("a", "seen", 1, true), up("a", "seen", 2, true), up("b", "seen", 3, true));
        assert_eq!((one.look().clash, same.look().clash, other.look().clash), (Some(1), Some(1), Some(1)));
        drop(other);
        assert_eq!((one.look().clash, same.look().clash), (None, None));
    }

    #[test]
    fn siblings_are_those_of_the_same_audience_that_are_up() {
        let one = up("siblings", "siblings", 1, true);
        assert_eq!(one.look().sibling_count, Some(0));
        let (two, mut three, _stranger) = (
            up("siblings", "siblings", 2, true),
            up("siblings", "siblings", 3, true),
            up("strangers", "siblings", 4, true),
        );
        assert_eq!([&one, &two, &three].map(|each| each.look().sibling_count), [Some(2); 3]);
        three.sockets.clear();
        assert_eq!(one.look().sibling_count, Some(1));
        assert_eq!(three.look().sibling_count, None, "a process that is not up may not see the others either");
        assert_eq!(
            up("elsewhere", "siblings", 5, false).look().sibling_count,
            None,
            "on the network there may be others"
        );
    }
}
