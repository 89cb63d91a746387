//! The one world of many nodes, on a virtual clock and any network: what holds here holds for the very code that runs in the
//! daemon.
//!
//! A world runs a script: joins, leaves, claims, messages, walks, departures, restarts, hand-overs, pauses, cuts, clock steps, datagrams of
//! invented nodes. Its bytes are a fuzz input, and a seed makes them by chance ([`script_of`], [`ending_of`]). Datagrams go
//! through their real encoding over a bus that loses, doubles, delays and reorders them, or leaves that to the script.
//!
//! After each step of a node the observer compares the meter with a book that is kept the slow way (`observer`); at
//! the end, when nothing happens any more, all nodes have to agree with it (`settle`).
//!
//! A test may do by hand what a script does: [`World::step`], [`World::receive_from_stranger`], [`World::wake`] and
//! [`World::pass`]; the observer looks on all the same. It reads what a node's meter wanted done from [`Node::next_output`].
//!
//! It knows meters only by their public verbs. Further operations are rows of the table in `operations`, further troubles of
//! the network are data of [`Weather`].
//!
//! | file | owns |
//! |---|---|
//! | `script` | how bytes are read as operations and arguments |
//! | `setting` | the head of a script: rules, nodes, weather, end |
//! | `operations` | the table of what may happen |
//! | `seeds` | how often what happens, by chance |
//! | `clock` | the time of the world, and what each node takes it to be |
//! | `fleet` | what a test does by hand to processes and to the network |
//! | `handing_over` | a process that hands itself over to another program |
//! | `network` | the ways between nodes |
//! | `bus` | datagrams on their way |
//! | `broker` | the connections of processes with a broker |
//! | `node` | one process: a meter and its book |
//! | `done` | what a node did in one step |
//! | `reception` | what becomes of a datagram at the node that it reaches |
//! | `answers` | what the senders of messages are answered |
//! | `strangers` | invented nodes |
//! | `adversary` | somebody who knows everything but keys and secrets |
//! | `versions` | what a later version of the program adds to datagrams |
//! | `observer` | what is true |
//! | `people` | which people are different, and what nodes say of their number |
//! | `settle` | the ends of worlds, and what must hold there |

mod adversary;
mod answers;
mod broker;
mod bus;
mod clock;
mod done;
mod fleet;
mod handing_over;
mod network;
mod node;
mod observer;
mod operations;
mod people;
mod reception;
mod script;
mod seeds;
mod setting;
mod settle;
mod strangers;
mod versions;

use std::rc::Rc;
use std::time::Duration;

use audience_meter::collections::tick::Now;
use audience_meter::meter::Rejection;
use audience_meter::meter::news::{Datagram, News, NodeId, Origin, To};
use audience_meter::wire::report::{DATAGRAM_MAX, FORMATS, Keys, Scope};

use crate::Chance;
use adversary::Adversary;
pub use adversary::Sight;
use bus::{Bus, Flight};
use clock::{Clock, Offset};
pub use done::Done;
use done::Passed;
pub use fleet::{add_node, cut_at, heal, restart, sent_count};
pub use handing_over::{hand_over, table_of, take_over};
pub use network::Kind;
use network::Network;
pub use node::Node;
use observer::Observer;
pub use people::Individual;
use script::Script;
pub use seeds::{Scene, brokered_ending_of, brokered_of, ending_of, hung_ear_of, script_of};
pub use setting::{End, Setting, Weather};
pub use settle::Outcome;
use strangers::{STRANGERS, Stranger};
pub use versions::{LATER, encode, with_more};

/// How many operations of a script are carried out: a seed makes about 1,400.
const OPERATIONS_MAX: usize = 2_000;

/// With a clean delay up to this, a node may forget an event in the very tick in which it receives that there was one:
/// the event was left so long ago elsewhere.
const SOON_FORGOTTEN: Duration = Duration::from_mins(1);

/// Some nodes, a network between them, and an observer.
pub struct World {
    setting: Setting,
    clock: Clock,
    nodes: Vec<Node>,
    /// The node that acts.
    at: usize,
    /// How many nodes there ever were.
    born: u64,
    /// Where the next one is reached.
    next_address: u64,
    network: Network,
    bus: Bus,
    scope: Scope,
    is_cut: bool,
    strangers: [Stranger; STRANGERS],
    adversary: Option<Adversary>,
    observer: Observer,
}

/// Runs one script to its end.
///
/// # Panics
/// If a meter's book and the observer's differ, or a meter breaks a promise.
pub fn run(bytes: &[u8]) -> Outcome {
    let mut script = Script(bytes);
    let setting = Setting::read(&mut script);
    let mut world = World::new(setting);
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = script.operation() else { break };
        operations::act(&mut world, operation, &mut script);
    }
    settle::settle(&mut world)
}

