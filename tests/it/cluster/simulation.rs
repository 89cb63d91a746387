//! The cluster on a virtual clock and a bad network: what is proven here holds for the very code that runs in the daemon.
//!
//! A run is one seed: some nodes, a script of joins, leaves, claims, messages, crashes, restarts, pauses, cuts and clock
//! steps, and a bus that loses, doubles, delays and reorders datagrams, which go through their real encoding. A shadow
//! model keeps what a perfect observer would know. At the end the script stops, and within the node timeout every node
//! has to agree with the observer.
//!
//! Each node has a monotonic clock of its own. What an event comes to is recorded by the observer the naive way, a list of
//! who came and left when; without crashes every node has to come to the same, exactly, once all have left.
//!
//! `METER_SEED=<n>` runs one seed alone; a failing one is named by the panic. `METER_SEEDS=<n>` runs that many.
//!
//! | file | owns |
//! |---|---|
//! | `endings` | the end of events |

mod endings;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{Datagram, News, NodeId};
use audience_meter::meter::{
    Accounts, ClusterRules, Ending, MemberId, Meter, NotifyRule, Output, Rules, STAY_BUCKETS, Stays,
};
use audience_meter::wire::report::{self, Scope};

/// How many seeds plain `cargo test` runs.
const SEEDS: u64 = 600;

/// The time that the script runs, then the time of quiet, in ticks.
const SCRIPT_TICKS: u64 = 3_000;
const NODE_TIMEOUT: Duration = Duration::from_secs(5);
const QUIET_TICKS: u64 = 500;

/// How long after it was said a part may arrive and still has to be delivered: the last copy leaves after 200 ms.
const COPIES_TICKS: u64 = 22 + 15;

/// How long a node may be heard of whose last change has not been heard: the notify interval, and what it takes to ask for
/// what was lost.
const UNTOLD_TICKS_MAX: u64 = 300;

/// A long time ago, for a clock that can step backwards.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// How many turns in a row may leave something to do: some nodes end at once, and each has been in a few namespaces.
const BUSY_TURNS_MAX: usize = 50;

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
    /// What its monotonic clock is ahead, in ticks.
    clock_ticks: u64,
    /// Its members: namespace and uuid.
    members: BTreeMap<MemberId, (&'static str, Option<&'static str>)>,
    /// Those of them who are not counted.
    uncounted: BTreeSet<MemberId>,
    next_member: MemberId,
    /// How many turns in a row have left something to do.
    busy_turns: usize,
    /// Datagrams that wait in its receive buffer, and since when.
    buffer: Vec<(u64, Rc<[u8]>)>,
    /// Messages that it delivered, by namespace.
    heard: Vec<String>,
    /// Since when it has known which others to be there.
    acquainted: BTreeMap<NodeId, u64>,
    /// Parts of messages that reached it in time, of senders that it knew when they were sent.
    parts: BTreeSet<(NodeId, u64)>,
    /// All parts that ever reached it.
    seen: BTreeSet<(NodeId, u64)>,
    /// The least that it may say of a namespace.
    least: BTreeMap<String, Accounts>,
    /// Who was ever its member, by namespace.
    visits: BTreeMap<&'static str, BTreeMap<MemberId, Visit>>,
}

/// How long somebody was there: when it came and when it left.
#[derive(Clone, Copy, Debug)]
struct Visit {
    came: u64,
    left: Option<u64>,
}

/// What an observer makes of visits: how many came, for how many ticks in all they were there, and how long they stayed
/// who have left.
#[derive(Clone, Copy, Debug, Default)]
struct Recorded {
    connections: u64,
    member_ticks: u64,
    stays: Stays,
}

impl Recorded {
    fn of<'a>(visits: impl Iterator<Item = &'a Visit>, now: u64) -> Self {
        let mut recorded = Self::default();
        for visit in visits {
            let ticks = visit.left.unwrap_or(now) - visit.came;
            recorded.connections += 1;
            recorded.member_ticks += ticks;
            if visit.left.is_some() {
                let bounds_ms = (0..STAY_BUCKETS - 1).map(|bucket| 1_000 << bucket);
                recorded.stays[bounds_ms.take_while(|&below| ticks * TICK_MS >= below).count()] += 1;
            }
        }
        recorded
    }
}

