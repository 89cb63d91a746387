//! The cluster on a virtual clock and a bad network: what is proven here holds for the very code that runs in the daemon.
//!
//! A run is one seed: some nodes, a script of joins, leaves, claims, messages, crashes, restarts, pauses, cuts and clock
//! steps, and a bus that loses, doubles, delays and reorders datagrams, which go through their real encoding. A shadow
//! model keeps what a perfect observer would know. At the end the script stops, and within the node timeout every node
//! has to agree with the observer.
//!
//! `METER_SEED=<n>` runs one seed alone; a failing one is named by the panic. `METER_SEEDS=<n>` runs that many.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::NodeId;
use audience_meter::meter::{ClusterRules, MemberId, Meter, NotifyRule, Output, Rules};
use audience_meter::wire::report::{self, Scope};

/// How many seeds plain `cargo test` runs.
const SEEDS: u64 = 400;

/// The time that the script runs, then the time of quiet, in ticks.
const SCRIPT_TICKS: u64 = 3_000;
const NODE_TIMEOUT: Duration = Duration::from_secs(5);
const QUIET_TICKS: u64 = 500;

/// A long time ago, for a clock that can step backwards.
const EPOCH_MS: u64 = 1_700_000_000_000;

const NAMESPACES: [&str; 4] = ["a", "b", "__proto__", "caf%C3%A9"];
const UUIDS: [&str; 3] = ["u", "v", "w"];

/// A splitmix64 generator (Steele, Lea and Flood, 2014): one seed, one run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss_percent: u64,
    double_percent: u64,
    delay_ticks_max: u64,
}

/// One process.
struct Node {
    meter: Meter,
    id: NodeId,
    /// Which side of a cut it is on.
    side: bool,
    is_paused: bool,
    /// What its wall clock is off, in milliseconds.
    clock_ms: i64,
    /// Its members: namespace and uuid.
    members: BTreeMap<MemberId, (&'static str, Option<&'static str>)>,
    next_member: MemberId,
    /// Datagrams that wait in its receive buffer.
    buffer: Vec<Rc<[u8]>>,
    /// Messages that it delivered, by namespace.
    heard: Vec<(String, String)>,
    /// The least that it may say has ever come to a namespace.
    connections: BTreeMap<String, u64>,
    born_at: u64,
}

/// A datagram on its way; the earliest is the greatest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    at: std::cmp::Reverse<u64>,
    order: std::cmp::Reverse<u64>,
    to: u64,
    bytes: Rc<[u8]>,
}

