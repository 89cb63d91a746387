//! The other processes of the audience on this host: their doors, and links to those that are not received.
//!
//! Owns when it is knocked at doors, and what becomes of the answers. Siblings send to each other by multicast over loopback.
//! A filter of packets may drop that, for some of them or for all. So a process that misses a sibling looks for doors
//! (`ports::neighbours`) and knocks. A sibling that answers is there; it is not received, so the stream stays open and
//! carries the datagrams instead, both ways. A packet filter does not see such streams, both ends know that the other is of
//! their user, and the door is there for the key of loopback anyway.
//!
//! A process is ready while each sibling that opens its door is received by some way. That multicast is filtered is a trouble
//! for as long as it is so, for links cost a call for each sibling and datagram.
//!
//! | file | owns |
//! |---|---|
//! | `door` | the door of this process |
//! | `greeting` | what two siblings say first to each other |
//! | `knocks` | connections to doors that have not been answered |
//! | `roll` | what is known of each sibling |
//!
//! Invariant: while all siblings are received over loopback, there is no knock and no link.

mod door;
pub(super) mod greeting;
pub(super) mod knocks;
mod roll;

use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::bus::{Bus, Link};
use super::ports::neighbours::SiblingDoor;
use crate::collections::tick::{Now, Tick};
use crate::log::{self, Value::Shown};
use crate::meter::Meter;
use crate::meter::news::NodeId;
use crate::reactor::{Reactor, Token};
use door::Door;
use greeting::{Greeting, Key};
use knocks::{Answer, Knocks};
use roll::Roll;

/// How long siblings may take to be received when a process starts: on one host they need a millisecond.
const FIRST_LOOK: Duration = Duration::from_millis(30);

/// How long a process that starts waits for doors to be opened.
const DOOR_PATIENCE: Duration = Duration::from_millis(50);

/// How often it is looked whether siblings are received, at 0.1 us for each.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a process waits between two rounds of knocks. A round reads the kernel's list and knocks at the doors in it:
/// 0.1 ms on a usual host, 4 ms where strangers have put up a thousand names.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// The same while no door is opened: siblings that hang are not there.
const ROUND_INTERVAL_MAX: Duration = Duration::from_secs(8);

/// The siblings of this process.
pub(super) struct Siblings {
    node: NodeId,
    uid: u32,
    token: Token,
    door: Door,
    knocks: Knocks,
    knocked_at: Option<Tick>,
    roll: Roll,
    is_ready: bool,
    /// Whether a sibling is missed.
    is_missing: bool,
    next_look: Tick,
    next_round: Tick,
    round_interval: Duration,
}

impl Siblings {
    /// Opens the door; `doors` are those of the others.
    ///
    /// # Errors
    /// What the kernel says, for lack of watches.
    pub(super) fn begin(
        node: NodeId,
        uid: u32,
        listener: UnixListener,
        doors: Vec<SiblingDoor>,
        node_timeout: Duration,
        reactor: &Reactor,
        token: Token,
    ) -> io::Result<Self> {
        let now = reactor.now().tick;
        Ok(Self {
            node,
            uid,
            token,
            door: Door::open(listener, uid, reactor, token)?,
            knocks: Knocks::default(),
            knocked_at: None,
            is_missing: !doors.is_empty(),
            roll: Roll::new(node_timeout, doors),
            is_ready: false,
            next_look: now.after(FIRST_LOOK),
            next_round: now.after(FIRST_LOOK),
            round_interval: ROUND_INTERVAL,
        })
    }

    /// When there is something to do. That all siblings are well wakes no process.
    pub(super) fn next_deadline(&self, is_doubtful: bool) -> Option<Tick> {
        let round = self.is_missing.then_some(self.next_round);
        let doubt = is_doubtful.then(|| self.next_doubt());
        [round, doubt, self.door.next_deadline()].into_iter().flatten().min()
    }

    /// When all siblings may be asked for their keys.
    fn next_doubt(&self) -> Tick {
        self.knocked_at.map_or(Tick(0), |at| at.after(ROUND_INTERVAL))
    }

    /// A guest is at the door, or a sibling has answered.
    pub(super) fn mark_ready(&mut self) {
        self.is_ready = true;
    }

