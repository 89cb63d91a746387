//! Keeps two audiences from sharing a port by mistake, and counts the other processes of this one on this host.
//!
//! Processes of one audience share their ports (`SO_REUSEPORT`), and the kernel lets any process of the same user in. So a
//! second audience that forgot to choose other side ports would answer every other `nc localhost 1442`, and one that
//! listens on a more specific address would take the first one's members. So each process puts up a name for each of its
//! ports in the abstract socket namespace, which says whose port it is; the kernel takes it down when the process ends.
//! Loopback, which carries the audience's datagrams, and these names are of one extent: the network namespace.
//!
//! The name of the audience port is the door of the process, a socket that siblings connect to.
//! A name ends with a random number of its process. It is not the name by which the node is known in datagrams, which no
//! other user need know.
//!
//! Invariant: a process puts up its own names before it looks; so of two that start at the same time, at least one sees the
//! other.
//!
//! Any user can put up any name. So a name alone is believed in nothing that would keep a process from serving: the port is
//! another audience's only if another socket of our user listens there, and a process of our user opens the door of that
//! audience.

use std::io;
use std::os::unix::net::{UnixDatagram, UnixListener};

use super::port::Port;
use crate::collections::order::in_order;
use crate::config::Config;
use crate::config::identity::Identity;
use crate::reactor::{local, proc, sys};

/// What all the names begin with.
const PREFIX: &str = "audience-meter/";

/// Most doors that a process knocks at; a connection that comes to nothing takes 3 us, so 3 ms.
const DOORS_MAX: usize = 1_024;

/// The names that this process puts up.
pub(super) struct Neighbours {
    /// Whose the ports are.
    pub(super) audience: String,
    /// What the names of this process end with.
    token: String,
    /// Whether all processes of the audience are on this host.
    is_local: bool,
    /// The number of the audience port.
    audience_port: u16,
    /// The names, in the order in which they were put up, each with its socket, if that is held here.
    claims: Vec<(String, Option<UnixDatagram>)>,
}

/// What a process says of a port; those of one process are side by side in their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim<'a> {
    /// The process that says so.
    token: &'a str,
    number: &'a str,
    /// The address it listens on, or `*`.
    host: &'a str,
    /// Whose it is.
    audience: &'a str,
    /// Which of its ports it is.
    port: &'a str,
}

/// The door of another process of the audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct SiblingDoor {
    pub(in crate::server) name: String,
    /// Whether the two have one audience port, and so one group on loopback.
    pub(in crate::server) is_near: bool,
}

/// What the names that are up say.
pub(super) struct View {
    /// The first of the own names, counted from 0, that cannot stand beside another's; and whether the other is our user's.
    pub(super) clash: Option<(usize, bool)>,
    /// The number of other processes of the audience; `None` when that cannot be seen from here.
    pub(super) sibling_count: Option<usize>,
}

impl Neighbours {
    /// Nothing is put up yet.
    ///
    /// # Errors
    /// What the kernel says: it has no randomness.
    pub(super) fn new(config: &Config, audience_port: u16) -> io::Result<Self> {
        let identity = Identity::of(config, audience_port);
        let (audience, is_local) = (identity.to_string(), identity.is_local());
        let token = format!("{:016x}", u64::from_ne_bytes(sys::random()?));
        Ok(Self { audience, token, is_local, audience_port, claims: Vec::new() })
    }

    /// Puts up the name of the audience port as a socket that siblings connect to; `None` where there are no such sockets.
    pub(super) fn open_door(&mut self, number: u16, host: &str) -> Option<UnixListener> {
        let claim = self.name(Port::Audience, number, host);
        let door = local::listen(&format!("{PREFIX}{claim}")).ok();
        self.claims.push((claim, None));
        door
    }

    /// Puts up the name of a port.
    pub(super) fn claim(&mut self, port: Port, number: u16, host: &str) {
        let claim = self.name(port, number, host);
        // Where there are no such names (another system call filter), there is no check; the kernel's own still holds.
        let socket = local::put_up(&format!("{PREFIX}{claim}")).ok();
        self.claims.push((claim, socket));
    }

    fn name(&self, port: Port, number: u16, host: &str) -> String {
        format!("{number}/{host}/{}/{port}/{}", self.audience, self.token)
    }

    /// Takes down all names but that of the audience port, which shows the others that this process is of the audience.
    pub(super) fn withdraw_ports(&mut self) {
        self.claims.truncate(1);
    }