struct World {
    random: Random,
    weather: Weather,
    tick: u64,
    nodes: Vec<Node>,
    network: BinaryHeap<InFlight>,
    sent: u64,
    next_node: u64,
    is_cut: bool,
    scope: Scope,
    messages: u64,
    /// Who was there, and had been for a while, when a message was sent.
    sent_messages: Vec<(String, NodeId, BTreeSet<NodeId>)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let weather = Weather {
            loss_percent: random.pick(&[0, 0, 5, 15, 30]),
            double_percent: random.pick(&[0, 5, 20]),
            delay_ticks_max: random.pick(&[0, 1, 3, 15]),
        };
        let key = random.chance(30).then(|| b"the key of this audience".to_vec());
        let mut world = Self {
            weather,
            tick: 1_000 + random.below(1 << 30),
            nodes: Vec::new(),
            network: BinaryHeap::new(),
            sent: 0,
            next_node: 0,
            is_cut: false,
            scope: Scope { id: seed, key },
            messages: 0,
            sent_messages: Vec::new(),
            random,
        };
        for _ in 0..2 + world.random.below(7) {
            world.start_node();
        }
        world
    }

    fn now(&self, node: &Node) -> Now {
        let unix_ms = (EPOCH_MS + self.tick * TICK_MS).checked_add_signed(node.clock_ms).unwrap();
        Now { tick: Tick(self.tick), unix_ms }
    }

    fn start_node(&mut self) {
        let rules = Rules {
            notify: NotifyRule {
                delta_ratio: 0.1,
                min_delay: Duration::from_millis(500),
                max_delay: Duration::from_secs(25),
            },
            increment_delay: Duration::ZERO,
            namespace_clean_delay: Duration::from_secs(60),
        };
        let cluster = ClusterRules {
            node_timeout: NODE_TIMEOUT,
            lone_interval: Duration::from_millis(500),
            ..ClusterRules::default()
        };
        self.next_node += 1;
        let id = NodeId(self.random.next());
        self.nodes.push(Node {
            meter: Meter::new(rules, id, Some(cluster)),
            id,
            side: self.is_cut && self.random.chance(50),
            is_paused: false,
            clock_ms: i64::try_from(self.random.below(4_000)).unwrap() - 2_000,
            members: BTreeMap::new(),
            next_member: 0,
            buffer: Vec::new(),
            heard: Vec::new(),
            connections: BTreeMap::new(),
            born_at: self.tick,
        });
    }

    /// Carries out what a node wants done.
    fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].meter.poll_output() {
            match output {
                Output::Send(datagram) => {
                    let bytes: Rc<[u8]> = report::encode(&datagram, &self.scope).into();
                    assert!(bytes.len() <= report::DATAGRAM_MAX);
                    self.broadcast(index, &bytes);
                }
                Output::Farewell(member) => {
                    self.nodes[index].members.remove(&member);
                }
                Output::Message { namespace, text } => {
                    let node = &mut self.nodes[index];
                    let name = node.meter.namespaces_from(namespace).next().unwrap().1.name().to_owned();
                    node.heard.push((name, text.to_string()));
                }
                Output::Count { total, .. } => assert!(total > 0, "0 is never told"),
            }
        }
    }

    /// Multicast with loopback: everybody gets it, the sender too, unless it is lost on the way.
    fn broadcast(&mut self, from: usize, bytes: &Rc<[u8]>) {
        for index in 0..self.nodes.len() {
            self.sent += 1;
            let is_apart = self.is_cut && self.nodes[index].side != self.nodes[from].side;
            let copies = 1 + u64::from(self.random.chance(self.weather.double_percent));
            for _ in 0..copies {
                if is_apart || self.random.chance(self.weather.loss_percent) {
                    continue;
                }
                let at = self.tick + self.random.below(self.weather.delay_ticks_max + 1);
                let order = std::cmp::Reverse(self.random.next());
                let to = self.nodes[index].id.0;
                self.network.push(InFlight { at: std::cmp::Reverse(at), order, to, bytes: bytes.clone() });
            }
        }
    }

    /// One tick: datagrams arrive, then every node has its turn.
    fn step(&mut self) {
        self.tick += 1;
        while let Some(flight) = self.network.peek().filter(|flight| flight.at.0 <= self.tick) {
            let (to, bytes) = (flight.to, flight.bytes.clone());
            self.network.pop();
            if let Some(node) = self.nodes.iter_mut().find(|node| node.id.0 == to) {
                node.buffer.push(bytes);
            }
        }
        for index in 0..self.nodes.len() {
            self.turn(index);
        }
    }

    fn turn(&mut self, index: usize) {
        if self.nodes[index].is_paused {
            return;
        }
        let now = self.now(&self.nodes[index]);
        // A turn receives a bounded number; what is left keeps others from being taken for silent.
        let buffer = &mut self.nodes[index].buffer;
        let batch: Vec<Rc<[u8]>> = buffer.drain(..buffer.len().min(50)).collect();
        let has_heard_all = self.nodes[index].buffer.is_empty();
        for bytes in batch {
            if let Ok(datagram) = report::decode(&bytes, &self.scope) {
                let _ = self.nodes[index].meter.receive(&datagram, now);
            }
        }
        let is_due = self.nodes[index].meter.poll_timeout().is_some_and(|due| due <= now.tick);
        if is_due {
            self.nodes[index].meter.handle_timeout(now, has_heard_all);
            let next = self.nodes[index].meter.poll_timeout();
            assert!(next.is_none_or(|next| next > now.tick), "the shell would spin: {next:?}");
        }
        self.drain(index);
        self.check_node(index);
    }

    /// What holds at every node, at any time.
    fn check_node(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        for (_, namespace) in node.meter.namespaces_from(0) {
            assert!(namespace.total() < 1 << 32, "a count below zero");
            let before = node.connections.entry(namespace.name().to_owned()).or_default();
            assert!(namespace.connections() >= *before, "connections fell from {before}");
            *before = namespace.connections();
        }
    }

    /// Something happens.
    fn act(&mut self) {
        let index = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap();
        match self.random.below(1000) {
            0..500 => self.join(index),
            500..800 => self.leave(index),
            800..850 => self.end_claim(index),
            850..930 => self.say(index),
            930..950 => self.crash_or_stop(index),
            950..970 if self.nodes.len() < 8 => self.start_node(),
            970..985 => {
                let is_paused = self.nodes[index].is_paused;
                self.nodes[index].is_paused = !is_paused;
            }
            985..992 => {
                self.is_cut = !self.is_cut;
                for index in 0..self.nodes.len() {
                    self.nodes[index].side = self.random.chance(50);
                }
            }
            _ => self.nodes[index].clock_ms += i64::try_from(self.random.below(20_000)).unwrap() - 10_000,
        }
    }

    fn join(&mut self, index: usize) {
        let name = self.random.pick(&NAMESPACES);
        let uuid = self.random.chance(40).then(|| self.random.pick(&UUIDS));
        let now = self.now(&self.nodes[index]);
        let node = &mut self.nodes[index];
        if node.is_paused {
            return;
        }
        node.next_member += 1;
        node.members.insert(node.next_member, (name, uuid));
        let told = node.meter.join(node.next_member, name, uuid, now);
        assert!(told >= Some(1), "the first count has this member in it");
        self.drain(index);
    }

    fn leave(&mut self, index: usize) {
        let now = self.now(&self.nodes[index]);
        let members: Vec<MemberId> = self.nodes[index].members.keys().copied().collect();
        if members.is_empty() || self.nodes[index].is_paused {
            return;
        }
        let member = self.random.pick(&members);
        let node = &mut self.nodes[index];
        node.members.remove(&member);
        node.meter.leave(member, now);
    }

    fn end_claim(&mut self, index: usize) {
        let (name, uuid) = (self.random.pick(&NAMESPACES), self.random.pick(&UUIDS));
        let now = self.now(&self.nodes[index]);
        if !self.nodes[index].is_paused {
            self.nodes[index].meter.end_claim(name, uuid, now);
            self.drain(index);
        }
    }

    fn say(&mut self, index: usize) {
        if self.nodes[index].is_paused {
            return;
        }
        self.messages += 1;
        // Every tenth is too long for one datagram.
        let filling = "x".repeat(if self.messages.is_multiple_of(10) { 3_000 } else { 3 });
        let text = format!("s={}-{filling}", self.messages);
        let sender = self.nodes[index].id;
        let long_ago = self.tick.saturating_sub(1_500);
        let settled = self.nodes.iter().filter(|node| node.born_at < long_ago).map(|node| node.id).collect();
        self.sent_messages.push((text.clone(), sender, settled));
        let now = self.now(&self.nodes[index]);
        self.nodes[index].meter.send_message("a", &text, now);
        self.drain(index);
    }

    fn crash_or_stop(&mut self, index: usize) {
        if self.nodes.len() <= 2 {
            return;
        }
        let now = self.now(&self.nodes[index]);
        if self.random.chance(50) && !self.nodes[index].is_paused {
            // A polite end: everybody leaves first.
            let members: Vec<MemberId> = self.nodes[index].members.keys().copied().collect();
            for member in members {
                self.nodes[index].meter.leave(member, now);
            }
            self.nodes[index].meter.say_goodbye(now);
            self.drain(index);
        }
        self.nodes.remove(index);
    }

    /// What a perfect observer sees: how many there are of each name.
    fn truth(&self) -> BTreeMap<&'static str, u64> {
        let mut truth = BTreeMap::new();
        for (name, _) in self.nodes.iter().flat_map(|node| node.members.values()) {
            *truth.entry(*name).or_default() += 1;
        }
        truth
    }

    /// After the quiet: every node agrees with the observer.
    fn check_truth(&self) {
        let truth = self.truth();
        let mut claimed = BTreeSet::new();
        for (name, uuid) in self.nodes.iter().flat_map(|node| node.members.values()) {
            if let Some(uuid) = uuid {
                assert!(claimed.insert((name, uuid)), "{uuid} of {name} survives twice");
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let told: BTreeMap<&str, u64> = node
                .meter
                .namespaces_from(0)
                .map(|(_, namespace)| (namespace.name(), namespace.total()))
                .filter(|&(_, total)| total > 0)
                .collect();
            assert_eq!(told, truth, "node {index} of {}", self.nodes.len());
        }
    }

    /// No message came twice, or after a later one of the same sender; without loss, all came.
    fn check_messages(&self) {
        let order: BTreeMap<&str, usize> =
            self.sent_messages.iter().enumerate().map(|(index, (text, ..))| (text.as_str(), index)).collect();
        for node in &self.nodes {
            let mut last: BTreeMap<NodeId, usize> = BTreeMap::new();
            for (_, text) in &node.heard {
                let index = order[text.as_str()];
                let sender = self.sent_messages[index].1;
                let earlier = last.insert(sender, index);
                assert!(earlier.is_none_or(|earlier| earlier < index), "out of order or twice: {text:.20}");
            }
        }
    }
}

/// Runs one seed.
fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..SCRIPT_TICKS {
        if world.random.chance(15) {
            world.act();
        }
        world.step();
    }
    // Quiet: nothing happens any more, and whoever was stopped or cut off is back.
    world.is_cut = false;
    for node in &mut world.nodes {
        node.is_paused = false;
    }
    // Those who died just now have the node timeout to be missed, and as long again for what was lost on the way.
    for _ in 0..QUIET_TICKS + QUIET_TICKS / 2 {
        world.step();
    }
    world.check_truth();
    world.check_messages();
}

#[test]
fn every_node_tells_the_true_total_whatever_the_network_does() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("METER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("METER_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "run again with METER_SEED={seed}");
    }
}
