//! Target `meter`: a script of joins, claims, time, walks and datagrams, told to one or two nodes and to a naive book.
//!
//! Owns the operations. The first four bytes are the rules and the company: `0000` is one node with the daemon's defaults,
//! and the last of them makes it one among strangers (1), one of two (2), or one of two that must agree in the end (3).
//! Then each operation is a letter, and its arguments are digits: `j01` joins namespace `a` with the uuid `u`.
//!
//! It does not know what is right: the book (`shadow`) does.

mod network;
mod present;
mod script;
mod shadow;
mod strangers;
mod time;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, Tick};
use audience_meter::meter::news::NodeId;
use audience_meter::meter::{ClusterRules, MemberId, Meter, NAME_MAX, NotifyRule, Rules};
use script::Script;
use shadow::Book;
use strangers::{STRANGERS, Stranger};

/// As long as a name may be: few items fit into a datagram.
const LONG: &str = match str::from_utf8(&[b'n'; NAME_MAX]) {
    Ok(name) => name,
    Err(_) => panic!("it is ASCII"),
};

const NAMESPACES: [&str; 3] = ["a", "b", LONG];
const UUIDS: [&str; 3] = ["u", "v", LONG];

/// How many operations of a script are carried out: a hundred times as many as it takes to meet every pair of them.
const OPERATIONS_MAX: usize = 1_500;

/// How many members a node has at most, and how many walks go along them.
const MEMBERS_MAX: u32 = 48;
const WALKS_MAX: usize = 4;

/// One node, and what must be true of it.
struct Node {
    meter: Meter,
    book: Book,
    /// The last message of each other node that it delivered.
    heard: BTreeMap<String, u64>,
}

/// What a node wanted done after one step.
#[derive(Default)]
struct Wanted {
    farewells: Vec<MemberId>,
    /// Namespace, total, and whether the newest is left out.
    counts: Vec<(&'static str, u64, bool)>,
    /// When the uuid was claimed that it told of.
    claim_ms: u64,
}

struct World<'a> {
    script: Script<'a>,
    rules: Rules,
    cluster: Option<ClusterRules>,
    now: Now,
    nodes: Vec<Node>,
    /// The node that acts.
    at: usize,
    born: u64,
    said: u64,
    strangers: [Stranger; STRANGERS],
    /// Datagrams on their way, and to which node.
    network: VecDeque<(usize, Vec<u8>)>,
}

/// Runs one script.
///
/// # Panics
/// If a meter's book and the naive one differ, or the meter breaks a promise.
pub fn meter(bytes: &[u8]) {
    let mut script = Script(bytes);
    let rules = rules(&mut script);
    let company = script.below(4);
    let nodes = 1 + company / 2;
    // As on a network that can be cut: a node that is alone calls out for others every two seconds.
    let lone_interval = Duration::from_secs(2);
    let cluster = ClusterRules { lone_interval, nodes_max: 5, ..ClusterRules::default() };
    let mut world = World {
        script,
        rules,
        cluster: (company > 0).then_some(cluster),
        now: Now { tick: Tick(1_000), unix_ms: 1_700_000_000_000 },
        nodes: Vec::new(),
        at: 0,
        born: 0,
        said: 0,
        strangers: std::array::from_fn(Stranger::new),
        network: VecDeque::new(),
    };
    for index in 0..nodes {
        let node = world.node();
        world.nodes.insert(index, node);
    }
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = world.script.operation() else { break };
        world.act(operation);
        world.check();
    }
    // The fourth kind of company is two nodes who must agree in the end.
    if company == 3 {
        world.settle();
    }
}

fn rules(script: &mut Script) -> Rules {
    let ms = Duration::from_millis;
    let (min_delay, max_delay) =
        script.pick(&[(ms(2_000), ms(25_000)), (ms(0), ms(100)), (ms(50), ms(20)), (ms(30), ms(1_000))]);
    let (increment_delay, namespace_clean_delay) =
        script.pick(&[(ms(0), ms(60_000)), (ms(0), ms(0)), (ms(100), ms(1_000)), (ms(1_000), ms(100))]);
    let delta_ratio = script.pick(&[0.1, 0.5]);
    Rules { notify: NotifyRule { delta_ratio, min_delay, max_delay }, increment_delay, namespace_clean_delay }
}