/// What somebody said.
struct Message {
    text: String,
    sender: NodeId,
    /// The numbers of its parts.
    parts: std::ops::RangeInclusive<u64>,
    sent_at: u64,
}

/// A datagram on its way; the earliest is the greatest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    at: std::cmp::Reverse<u64>,
    order: std::cmp::Reverse<u64>,
    to: u64,
    bytes: Rc<[u8]>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is something that may have happened")]
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
    /// Whether all wall clocks are right at the start: then claims are made in the same millisecond.
    has_one_clock: bool,
    /// Datagrams that an attacker has recorded.
    recorded: Vec<Rc<[u8]>>,
    messages: Vec<Message>,
    /// How often each name was joined.
    joined: BTreeMap<&'static str, u64>,
    /// Whether a node has crashed: what it had not told is lost.
    has_crashed: bool,
    /// Whether a node was stopped: what it heard first when it went on was late.
    has_paused: bool,
    /// Who was a member of nodes that are gone.
    buried: BTreeMap<&'static str, Vec<Visit>>,
    namespace_clean_delay: Duration,
    /// Which node has said what an event came to.
    endings: Vec<(NodeId, Ending)>,
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
            has_one_clock: random.chance(40),
            recorded: Vec::new(),
            messages: Vec::new(),
            joined: BTreeMap::new(),
            has_crashed: false,
            has_paused: false,
            buried: BTreeMap::new(),
            namespace_clean_delay: Duration::from_mins(2),
            endings: Vec::new(),
            random,
        };
        for _ in 0..2 + world.random.below(7) {
            world.start_node();
        }
        world
    }

    fn now(&self, node: &Node) -> Now {
        let unix_ms = (EPOCH_MS + self.tick * TICK_MS).checked_add_signed(node.clock_ms).unwrap();
        Now { tick: Tick(self.tick + node.clock_ticks), unix_ms }
    }

    fn start_node(&mut self) {
        let rules = Rules {
            notify: NotifyRule {
                delta_ratio: 0.1,
                min_delay: Duration::from_millis(500),
                max_delay: Duration::from_secs(25),
            },
            increment_delay: Duration::ZERO,
            namespace_clean_delay: self.namespace_clean_delay,
        };
        let cluster = ClusterRules {
            node_timeout: NODE_TIMEOUT,
            lone_interval: Duration::from_millis(500),
            // Some take a node that is gone off one count per turn, and much comes between.
            burials_per_turn: self.random.pick(&[1, 3, 2048]),
            ..ClusterRules::default()
        };
        self.next_node += 1;
        let id = NodeId(self.random.next());
        let mut meter = Meter::new(rules, id, Some(cluster));
        meter.keep_histories(NAMESPACES.len());
        self.nodes.push(Node {
            meter,
            id,
            side: self.is_cut && self.random.chance(50),
            is_paused: false,
            clock_ms: if self.has_one_clock { 0 } else { i64::try_from(self.random.below(4_000)).unwrap() - 2_000 },
            members: BTreeMap::new(),
            uncounted: BTreeSet::new(),
            next_member: MemberId::FIRST,
            busy_turns: 0,
            buffer: Vec::new(),
            heard: Vec::new(),
            acquainted: BTreeMap::new(),
            parts: BTreeSet::new(),
            seen: BTreeSet::new(),
            clock_ticks: self.random.below(1 << 40),
            least: BTreeMap::new(),
            visits: BTreeMap::new(),
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
                Output::Farewell(member) => self.end_visit(index, member),
                Output::Message { namespace, text } => {
                    let node = &mut self.nodes[index];
                    assert_eq!(&*namespace, "a");
                    node.heard.push(text.to_string());
                }
                Output::Count { total, .. } => assert!(total > 0, "0 is never told"),
                Output::Ended(ending) => {
                    let node = self.nodes[index].id;
                    self.endings.push((node, *ending));
                }
            }
        }
    }

    /// A member is gone.
    fn end_visit(&mut self, index: usize, member: MemberId) {
        let node = &mut self.nodes[index];
        let (name, _) = node.members.remove(&member).unwrap();
        if !node.uncounted.remove(&member) {
            node.visits.get_mut(name).unwrap().get_mut(&member).unwrap().left = Some(self.tick);
        }
    }

    /// Multicast with loopback: everybody gets it, the sender too, unless it is lost on the way.
    fn broadcast(&mut self, from: usize, bytes: &Rc<[u8]>) {
        if self.recorded.len() < 10_000 && self.random.chance(10) {
            self.recorded.push(bytes.clone());
        }
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
        self.deliver();
        for index in 0..self.nodes.len() {
            self.turn(index);
        }
    }

    /// Datagrams arrive.
    fn deliver(&mut self) {
        while let Some(flight) = self.network.peek().filter(|flight| flight.at.0 <= self.tick) {
            let (to, bytes) = (flight.to, flight.bytes.clone());
            self.network.pop();
            if let Some(node) = self.nodes.iter_mut().find(|node| node.id.0 == to) {
                node.buffer.push((self.tick, bytes));
            }
        }
    }

    fn turn(&mut self, index: usize) {
        if self.nodes[index].is_paused {
            return;
        }
        let now = self.now(&self.nodes[index]);
        // A turn receives a bounded number; what is left keeps others from being taken for silent.
        let buffer = &mut self.nodes[index].buffer;
        let batch: Vec<(u64, Rc<[u8]>)> = buffer.drain(..buffer.len().min(50)).collect();
        let has_heard_all = self.nodes[index].buffer.is_empty();
        for (arrived_at, bytes) in batch {
            if let Ok(datagram) = report::decode(&bytes, &self.scope) {
                self.receive(index, &datagram, arrived_at, now);
            }
        }
        let is_due = self.nodes[index].meter.poll_timeout().is_some_and(|due| due <= now.tick);
        if is_due {
            let node = &mut self.nodes[index];
            node.meter.handle_timeout(now, has_heard_all);
            let next = node.meter.poll_timeout();
            node.busy_turns = if next.is_some_and(|next| next <= now.tick) { node.busy_turns + 1 } else { 0 };
            assert!(node.busy_turns <= BUSY_TURNS_MAX, "the shell would spin: {next:?}");
        }
        self.drain(index);
        self.check_node(index);
    }

    fn receive(&mut self, index: usize, datagram: &Datagram<&str>, arrived_at: u64, now: Now) {
        let sent_at = match &datagram.news {
            News::Message(part) => self.sent_at(datagram.sender, part.number),
            _ => None,
        };
        let node = &mut self.nodes[index];
        let has_namespace = node.meter.find("a").is_some();
        let received = node.meter.receive(datagram, now);
        let known: BTreeSet<NodeId> = node.meter.nodes(now).map(|other| other.node).collect();
        node.acquainted.retain(|other, _| known.contains(other));
        for &other in &known {
            node.acquainted.entry(other).or_insert(self.tick);
        }
        let (Ok(()), Some(sent_at), News::Message(part)) = (received, sent_at, &datagram.news) else { return };
        // What arrived when there was nobody to tell is not owed when somebody comes.
        let is_first = node.seen.insert((datagram.sender, part.number));
        let is_in_time = is_first && arrived_at <= sent_at + COPIES_TICKS;
        let is_known = node.acquainted.get(&datagram.sender).is_some_and(|&since| since < sent_at);
        if is_in_time && is_known && has_namespace {
            node.parts.insert((datagram.sender, part.number));
        }
    }

    fn sent_at(&self, sender: NodeId, number: u64) -> Option<u64> {
        let of = self.messages.iter().find(|message| message.sender == sender && message.parts.contains(&number));
        of.map(|message| message.sent_at)
    }

    /// What holds at every node, at any time.
    fn check_node(&mut self, index: usize) {
        let now = self.now(&self.nodes[index]);
        let node = &mut self.nodes[index];
        // One that is heard of again, after it was forgotten, is another.
        node.least.retain(|name, _| node.meter.find(name).is_some());
        for (id, namespace) in node.meter.namespaces() {
            assert!(namespace.total() < 1 << 32, "a count below zero");
            // Not at each tick: it would take most of the time.
            if !self.tick.is_multiple_of(16) {
                continue;
            }
            let accounts = node.meter.accounts(id, now);
            assert!(accounts.peak.members >= namespace.total(), "{accounts:?} of {}", namespace.total());
            let Some(before) = node.least.insert(namespace.name().to_owned(), accounts) else { continue };
            assert!(accounts.connections >= before.connections, "connections fell from {before:?} to {accounts:?}");
            let has_fallen = accounts.stays.iter().zip(before.stays).any(|(&now, before)| now < before);
            assert!(!has_fallen, "stays fell from {before:?} to {accounts:?}");
        }
    }

    /// Something happens.
    fn act(&mut self) {
        let index = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap();
        match self.random.below(1000) {
            0..400 => self.join(index),
            400..430 => self.join_uncounted(index),
            430..450 => self.count(index),
            450..500 => self.duel(),
            500..750 => self.leave(index),
            750..800 => self.replay(),
            800..850 => self.end_claim(index),
            850..930 => self.say(index),
            930..950 => self.crash_or_stop(index),
            950..970 if self.nodes.len() < 8 => self.start_node(),
            970..985 => {
                let is_paused = self.nodes[index].is_paused;
                self.nodes[index].is_paused = !is_paused;
                self.has_paused = true;
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
        self.join_as(index, name, uuid);
    }

    /// Somebody is let in and not counted.
    fn join_uncounted(&mut self, index: usize) {
        let name = self.random.pick(&NAMESPACES);
        let now = self.now(&self.nodes[index]);
        let node = &mut self.nodes[index];
        if node.is_paused {
            return;
        }
        node.next_member = node.next_member.next();
        node.members.insert(node.next_member, (name, None));
        node.uncounted.insert(node.next_member);
        node.meter.join_uncounted(node.next_member, name, None, now);
        self.drain(index);
    }

    /// Somebody who was not counted is counted after all.
    fn count(&mut self, index: usize) {
        let now = self.now(&self.nodes[index]);
        let node = &mut self.nodes[index];
        if node.is_paused {
            return;
        }
        let Some(member) = node.uncounted.pop_first() else { return };
        let (name, _) = node.members[&member];
        *self.joined.entry(name).or_default() += 1;
        node.visits.entry(name).or_default().insert(member, Visit { came: self.tick, left: None });
        node.meter.count(member, now);
        self.drain(index);
    }

    /// The same uuid is claimed at every node in the same moment.
    fn duel(&mut self) {
        let (name, uuid) = (self.random.pick(&NAMESPACES), self.random.pick(&UUIDS));
        for index in 0..self.nodes.len() {
            self.join_as(index, name, Some(uuid));
        }
    }

    /// Somebody sends again what was recorded long ago.
    fn replay(&mut self) {
        for _ in 0..20.min(self.recorded.len()) {
            let index = self.random.below(self.recorded.len() as u64);
            let bytes = self.recorded[usize::try_from(index).unwrap()].clone();
            for node in &mut self.nodes {
                node.buffer.push((self.tick, bytes.clone()));
            }
        }
    }

    fn join_as(&mut self, index: usize, name: &'static str, uuid: Option<&'static str>) {
        let now = self.now(&self.nodes[index]);
        let node = &mut self.nodes[index];
        if node.is_paused {
            return;
        }
        *self.joined.entry(name).or_default() += 1;
        node.next_member = node.next_member.next();
        node.members.insert(node.next_member, (name, uuid));
        let visit = Visit { came: self.tick, left: None };
        node.visits.entry(name).or_default().insert(node.next_member, visit);
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
        self.nodes[index].meter.leave(member, now);
        self.end_visit(index, member);
    }

    /// All members of a node leave.
    fn leave_all(&mut self, index: usize) {
        let now = self.now(&self.nodes[index]);
        let members: Vec<MemberId> = self.nodes[index].members.keys().copied().collect();
        for member in members {
            self.nodes[index].meter.leave(member, now);
            self.end_visit(index, member);
        }
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
        // Every tenth is too long for one datagram: 3,000 bytes are 5 parts.
        let (filling, parts) = if self.random.chance(10) { (3_000, 5) } else { (3, 1) };
        let text = format!("s={}-{}", self.messages.len(), "x".repeat(filling));
        let sender = self.nodes[index].id;
        let numbers =
            self.messages.iter().filter(|message| message.sender == sender).map(|message| *message.parts.end());
        let first = numbers.max().unwrap_or(0) + 1;
        let parts = first..=first + parts - 1;
        self.messages.push(Message { text: text.clone(), sender, parts, sent_at: self.tick });
        let now = self.now(&self.nodes[index]);
        self.nodes[index].meter.tell_others("a", &text, now);
        self.drain(index);
    }

    fn crash_or_stop(&mut self, index: usize) {
        if self.nodes.len() <= 2 {
            return;
        }
        let now = self.now(&self.nodes[index]);
        if self.random.chance(50) && !self.nodes[index].is_paused {
            // A polite end: everybody leaves first.
            self.leave_all(index);
            self.nodes[index].meter.say_goodbye(now);
            self.drain(index);
        }
        // Even the last words may get lost.
        self.has_crashed = true;
        self.remove_node(index);
    }

    /// A process is there no more, and nor are its members.
    fn remove_node(&mut self, index: usize) {
        let node = self.nodes.remove(index);
        for (name, visits) in node.visits {
            let ended = visits.into_values().map(|visit| Visit { left: visit.left.or(Some(self.tick)), ..visit });
            self.buried.entry(name).or_default().extend(ended);
        }
    }

    /// What a perfect observer sees: how many there are of each name, counted and not.
    fn truth(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let mut truth: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
        for node in &self.nodes {
            for (member, (name, _)) in &node.members {
                let (counted, uncounted) = truth.entry(*name).or_default();
                *(if node.uncounted.contains(member) { uncounted } else { counted }) += 1;
            }
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
            let told: BTreeMap<&str, (u64, u64)> = node
                .meter
                .namespaces()
                .map(|(_, namespace)| (namespace.name(), (namespace.total(), namespace.uncounted())))
                .filter(|&(_, told)| told != (0, 0))
                .collect();
            assert_eq!(told, truth, "node {index} of {}", self.nodes.len());
        }
    }

    /// After more quiet: every node knows of as many connections, and of none that never were.
    fn check_connections(&self) {
        for (&name, &joined) in &self.joined {
            let told: BTreeSet<Option<u64>> = self
                .nodes
                .iter()
                .map(|node| {
                    let namespace = node.meter.namespaces().find(|(_, namespace)| namespace.name() == name);
                    namespace.map(|(_, namespace)| namespace.connections())
                })
                .collect();
            assert_eq!(told.len(), 1, "connections of {name}: {told:?}, truly {joined}");
            let told = told.first().copied().flatten().unwrap_or(0);
            assert!(told == joined || (self.has_crashed && told < joined), "connections of {name}: {told} of {joined}");
        }
    }

    /// What the nodes say that an event has come to; they are to agree on all but the time that members who are still there
    /// have been there, and on what was the most, if a node that had seen it has not taken it with it.
    fn check_accounts(&self, have_all_left: bool) {
        for &name in self.joined.keys() {
            // Nobody may be left who has heard of it.
            if self.has_crashed && self.nodes.iter().all(|node| node.meter.find(name).is_none()) {
                continue;
            }
            let living =
                self.nodes.iter().flat_map(|node| node.visits.get(name).into_iter().flat_map(BTreeMap::values));
            let gone = self.buried.get(name).into_iter().flatten();
            let least = Recorded::of(living.clone(), self.tick);
            let truth = Recorded::of(living.chain(gone), self.tick);
            let told: Vec<Accounts> = self.nodes.iter().map(|node| self.accounts_of(node, name)).collect();
            for accounts in &told {
                let member_ticks = accounts.member_ms / TICK_MS;
                let (stays, first) = (accounts.stays, told[0]);
                let context = format!("{name}: {told:?}, truly {truth:?}");
                assert_eq!((accounts.connections, stays), (first.connections, first.stays), "{context}");
                assert!(stays.iter().zip(least.stays).all(|(&told, least)| told >= least), "{context}");
                assert!(stays.iter().zip(truth.stays).all(|(&told, most)| told <= most), "{context}");
                if have_all_left {
                    assert_eq!(accounts.member_ms, first.member_ms, "{context}");
                    assert!(member_ticks >= least.member_ticks, "{context}");
                    // Of a node that died it may not have been heard that somebody had left, but that it was alive.
                    let late = truth.connections * UNTOLD_TICKS_MAX;
                    assert!(member_ticks <= truth.member_ticks + late, "{context}");
                } else if !self.has_paused {
                    let late = truth.connections * (self.weather.delay_ticks_max + 1);
                    assert!(member_ticks + late >= least.member_ticks, "{context}");
                }
                if !self.has_crashed {
                    assert_eq!((accounts.connections, stays), (truth.connections, truth.stays), "{context}");
                    assert_eq!(accounts.peak, first.peak, "{context}");
                    assert!(!have_all_left || member_ticks == truth.member_ticks, "{context}");
                    assert!(member_ticks <= truth.member_ticks, "{context}");
                }
            }
        }
    }

    /// Whatever a node was told, in whatever order: who came to an event and who left it make who is there.
    fn check_histories(&mut self) {
        for index in 0..self.nodes.len() {
            let now = self.now(&self.nodes[index]);
            let meter = &mut self.nodes[index].meter;
            for name in NAMESPACES {
                let Some(mut cursor) = meter.read_history(name, now) else { continue };
                let (mut members, mut last) = (0, 0);
                while let Some((minute, row)) = meter.next_history_row(&mut cursor, now) {
                    assert!(minute.is_multiple_of(60) && (last == 0 || minute == last + 60), "{minute} after {last}");
                    last = minute;
                    let (min, max) = (f64::from(row.min), f64::from(row.max));
                    assert!((min..=max).contains(&f64::from(row.average)), "{row:?} of {name}");
                    assert!((row.min..=row.max).contains(&members), "{members} before {row:?} of {name}");
                    members = members + row.joins - row.leaves;
                    assert!((row.min..=row.max).contains(&members), "{members} after {row:?} of {name}");
                }
                let total = meter.find(name).and_then(|id| meter.namespaces_from(id).next()).map(|(_, of)| of.total());
                assert_eq!(u64::from(members), total.unwrap_or(0), "of {name}");
            }
        }
    }

    fn accounts_of(&self, node: &Node, name: &str) -> Accounts {
        let id = node.meter.find(name).unwrap_or_else(|| panic!("{name} is forgotten"));
        node.meter.accounts(id, self.now(node))
    }

    /// While nothing happens, a node says that it is there twice a second, and asks and answers what is left to be asked.
    fn check_traffic(&self, sent: u64) {
        let nodes = self.nodes.len() as u64;
        let seconds = 4 * QUIET_TICKS * TICK_MS / 1000;
        let datagrams_per_node = sent / nodes / nodes;
        assert!(datagrams_per_node < 5 * seconds, "{datagrams_per_node} datagrams in {seconds} s of quiet");
    }

    /// No message came twice, or after a later one of its sender; and none is missing of which all parts arrived.
    fn check_messages(&self) {
        let texts = self.messages.iter().map(|message| message.text.as_str());
        let order: BTreeMap<&str, usize> = texts.zip(0..).collect();
        for node in &self.nodes {
            let mut last: BTreeMap<NodeId, usize> = BTreeMap::new();
            for text in &node.heard {
                let index = order[text.as_str()];
                let earlier = last.insert(self.messages[index].sender, index);
                assert!(earlier.is_none_or(|earlier| earlier < index), "out of order or twice: {text:.20}");
            }
            for Message { text, sender, parts, .. } in &self.messages {
                let has_arrived = parts.clone().all(|number| node.parts.contains(&(*sender, number)));
                assert!(!has_arrived || node.heard.contains(text), "{text:.20} arrived and was not delivered");
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
    let sent = world.sent;
    for _ in 0..4 * QUIET_TICKS {
        world.step();
    }
    world.check_connections();
    world.check_traffic(world.sent - sent);
    world.check_accounts(false);
    world.check_histories();
    for index in 0..world.nodes.len() {
        world.leave_all(index);
    }
    for _ in 0..QUIET_TICKS {
        world.step();
    }
    world.check_accounts(true);
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