impl World {
    /// A world of this setting, in which nothing has happened yet.
    pub fn new(setting: Setting) -> Self {
        let scope = Scope { id: setting.chance, keys: Keys::new(setting.key.clone().into_iter().collect()) };
        let mut world = Self {
            clock: Clock::start(),
            nodes: Vec::new(),
            at: 0,
            born: 0,
            next_address: 0,
            network: Network::new(setting.network, setting.chance),
            bus: Bus::new(setting.weather, setting.chance, setting.network == Kind::Broker),
            scope,
            is_cut: false,
            strangers: std::array::from_fn(Stranger::new),
            // A node that knows of no other has no ears.
            adversary: setting.adversary.filter(|_| setting.cluster.is_some()).map(Adversary::new),
            observer: Observer::default(),
            setting,
        };
        for _ in 0..world.setting.nodes {
            world.begin();
        }
        world
    }

    /// One of its nodes, in the order in which they began.
    pub fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    /// Sets the wall clock of a node to this, in milliseconds since 1970.
    pub fn set_wall_clock(&mut self, index: usize, unix_ms: u64) {
        let shown_ms = self.now(index).unix_ms;
        self.nodes[index].offset.unix_ms += unix_ms.cast_signed() - shown_ms.cast_signed();
    }

    /// What a node takes the time to be.
    pub fn now(&self, index: usize) -> Now {
        self.nodes[index].now(self.clock)
    }

    /// The node that is at work.
    fn here(&mut self) -> &mut Node {
        &mut self.nodes[self.at]
    }

    /// Another process begins, at an address of its own.
    fn begin(&mut self) {
        let node = self.new_node(self.next_address);
        self.next_address += 1;
        self.nodes.push(node);
    }

    /// A process that begins at this address. Without chance, nodes are numbered and all clocks agree.
    fn new_node(&mut self, address: u64) -> Node {
        self.born += 1;
        let mut chance = Chance::at(self.setting.chance, &[self.born]);
        let id = NodeId(if self.setting.chance == 0 { self.born } else { chance.draw() });
        let is_later = self.setting.has_later_nodes && id.0.is_multiple_of(2);
        let formats = if is_later { LATER } else { FORMATS };
        self.observer.acquaintance.add(id, formats.newest);
        if self.setting.chance == 0 {
            return Node::new(&self.setting, id, address, Offset::default(), formats);
        }
        let offset = Offset::draw(&mut chance, self.setting.has_one_clock);
        let mut node = Node::new(&self.setting, id, address, offset, formats);
        node.side = self.is_cut && chance.is_hit(50);
        // The processes of a host are on one side.
        let part = self.network.part_of(address);
        let mut others = self.nodes.iter().filter(|other| other.address != address);
        if let Some(sibling) = others.find(|other| self.network.part_of(other.address) == part) {
            node.side = sibling.side;
        }
        node
    }

    /// Lets one of the nodes do something, if it is not paused.
    pub fn step(&mut self, index: usize, act: impl FnOnce(&mut Node, Now) -> Done) {
        let node = &mut self.nodes[index];
        if node.is_paused {
            return;
        }
        let now = node.now(self.clock);
        let done = act(node, now);
        node.check(now);
        self.post(index, done);
    }

    /// What a node leaves to the world: its datagrams go to the others, and may be questions to strangers.
    fn post(&mut self, index: usize, done: Done) {
        let node = &mut self.nodes[index];
        if done.has_changed {
            self.observer.changed_at = self.clock.tick;
        }
        let (id, address) = (node.meter.node(), node.address);
        for Passed { namespace, text, is_pushed } in &done.messages {
            node.ledger.deliver(id, (namespace, text), *is_pushed, &self.observer.sayings);
        }
        for (number, unconfirmed) in done.settled {
            answers::settle(self, index, number, unconfirmed == 0);
        }
        self.observer.endings.extend(done.endings.into_iter().map(|ending| (self.clock.tick, id, ending)));
        for (to, datagram) in done.datagrams {
            if let News::Ask(ask) = &datagram.news {
                self.strangers.iter_mut().for_each(|stranger| stranger.take_question(address, ask));
            }
            self.send(index, to, &datagram);
        }
    }

    fn send(&mut self, index: usize, to: To, datagram: &Datagram<Rc<str>>) {
        let bytes: Rc<[u8]> = versions::encode(datagram, &self.scope).into();
        assert!(bytes.len() <= DATAGRAM_MAX, "a datagram is too long");
        let node = &self.nodes[index];
        let readers = node.meter.nodes(node.now(self.clock)).map(|other| other.node);
        self.observer.acquaintance.check_all_read(datagram.format.written, readers);
        let mut roads = self.network.roads(&self.nodes, node, to, self.bus.sent_count);
        for road in &mut roads {
            road.is_cut &= self.is_cut;
        }
        self.bus.send(self.clock.tick, node.address, &bytes, &roads);
        if let Some(adversary) = &mut self.adversary {
            adversary.see(&bytes, Chance::at(self.setting.chance, &[self.bus.sent_count]));
        }
    }