impl World<'_> {
    fn node(&mut self) -> Node {
        self.born += 1;
        let meter = Meter::new(self.rules, NodeId(self.born), self.cluster);
        Node { meter, book: Book::new(self.rules, self.cluster.is_none()), heard: BTreeMap::new() }
    }

    fn act(&mut self, operation: u8) {
        match operation {
            b'j' => self.join(true),
            b'i' => self.join(false),
            b'a' => self.count(),
            b'l' => self.leave(),
            b'x' => self.leave_twice(),
            b'e' => self.end_claim(),
            b's' => self.say(),
            b't' => {
                let ticks = self.script.below(16) as u64;
                self.pass(ticks);
            }
            b'u' => {
                let ticks = 50 * self.script.below(16) as u64;
                self.pass(ticks);
            }
            b'v' => self.be_late(),
            b'h' => {
                let has_heard_all = self.script.flag();
                self.wake(self.at, has_heard_all);
            }
            b'w' => self.begin_walk(),
            b'n' => self.step_walk(),
            b'r' => self.restart_walk(),
            b'c' => self.set_clock(),
            b'p' => self.hear_stranger(),
            b'd' => self.deliver(),
            b'f' => self.flush(),
            b'q' => drop(self.take_datagram()),
            b'y' => {
                let doubled = self.take_datagram();
                self.network.extend(doubled.into_iter().flat_map(|datagram| [datagram.clone(), datagram]));
            }
            b'o' => self.at = (self.at + 1) % self.nodes.len(),
            b'k' => self.replace(),
            _ => {}
        }
    }

    fn here(&mut self) -> &mut Node {
        self.nodes.get_mut(self.at).expect("one of the nodes acts")
    }

    fn join(&mut self, is_to_be_counted: bool) {
        let name = self.script.pick(&NAMESPACES);
        let uuid = self.script.below(4).checked_sub(1).and_then(|pick| UUIDS.get(pick)).copied();
        let now = self.now;
        let node = self.here();
        let is_free = |key: &MemberId| node.book.all().all(|(_, present)| present.member != *key);
        let Some(member) = (0..MEMBERS_MAX).map(MemberId::new).find(is_free) else { return };
        let earlier = uuid.and_then(|uuid| node.book.holder(name, uuid)).map(|present| present.member);
        node.book.enter(member, name, uuid);
        let told = if is_to_be_counted {
            node.book.count(member, now.tick);
            node.meter.join(member, name, uuid, now)
        } else {
            node.meter.join_uncounted(member, name, uuid, now)
        };
        let wanted = self.take_outputs(self.at);
        let node = self.here();
        assert_eq!(wanted.farewells, Vec::from_iter(earlier), "a uuid is claimed anew");
        wanted.farewells.iter().for_each(|&member| node.book.leave(member, now.tick));
        assert_eq!(told, total_of(&node.meter, name).filter(|&total| total > 0), "the first count is the total");
        node.book.hear_first(name, told, wanted.claim_ms, now.tick);
    }

    /// One of the members here, counted or not.
    fn pick_member(&mut self) -> Option<MemberId> {
        let pick = self.script.below(16);
        let book = &self.here().book;
        let index = pick.checked_rem(book.all().count())?;
        book.all().nth(index).map(|(_, present)| present.member)
    }

    fn count(&mut self) {
        let Some(member) = self.pick_member() else { return };
        let now = self.now;
        let node = self.here();
        node.meter.count(member, now);
        node.book.count(member, now.tick);
        self.expect_no_farewell(self.at);
    }

    fn leave(&mut self) {
        let Some(member) = self.pick_member() else { return };
        let now = self.now;
        let node = self.here();
        node.meter.leave(member, now);
        node.book.leave(member, now.tick);
        self.expect_no_farewell(self.at);
    }

    /// Somebody leaves who is not there.
    fn leave_twice(&mut self) {
        let now = self.now;
        let node = self.here();
        let is_free = |key: &MemberId| node.book.all().all(|(_, present)| present.member != *key);
        if let Some(member) = (0..=MEMBERS_MAX).map(MemberId::new).find(is_free) {
            node.meter.leave(member, now);
            self.expect_no_farewell(self.at);
        }
    }

    fn end_claim(&mut self) {
        let (name, uuid) = (self.script.pick(&NAMESPACES), self.script.pick(&UUIDS));
        let now = self.now;
        let node = self.here();
        let holder = node.book.holder(name, uuid).map(|present| present.member);
        node.meter.end_claim(name, uuid, now);
        let wanted = self.take_outputs(self.at);
        assert_eq!(wanted.farewells, Vec::from_iter(holder), "a uuid is given up");
        let node = self.here();
        wanted.farewells.iter().for_each(|&member| node.book.leave(member, now.tick));
    }

    /// Tells the others a message, of up to ten parts.
    fn say(&mut self) {
        let (name, length) = (self.script.pick(&NAMESPACES), self.script.below(16) * 450);
        self.said += 1;
        let now = self.now;
        let said = self.said;
        let node = self.here();
        let text = format!("m{}-{said}-{}", node.meter.node().0, "x".repeat(length));
        node.meter.tell_others(name, &text, now);
        self.expect_no_farewell(self.at);
    }

    fn begin_walk(&mut self) {
        let (name, skip_newest) = (self.script.pick(&NAMESPACES), self.script.flag());
        let node = self.here();
        if let Some(id) = node.meter.find(name).filter(|_| node.book.walks() < WALKS_MAX) {
            let walk = node.meter.begin_walk(id, skip_newest);
            node.book.begin_walk(walk, name, skip_newest);
        }
    }

    fn step_walk(&mut self) {
        let pick = self.script.below(16);
        let node = self.here();
        if let Some(walk) = node.book.walk(pick) {
            assert_eq!(node.meter.step_walk(walk), node.book.step_walk(walk), "whom the walk visits");
        }
    }

    fn restart_walk(&mut self) {
        let pick = self.script.below(16);
        let node = self.here();
        if let Some(walk) = node.book.walk(pick) {
            node.meter.restart_walk(walk);
            node.book.restart_walk(walk);
        }
    }

    fn hear_stranger(&mut self) {
        if self.cluster.is_none() {
            return;
        }
        let Some(node) = self.nodes.get(self.at).map(|node| node.meter.node()) else { return };
        let pick = self.script.below(STRANGERS);
        let Some(stranger) = self.strangers.get_mut(pick) else { return };
        let datagram = stranger.speak(self.at, node, &mut self.script, self.now.unix_ms);
        self.receive(self.at, &datagram);
    }

    /// The process ends, politely or not, and another begins.
    fn replace(&mut self) {
        let is_polite = self.script.flag();
        let now = self.now;
        if is_polite {
            let node = self.here();
            for member in (0..MEMBERS_MAX).map(MemberId::new) {
                node.meter.leave(member, now);
                node.book.leave(member, now.tick);
            }
            node.meter.say_goodbye(now);
            self.expect_no_farewell(self.at);
        }
        *self.here() = self.node();
    }

    fn expect_no_farewell(&mut self, index: usize) {
        let wanted = self.take_outputs(index);
        assert!(wanted.farewells.is_empty() && wanted.counts.is_empty(), "nobody was to be told");
    }

    fn check(&mut self) {
        for node in &mut self.nodes {
            node.book.check(&mut node.meter, self.now);
            let totals: u64 = node.meter.namespaces().map(|(_, namespace)| namespace.total()).sum();
            let others: u64 = node.meter.nodes(self.now).map(|other| other.members).sum();
            // Those who are gone may still be on their way off the counts.
            assert!(totals >= node.meter.own_members() + others, "all totals are own members and those of others");
        }
    }
}

fn total_of(meter: &Meter, name: &str) -> Option<u64> {
    let (_, namespace) = meter.namespaces_from(meter.find(name)?).next()?;
    Some(namespace.total())
}