    /// Reads all names, once: on a busy host the kernel's list is long. `others_at` counts the sockets of our user, this
    /// process aside, that listen on a port; `None` when they are not shown.
    pub(super) fn look(&self, uid: u32, others_at: impl Fn(u16) -> Option<usize>) -> View {
        let list = proc::unix_socket_names();
        let up: Vec<(&str, Claim<'_>)> = claims_in(&list).collect();
        let (mut clash, mut proven) = (None, None);
        for (index, (own, _)) in self.claims.iter().enumerate() {
            let Some(own) = Claim::parse(own) else { continue };
            let mut against = up.iter().map(|(_, other)| other).filter(|other| own.clashes_with(other)).peekable();
            if against.peek().is_none() {
                continue;
            }
            clash = clash.or(Some((index, false)));
            let may_be_shared = others_at(own.number.parse().unwrap_or(0)) != Some(0);
            // A stranger may have put up many names.
            if proven.is_none() && may_be_shared && against.take(DOORS_MAX).any(|other| is_of_user(other, &up, uid)) {
                proven = Some((index, true));
            }
        }
        View { clash: proven.or(clash), sibling_count: self.sibling_count(&up, uid, others_at(self.audience_port)) }
    }

    /// The doors of the other processes of the audience, [`DOORS_MAX`] at most; `None` when they cannot be seen from here.
    pub(super) fn sibling_doors(&self) -> Option<Vec<SiblingDoor>> {
        let list = proc::unix_socket_names();
        let is_seen = claims_in(&list).any(|(_, claim)| self.is_door(&claim) && claim.token == self.token);
        let others = claims_in(&list).filter(|(_, claim)| self.is_door(claim) && claim.token != self.token);
        // A guest has the name of its door, too.
        let own_number = self.audience_port.to_string();
        let mut doors: Vec<(&str, bool)> =
            in_order(others.map(|(name, claim)| (name, claim.number == own_number)).collect());
        doors.dedup();
        // From anywhere on, so that no stranger can foresee which are left out.
        let first = usize::from_ne_bytes(sys::random().unwrap_or_default()) % doors.len().max(1);
        doors.rotate_left(first);
        let door = |(name, is_near): (&str, bool)| SiblingDoor { name: name.to_owned(), is_near };
        is_seen.then(|| doors.into_iter().take(DOORS_MAX).map(door).collect())
    }

    /// The number of processes of the audience that listen where this one does, itself included; `None` when they cannot be
    /// seen from here. Another user may put up names that make it larger.
    pub(super) fn group_size(&self) -> Option<usize> {
        let list = proc::unix_socket_names();
        let own = Claim::parse(&self.claims.first()?.0)?;
        let is_of_group =
            |claim: &Claim<'_>| (claim.number, claim.host) == (own.number, own.host) && self.is_door(claim);
        let tokens = claims_in(&list).map(|(_, claim)| claim).filter(is_of_group).map(|claim| claim.token);
        let mut tokens: Vec<&str> = in_order(tokens.collect());
        tokens.dedup();
        tokens.contains(&own.token).then_some(tokens.len())
    }

    fn is_door(&self, claim: &Claim<'_>) -> bool {
        claim.audience == self.audience && claim.port == Port::Audience.to_string()
    }

    /// The number of other processes of the audience. A process that does not see its own name does not see the others'
    /// either. Where there are more names than sockets that listen, some have stopped listening, or a stranger has put names up;
    /// then those count whose doors our user opens.
    fn sibling_count(&self, up: &[(&str, Claim<'_>)], uid: u32, listening: Option<usize>) -> Option<usize> {
        let doors = up.iter().map(|(_, claim)| claim).filter(|claim| self.is_door(claim));
        // A connection to a door has the name of the door as long as it is open.
        let mut doors: Vec<&Claim<'_>> = in_order(doors.collect());
        doors.dedup_by_key(|door| door.token);
        let count = doors.len();
        doors.retain(|door| door.token != self.token);
        if !self.is_local || doors.len() == count {
            return None;
        }
        if listening.is_some_and(|listening| doors.len() > listening) {
            return Some(doors.into_iter().take(DOORS_MAX).filter(|door| is_of_user(door, up, uid)).count());
        }
        Some(doors.len())
    }
}

/// The claims in the kernel's list, each with its name.
fn claims_in(list: &str) -> impl Iterator<Item = (&str, Claim<'_>)> {
    list.lines().filter_map(|line| {
        let name = line.get(line.find(PREFIX)?..)?;
        Some((name, Claim::parse(name.get(PREFIX.len()..)?)?))
    })
}

/// Whether a process of this user opens the door of the process that makes a claim.
fn is_of_user(claim: &Claim<'_>, up: &[(&str, Claim<'_>)], uid: u32) -> bool {
    let audience = Port::Audience.policy().name;
    let mut doors = up
        .iter()
        .filter(|(_, door)| door.port == audience && (door.audience, door.token) == (claim.audience, claim.token));
    doors.next().is_some_and(|(name, _)| {
        local::connect(name).and_then(|stream| local::peer_uid(&stream)).is_ok_and(|owner| owner == uid)
    })
}

impl<'a> Claim<'a> {
    /// `number/host/audience/port/token`
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut next = || parts.next();
        Some(Self { number: next()?, host: next()?, audience: next()?, port: next()?, token: next()? })
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
        let claim = Claim { number: "7", host, audience, port: "stats", token: "own" };
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

    /// What is seen where the kernel does not show which sockets listen.
    fn look(of: &Neighbours) -> View {
        of.look(local::own_uid().unwrap(), |_| None)
    }

