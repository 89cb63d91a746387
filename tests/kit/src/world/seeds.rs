//! Scripts by chance: a seed is a script.
//!
//! Owns how often what happens, and nothing of what it does. A seed that has failed once is kept as the script that it makes,
//! because the next change here makes another of it.

use super::adversary::TRICKS;
use crate::Chance;

/// How long something happens, in ticks.
const PLAY_TICKS: u64 = 3_000;

/// In how many of a hundred ticks something happens.
const ACTS_PERCENT: u64 = 15;

/// The longest time of one operation, in ticks.
const PASS_MAX: u64 = 63;

/// How members come and go before an event ends.
const ENDING_TICKS: u64 = 1_000;
const ENDING_ACTS_PERCENT: u64 = 10;

/// The clean delay of ending events, and the time in which all nodes have forgotten them.
const CLEAN_TICKS: u64 = 2_000;
const FORGOTTEN_TICKS: u64 = CLEAN_TICKS + 1_000;

/// When a node departs that has announced its last change.
const ANNOUNCED_TICKS: u64 = 250;

/// The places of chance at which networks, adversaries, versions, storms and room are drawn.
const NETWORK: u64 = 1;
const ADVERSARY: u64 = 2;
const VERSIONS: u64 = 3;
const FOLDS: u64 = 4;
const ROOM: u64 = 5;
const HAND_OVERS: u64 = 6;

/// When a process hangs, and for how long: twelve node timeouts.
const MET_TICKS: u64 = 300;
const HUNG_TICKS: u64 = 6_000;

/// In how many of a hundred ticks something happens meanwhile.
const HUNG_ACTS_PERCENT: u64 = 5;

/// In how many of a hundred worlds some nodes run a later version.
const TWO_VERSIONS_PERCENT: u64 = 25;

/// In how many of a hundred worlds there is an adversary, and how many of a hundred things that happen are its acts.
const ADVERSARIES_PERCENT: u64 = 30;
const ATTACKS_PERCENT: u64 = 5;

/// In how many of a hundred worlds departed nodes are folded early, and how many of a hundred things that happen there are
/// the end of a process that is replaced at once.
const FOLDS_PERCENT: u64 = 40;
const STORMS_PERCENT: u64 = 6;

/// In how many of a hundred worlds processes hand themselves over, and after how many of a hundred things that happen there.
const HANDED_OVER_PERCENT: u64 = 60;
const HAND_OVERS_PERCENT: u64 = 15;

/// How events end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// All nodes are there.
    AllThere,
    /// One of them departs before, politely or not.
    OneGone,
    /// One dies at any time.
    OneDies,
    /// All end at once.
    Together,
}

/// In how many of a hundred worlds nodes have little room for namespaces.
const LITTLE_ROOM_PERCENT: u64 = 25;

/// The bits of the head for an adversary, nodes of a later version, a fold of few nodes, and little room for namespaces.
const HAS_ADVERSARY: u64 = 2;
const HAS_LATER_NODES: u64 = 4;
const FOLDS_EARLY: u64 = 8;
const HAS_LITTLE_ROOM: u64 = 16;

/// Among whom nodes are. It is drawn apart, so that seeds without it stay what they were.
#[derive(Clone, Copy)]
struct Company {
    network: u8,
    /// Further bits of the head: [`HAS_ADVERSARY`], [`HAS_LATER_NODES`], [`FOLDS_EARLY`], [`HAS_LITTLE_ROOM`].
    extras: u64,
    /// Whether no datagram is lost on the network itself.
    is_calm: bool,
}

/// When processes hand themselves over. It is drawn apart, too.
struct HandOvers {
    chance: Chance,
    percent: u64,
}

impl HandOvers {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::at(seed, &[HAND_OVERS]);
        let percent = if chance.is_hit(HANDED_OVER_PERCENT) { HAND_OVERS_PERCENT } else { 0 };
        Self { chance, percent }
    }

    /// Now and then the node at work hands itself over.
    fn happen(&mut self, writer: &mut Writer) {
        if self.percent > 0 && self.chance.is_hit(self.percent) {
            writer.operation(b'`', &[]);
        }
    }
}

/// A script that is being written.
struct Writer {
    chance: Chance,
    bytes: Vec<u8>,
    /// Ticks that have passed since the last operation.
    gap: u64,
}