    /// A node takes a datagram in.
    fn receive(&mut self, index: usize, datagram: &Datagram<&str>, origin: Origin) -> Result<(), Rejection> {
        let node = &mut self.nodes[index];
        let (received, done) = node.receive(datagram, origin, node.now(self.clock));
        self.post(index, done);
        received
    }

    /// A node takes in a datagram of an invented node, which may say anything.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn receive_from_stranger(&mut self, index: usize, datagram: &Datagram<&str>) -> Result<(), Rejection> {
        self.observer.has_strangers = true;
        let origin = self.network.origin_outside(self.nodes[index].address, 0);
        let received = self.receive(index, datagram, origin);
        let now = self.now(index);
        self.nodes[index].check(now);
        received
    }

    /// A datagram that the script has delivered.
    fn deliver(&mut self, flight: &Flight) {
        let Some(index) = self.nodes.iter().position(|node| node.address == flight.to) else { return };
        if !self.nodes[index].is_paused {
            reception::take_in(self, index, flight, self.clock.tick);
            let now = self.nodes[index].now(self.clock);
            self.nodes[index].check(now);
        }
    }

    /// Passes time as the daemon does: a node wakes exactly when it asks to, or when datagrams arrive.
    pub fn pass(&mut self, ticks: u64) {
        if ticks == 0 {
            // The next turn comes with the next tick: what is due by now is not late.
            return;
        }
        let end = self.clock.tick + ticks;
        while let Some(next) = self.next_turn().filter(|&next| next <= end) {
            self.clock.tick = next;
            broker::reconnect(self);
            self.arrive();
            for index in 0..self.nodes.len() {
                self.turn(index);
            }
        }
        self.clock.tick = end;
        for node in self.nodes.iter_mut().filter(|node| !node.is_paused) {
            let now = node.now(self.clock);
            node.check(now);
            node.check_nothing_is_due(now, true);
        }
        adversary::check_acquaintance(self);
        if !self.observer.has_paused {
            answers::check(self, self.clock.tick);
        }
    }

    /// When something happens by itself, from the next tick on.
    fn next_turn(&self) -> Option<u64> {
        let soon = self.clock.tick + 1;
        let awake = self.nodes.iter().filter(|node| !node.is_paused);
        let turns = awake.filter_map(|node| if node.buffer.is_empty() { node.due() } else { Some(soon) });
        turns.chain(self.bus.next_event(self.clock.tick)).map(|next| next.max(soon)).min()
    }

    /// What has arrived by now waits in receive buffers.
    fn arrive(&mut self) {
        while let Some(flight) = self.bus.arrived(self.clock.tick) {
            if let Some(node) = self.nodes.iter_mut().find(|node| node.address == flight.to) {
                node.buffer.push_back((self.clock.tick, flight));
            }
        }
    }

    /// A node has its turn, if there is something to do.
    fn turn(&mut self, index: usize) {
        if self.nodes[index].is_paused {
            return;
        }
        if self.nodes[index].buffer.is_empty() && self.nodes[index].due().is_none_or(|due| due > self.clock.tick) {
            return;
        }
        let (batch, has_heard_all) = self.nodes[index].take_batch();
        for (arrived_at, flight) in &batch {
            reception::take_in(self, index, flight, *arrived_at);
        }
        let node = &mut self.nodes[index];
        let is_due = node.due().is_some_and(|due| due <= self.clock.tick);
        // The book has to know of an event that this node has just received before the node forgets it, which may be in this
        // tick.
        if !is_due || self.setting.rules.namespace_clean_delay <= SOON_FORGOTTEN {
            node.check(node.now(self.clock));
        }
        if is_due {
            self.wake(index, has_heard_all);
        }
    }

    /// A node is woken, if it is not paused; it may have received all that waits, or not.
    pub fn wake(&mut self, index: usize, has_heard_all: bool) {
        let node = &mut self.nodes[index];
        if !node.is_paused {
            let done = node.wake(node.now(self.clock), has_heard_all);
            self.post(index, done);
        }
    }

    /// A node is stopped for this number of ticks, and goes on. Datagrams wait for it.
    pub fn stop(&mut self, index: usize, ticks: u64) {
        self.observer.has_paused = true;
        self.nodes[index].is_paused = true;
        self.pass(ticks);
        self.nodes[index].is_paused = false;
    }

    /// A process is there no more, and nor are its members.
    fn remove(&mut self, index: usize) {
        let node = self.nodes.remove(index);
        self.depart(node);
    }

    /// Another process begins in the place of one that is there no more.
    fn replace(&mut self, index: usize) {
        let next = self.new_node(self.nodes[index].address);
        let node = std::mem::replace(&mut self.nodes[index], next);
        self.depart(node);
    }

    fn depart(&mut self, node: Node) {
        let (now, id) = (node.now(self.clock), node.meter.node());
        self.observer.departed.push(node.book.closed(now.tick));
        self.observer.departures.push((self.clock.tick, id));
    }
}