    /// A process of this audience that has put up the names of its ports. The address of the stats port is this test's own.
    fn up(audience: &str, address: &str, token: u64, is_local: bool) -> Neighbours {
        let audience = format!("{audience}{}", std::process::id());
        let (token, claims) = (token.to_string(), Vec::new());
        let mut up = Neighbours { audience, token, is_local, audience_port: 8, claims };
        up.claim(Port::Audience, 8, &format!("{}.test", up.audience));
        up.claim(Port::Stats, 9, &format!("{}.{address}", std::process::id()));
        up
    }

    #[test]
    fn the_name_that_another_puts_up_is_seen() {
        let (one, same, other) = (up("a", "seen", 1, true), up("a", "seen", 2, true), up("b", "seen", 3, true));
        let clashes = |of: &[&Neighbours]| of.iter().map(|each| look(each).clash).collect::<Vec<_>>();
        assert_eq!(clashes(&[&one, &same, &other]), [Some((1, false)); 3], "a name alone proves nothing");
        drop(other);
        assert_eq!(clashes(&[&one, &same]), [None; 2]);
    }

    #[test]
    fn a_port_is_another_audiences_if_our_user_listens_there_and_opens_its_door() {
        let uid = local::own_uid().unwrap();
        let (one, mut other) = (up("one", "proof", 1, true), up("other", "proof", 2, true));
        let clash = |listening| one.look(uid, |_| listening).clash;
        assert_eq!(clash(None), Some((1, false)), "it has no door");
        other.claims.remove(0);
        let door = other.open_door(8, "proof.test").unwrap();
        assert_eq!([None, Some(0), Some(1)].map(clash), [Some((1, true)), Some((1, false)), Some((1, true))]);
        assert_eq!(one.look(uid + 1, |_| None).clash, Some((1, false)), "it is another user's");
        drop(door);
        assert_eq!(clash(Some(1)), Some((1, false)));
    }

    #[test]
    fn names_beyond_the_sockets_that_listen_are_siblings_if_our_user_opens_their_doors() {
        let uid = local::own_uid().unwrap();
        let one = up("crowd", "crowd", 1, true);
        let mut others = [2, 3, 4].map(|token| up("crowd", "crowd", token, true));
        let count = |listening| one.look(uid, |_| listening).sibling_count;
        assert_eq!([None, Some(3), Some(2), Some(0)].map(count), [Some(3), Some(3), Some(0), Some(0)]);
        others[1].claims.remove(0);
        let _door = others[1].open_door(8, &format!("{}.test", one.audience)).unwrap();
        assert_eq!([Some(3), Some(2), Some(0)].map(count), [Some(3), Some(1), Some(1)], "it does not listen any more");
        assert_eq!(one.look(uid + 1, |_| Some(0)).sibling_count, Some(0));
    }

    #[test]
    fn siblings_are_those_of_the_same_audience_that_are_up() {
        let one = up("siblings", "siblings", 1, true);
        assert_eq!(look(&one).sibling_count, Some(0));
        let (two, mut three, _stranger) = (
            up("siblings", "siblings", 2, true),
            up("siblings", "siblings", 3, true),
            up("strangers", "siblings", 4, true),
        );
        assert_eq!([&one, &two, &three].map(|each| look(each).sibling_count), [Some(2); 3]);
        assert_eq!([&one, &two, &three].map(Neighbours::group_size), [Some(3); 3]);
        three.claims.clear();
        assert_eq!((look(&one).sibling_count, one.group_size()), (Some(1), Some(2)));
        assert_eq!(three.group_size(), None);
        assert_eq!(look(&three).sibling_count, None, "a process that is not up may not see the others either");
        assert_eq!(
            look(&up("elsewhere", "siblings", 5, false)).sibling_count,
            None,
            "on the network there may be others"
        );
    }

    #[test]
    fn a_door_is_a_sibling_once_however_many_knock() {
        let audience = format!("doors{}", std::process::id());
        let mut one = up("doors", "doors", 1, true);
        assert_eq!(one.sibling_doors(), Some(Vec::new()));
        let (token, claims) = ("2".to_owned(), Vec::new());
        let mut two = Neighbours { audience, token, is_local: true, audience_port: 8, claims };
        let door = two.open_door(8, &format!("{}.test", one.audience)).unwrap();
        let doors = one.sibling_doors().unwrap();
        assert!(doors.len() == 1 && doors[0].is_near, "{doors:?}");
        let _guests = [(); 3].map(|()| local::connect(&doors[0].name).unwrap());
        one.audience_port = 9;
        assert!(!one.sibling_doors().unwrap()[0].is_near, "it has another port");
        assert_eq!((look(&one).sibling_count, look(&two).sibling_count), (Some(1), Some(1)));
        two.withdraw_ports();
        assert_eq!(look(&one).sibling_count, Some(1), "the name is up as long as its door");
        drop(door);
        one.claims.clear();
        assert_eq!(one.sibling_doors(), None);
    }
}