/// The networks of scripts by their numbers, in which one host is the most frequent; and that of a broker.
const NETWORKS: &[u8] = &[0, 0, 1, 2, 3];
const BROKER: &[u8] = &[4];

/// The script of this seed: up to eight nodes, to which everything happens that may.
pub fn script_of(seed: u64) -> Vec<u8> {
    any_of(seed, NETWORKS)
}

/// The same, with a broker between hosts.
pub fn brokered_of(seed: u64) -> Vec<u8> {
    any_of(seed, BROKER)
}

fn any_of(seed: u64, networks: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(seed);
    // Counts as the daemon's, events remembered for two minutes, two to eight nodes that have to agree.
    let network = network_of(seed, networks);
    let mut attacks = Chance::at(seed, &[ADVERSARY]);
    let has_adversary = attacks.is_hit(ADVERSARIES_PERCENT);
    let has_later_nodes = Chance::at(seed, &[VERSIONS]).is_hit(TWO_VERSIONS_PERCENT);
    let mut storms = Chance::at(seed, &[FOLDS]);
    let folds_early = storms.is_hit(FOLDS_PERCENT);
    let with = |has: bool, bit| if has { bit } else { 0 };
    let has_little_room = Chance::at(seed, &[ROOM]).is_hit(LITTLE_ROOM_PERCENT);
    let extras = with(has_adversary, HAS_ADVERSARY)
        | with(has_later_nodes, HAS_LATER_NODES)
        | with(folds_early, FOLDS_EARLY)
        | with(has_little_room, HAS_LITTLE_ROOM);
    writer.head(b"440", 7, 1, Company { network, extras, is_calm: false });
    let mut hand_overs = HandOvers::new(seed);
    for _ in 0..PLAY_TICKS {
        if writer.chance.is_hit(ACTS_PERCENT) {
            writer.operation(b'o', &[8]);
            hand_overs.happen(&mut writer);
            writer.act();
            hand_overs.happen(&mut writer);
            if has_adversary && attacks.is_hit(ATTACKS_PERCENT) {
                writer.operation(b'}', &[]);
                writer.argument(attacks.below(TRICKS.len() as u64));
            }
            if folds_early && storms.is_hit(STORMS_PERCENT) {
                writer.operation(b'k', &[]);
                writer.argument(storms.below(2));
            }
        }
        writer.gap += 1;
    }
    writer.pass();
    writer.bytes
}

/// The script of this seed for the end of events: members come to a few nodes and leave, all of them at last.
pub fn ending_of(seed: u64, scene: Scene) -> Vec<u8> {
    any_ending_of(seed, scene, NETWORKS)
}

/// The same, with a broker between hosts.
pub fn brokered_ending_of(seed: u64, scene: Scene) -> Vec<u8> {
    any_ending_of(seed, scene, BROKER)
}

fn any_ending_of(seed: u64, scene: Scene, networks: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(seed);
    let end = if scene == Scene::Together { 3 } else { 2 };
    let network = network_of(seed, networks);
    writer.head(b"450", 4, end, Company { network, extras: 0, is_calm: false });
    let mut hand_overs = HandOvers::new(seed);
    for _ in 0..ENDING_TICKS {
        if writer.chance.is_hit(ENDING_ACTS_PERCENT) {
            writer.operation(b'o', &[8]);
            if writer.chance.is_hit(60) {
                writer.join();
            } else {
                writer.operation(b'l', &[200]);
            }
            hand_overs.happen(&mut writer);
        }
        writer.gap += 1;
    }
    writer.operation(b'{', &[]);
    hand_overs.happen(&mut writer);
    let (gap, departs) = match scene {
        Scene::AllThere | Scene::Together => (0, None),
        Scene::OneGone => (ANNOUNCED_TICKS, Some(2)),
        Scene::OneDies => (ANNOUNCED_TICKS + writer.chance.below(FORGOTTEN_TICKS), Some(1)),
    };
    writer.gap += gap;
    if let Some(manners) = departs {
        writer.operation(b'z', &[manners]);
    }
    writer.bytes
}