    /// Whether a sibling that is missed may be found in a moment.
    pub(super) fn is_seeking(&self, bus: &mut Bus, meter: &Meter, now: Now) -> bool {
        let is_recent = self.knocked_at.is_some_and(|at| now.tick < at.after(DOOR_PATIENCE));
        (is_recent && self.knocks.is_open())
            || bus.near().linked().any(|node| meter.nodes(now).all(|living| living.node != node))
    }

    /// Answers guests, which get this key, and takes answers in; returns the keys in them.
    pub(super) fn exchange(
        &mut self,
        key: Option<Key>,
        bus: &mut Bus,
        meter: &Meter,
        reactor: &Reactor,
        now: Now,
    ) -> Vec<Key> {
        self.door.wake(reactor, now);
        if !std::mem::take(&mut self.is_ready) {
            return Vec::new();
        }
        let greeting = Greeting { key, node: self.node };
        for guest in self.door.answer(&greeting, reactor, now) {
            log::debug("sibling_link", &[("node", Shown(&guest.node)), ("guest", Shown(&guest.node))]);
            bus.near().add_link(Link::new(guest.node, guest.node, guest.stream), reactor);
        }
        let answers = self.knocks.answers();
        self.knocks.go_on(self.uid, reactor, self.token);
        answers.into_iter().filter_map(|answer| self.take_in(answer, bus, meter, reactor, now)).collect()
    }

    /// A sibling is there. Where it is not received, the stream becomes a link.
    fn take_in(&mut self, answer: Answer, bus: &mut Bus, meter: &Meter, reactor: &Reactor, now: Now) -> Option<Key> {
        let Answer { door, greeting: Greeting { key, node }, stream } = answer;
        self.roll.open(&door, node, now.tick);
        self.round_interval = ROUND_INTERVAL;
        if self.roll.wants_link(node, bus.near().reception(node, meter, now)) {
            let own = Greeting { key: None, node: self.node };
            if own.send(stream.source()).is_ok() {
                log::debug("sibling_link", &[("node", Shown(&node)), ("guest", Shown(&self.node))]);
                bus.near().add_link(Link::new(node, self.node, stream), reactor);
            }
        }
        key
    }

    /// Looks whether siblings are missed, if it is time, and knocks at their doors: at all doors if `is_doubtful` says that keys
    /// may differ. `doors` are read only then. Returns whether it has knocked.
    pub(super) fn look(
        &mut self,
        is_doubtful: bool,
        doors: impl FnOnce() -> Option<Vec<SiblingDoor>>,
        bus: &mut Bus,
        meter: &Meter,
        reactor: &Reactor,
        now: Now,
    ) -> bool {
        let is_round_due = self.is_missing && now.tick >= self.next_round;
        if is_round_due || now.tick >= self.next_look {
            self.next_look = now.tick.after(LOOK_INTERVAL);
            self.find_missing(bus, meter, now);
        }
        let is_round_due = self.is_missing && now.tick >= self.next_round;
        let is_doubt_due = is_doubtful && now.tick >= self.next_doubt();
        if !is_round_due && !is_doubt_due {
            return false;
        }
        self.next_round = now.tick.after(self.round_interval);
        self.round_interval = (self.round_interval * 2).min(ROUND_INTERVAL_MAX);
        if let Some(doors) = doors() {
            self.roll.update(doors);
        }
        // A round before it that has no answer is over.
        let near = bus.near();
        self.knocks = Knocks::at(self.roll.doors(is_doubtful, |node| near.reception(node, meter, now)));
        self.knocks.go_on(self.uid, reactor, self.token);
        self.knocked_at = Some(now.tick);
        true
    }

    fn find_missing(&mut self, bus: &mut Bus, meter: &Meter, now: Now) {
        let near = bus.near();
        let has_silent = near.has_silent(meter, now);
        let received_count = near.received_count(meter, now);
        let findings = self.roll.look(received_count, |node| near.reception(node, meter, now), now.tick);
        let was_missing = std::mem::replace(&mut self.is_missing, has_silent || findings.unsettled_count > 0);
        if self.is_missing && !was_missing {
            self.round_interval = ROUND_INTERVAL;
            self.next_round = self.knocked_at.map_or(now.tick, |at| now.tick.max(at.after(ROUND_INTERVAL)));
        }
        findings.filtered.iter().for_each(|&node| bus.set_filtered(node, true, now));
        findings.received.iter().for_each(|&node| bus.set_filtered(node, false, now));
        findings.settled.iter().for_each(|&node| bus.near().close_link(node));
        bus.set_deaf(findings.is_deaf);
    }
}