/// The script of this seed for a host with a hung ear: one of its processes takes its part of all datagrams that come to the
/// host, and keeps it to itself. Members come and go everywhere, and messages are sent. In the end the process goes on.
pub fn hung_ear_of(seed: u64) -> Vec<u8> {
    let mut writer = Writer::new(seed);
    let network = network_of(seed, &[2, 3]);
    writer.head(b"440", 7, 1, Company { network, extras: 0, is_calm: true });
    writer.gap += MET_TICKS;
    writer.operation(b'o', &[8]);
    writer.operation(b'~', &[]);
    let mut hand_overs = HandOvers::new(seed);
    for _ in 0..HUNG_TICKS {
        if writer.chance.is_hit(HUNG_ACTS_PERCENT) {
            writer.operation(b'o', &[8]);
            match writer.chance.below(10) {
                0..5 => writer.join(),
                5..9 => writer.operation(b'l', &[200]),
                _ => writer.say(),
            }
            hand_overs.happen(&mut writer);
        }
        writer.gap += 1;
    }
    writer.pass();
    writer.bytes
}

/// One of these networks.
fn network_of(seed: u64, networks: &[u8]) -> u8 {
    let pick = Chance::at(seed, &[NETWORK]).below(networks.len() as u64);
    networks[usize::try_from(pick).unwrap()]
}

impl Writer {
    fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), bytes: Vec::new(), gap: 0 }
    }

    /// The head: rules, two nodes or up to so many more, the end, the company, and weather and clocks by chance.
    fn head(&mut self, rules: &[u8], more_nodes: u64, end: u8, company: Company) {
        self.bytes.extend(rules);
        let nodes = 2 + self.chance.below(more_nodes);
        self.argument(nodes);
        self.argument(end.into());
        let loss = [1, 1, 2, 3, 4][self.below(5)];
        self.argument(if company.is_calm { 1 } else { loss });
        self.drawn(3);
        self.drawn(4);
        self.drawn(3);
        let (has_key, has_one_clock) = (self.chance.is_hit(30), self.chance.is_hit(40));
        self.argument(u64::from(has_key) + 2 * u64::from(company.network));
        let bits = u64::from(!has_one_clock) | company.extras;
        self.argument(bits);
        (0..4).for_each(|_| self.drawn(64));
    }

    /// Something happens, of a thousand cases.
    fn act(&mut self) {
        match self.chance.below(1_000) {
            0..400 => self.join(),
            400..430 => self.operation(b'i', &[5, 1]),
            430..450 => self.operation(b'a', &[3]),
            450..500 => self.operation(b'g', &[5, 3]),
            500..750 => self.operation(b'l', &[200]),
            750..800 => self.operation(b'm', &[]),
            800..840 => self.operation(b'e', &[5, 3]),
            840..850 => self.operation(b'\x7f', &[5, 3]),
            850..930 => self.say(),
            930..950 => self.operation(b'z', &[2]),
            950..970 => self.operation(b'b', &[]),
            970..985 => self.operation(b'~', &[]),
            985..992 => self.operation(b'|', &[]),
            _ => self.set_clock(),
        }
    }

    /// Four of ten claim a uuid.
    fn join(&mut self) {
        self.operation(b'j', &[5]);
        let uuid = if self.chance.is_hit(40) { 1 + self.chance.below(3) } else { 0 };
        self.argument(uuid);
    }

    /// Every tenth is too long for one datagram.
    fn say(&mut self) {
        self.operation(b's', &[5]);
        let filling = if self.chance.is_hit(10) { 7 } else { 0 };
        self.argument(filling);
    }

    /// By up to ten seconds, back or forward.
    fn set_clock(&mut self) {
        self.operation(b'c', &[]);
        let step = 5 + self.chance.below(6);
        self.argument(step);
    }

    /// An operation after the time that has passed, with arguments below these limits.
    fn operation(&mut self, letter: u8, limits: &[u64]) {
        self.pass();
        self.bytes.push(letter);
        for &limit in limits {
            self.drawn(limit);
        }
    }

    fn pass(&mut self) {
        while self.gap > 0 {
            let ticks = self.gap.min(PASS_MAX);
            self.gap -= ticks;
            self.bytes.push(b't');
            self.argument(ticks);
        }
    }

    fn drawn(&mut self, limit: u64) {
        let drawn = self.chance.below(limit);
        self.argument(drawn);
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.chance.below(limit)).unwrap()
    }

    fn argument(&mut self, value: u64) {
        self.bytes.push(b'0'.wrapping_add(u8::try_from(value).unwrap()));
    }
}
