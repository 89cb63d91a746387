//! Persons with uuids who move between nodes that keep their places (`--leave-delay`): lost streams, farewells, nodes that end or die.
//!
//! Owns a small world of meters and a bus that loses nothing or loses much, and the one truth about each person: whether it has a
//! stream, or had one of late. The large world of the kit knows no patience.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use audience_kit::Chance;
use audience_kit::world::{table_of, take_over};
use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{Datagram, NodeId, Origin, Secret};
use audience_meter::meter::{ClusterRules, Leaving, MemberId, Membership, Meter, Namespace, NotifyRule, Output, Rules};
use audience_meter::wire::report::{FORMATS, Keys, Scope, decode, encode};

/// For how long places are kept, in ticks; a deadline is up to one later.
const DELAY: u64 = 1_500;

/// After how many ticks a node is taken for gone.
const TIMEOUT: u64 = 200;

/// How long the longest repair of a loss takes, and the copy of an end.
const SETTLED: u64 = 600;

/// How often a node hands itself over to another program, in ticks.
const HANDED_OVER_TICKS: u64 = 23;

const PERSONS: u64 = 12;

struct Node {
    meter: Meter,
    /// Who has a stream here, by its key.
    streams: BTreeMap<u32, String>,
    next_member: u32,
    pushed: Vec<u64>,
}

/// Some nodes and the persons among them.
struct Scene {
    nodes: Vec<Node>,
    tick: u64,
    born: u64,
    bus: VecDeque<(u64, u64, Vec<u8>)>,
    chance: Chance,
    loss_percent: u64,
    /// Until when each person without a stream is counted.
    lost: BTreeMap<String, u64>,
}

fn scope() -> Scope {
    Scope { id: 7, keys: Keys::new(Vec::new()) }
}

impl Scene {
    fn new(nodes: usize, seed: u64, loss_percent: u64) -> Self {
        let (bus, chance, lost) = (VecDeque::new(), Chance::at(seed, &[1]), BTreeMap::new());
        let mut scene = Self { nodes: Vec::new(), tick: 1_000, born: 0, bus, chance, loss_percent, lost };
        (0..nodes).for_each(|_| scene.begin());
        scene.pass(300);
        scene
    }

    fn now(&self) -> Now {
        Now { tick: Tick(self.tick), unix_ms: 1_300_000_000_000 + self.tick * TICK_MS }
    }

    /// The rules of all nodes. Each has a secret of its own.
    fn rules() -> (Rules, Membership) {
        let ms = Duration::from_millis;
        let rules = Rules {
            notify: NotifyRule { delta_ratio: 0.0, min_delay: ms(0), max_delay: Duration::from_mins(10), budget: None },
            increment_delay: Duration::ZERO,
            leave_delay: ms(DELAY * TICK_MS),
            namespace_clean_delay: Duration::from_mins(10),
            namespaces_max: usize::MAX,
        };
        let cluster = ClusterRules { node_timeout: ms(TIMEOUT * TICK_MS), ..ClusterRules::default() };
        (rules, Membership { rules: cluster, secret: Secret([0; 2]), formats: FORMATS })
    }

    fn begin(&mut self) {
        self.born += 1;
        let id = NodeId(Chance::at(self.born, &[self.chance.draw()]).draw());
        let (rules, membership) = Self::rules();
        let membership = Membership { secret: Secret([id.0, 9]), ..membership };
        let meter = Meter::new(rules, id, Some(membership));
        self.nodes.push(Node { meter, streams: BTreeMap::new(), next_member: 0, pushed: Vec::new() });
    }

    /// Carries out what a node wants done.
    fn act(&mut self, index: usize) {
        let tick = self.tick;
        let node = &mut self.nodes[index];
        let from = node.meter.node().0;
        while let Some(output) = node.meter.poll_output() {
            match output {
                Output::Send(_, datagram) if !self.chance.is_hit(self.loss_percent) => {
                    let late = if self.loss_percent > 0 { self.chance.below(4) } else { 0 };
                    self.bus.push_back((tick + late, from, encode(&datagram, &scope())));
                }
                Output::Farewell(member) | Output::Left(member) => {
                    node.streams.remove(&member.place().get());
                }
                Output::Count { total, .. } => node.pushed.push(total),
                _ => {}
            }
        }
    }

    /// All datagrams that are due arrive.
    fn deliver(&mut self) {
        while let Some(at) = self.bus.iter().position(|(at, ..)| *at <= self.tick) {
            let (_, from, bytes) = self.bus.remove(at).unwrap();
            let now = self.now();
            for index in 0..self.nodes.len() {
                let datagram: Datagram<&str> = decode(&bytes, &scope()).unwrap();
                if self.nodes[index].meter.node().0 != from {
                    let _ = self.nodes[index].meter.receive(&datagram, Origin::Loopback, now);
                    self.act(index);
                }
            }
        }
    }

    fn pass(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.tick += 1;
            self.turn();
        }
    }

    fn turn(&mut self) {
        for _ in 0..40 {
            self.deliver();
            let now = self.now();
            for index in 0..self.nodes.len() {
                if self.nodes[index].meter.poll_timeout().is_some_and(|due| due <= now.tick) {
                    self.nodes[index].meter.handle_timeout(now, true);
                    self.act(index);
                    self.hand_over(index);
                }
            }
            if self.bus.iter().all(|(at, ..)| *at > self.tick) {
                break;
            }
        }
        self.lost.retain(|_, until| *until > self.tick);
    }

    /// Now and then the node goes on as another program.
    fn hand_over(&mut self, index: usize) {
        if self.tick % HANDED_OVER_TICKS == index as u64 {
            let (rules, membership) = Self::rules();
            let table = table_of(&self.nodes[index].meter);
            self.nodes[index].meter = take_over(&table, rules, Some(membership)).unwrap();
            assert!(table_of(&self.nodes[index].meter) == table);
        }
    }

    fn join(&mut self, index: usize, person: &str) -> u64 {
        let now = self.now();
        let node = &mut self.nodes[index];
        let member = node.next_member;
        node.next_member += 1;
        let total = node.meter.join(MemberId::new(member), "a", Some(person), now);
        node.streams.insert(member, person.to_owned());
        self.lost.remove(person);
        self.act(index);
        total.unwrap_or(0)
    }

    /// The stream of a person ends without a word.
    fn lose(&mut self, index: usize, member: u32) {
        let now = self.now();
        if let Some(person) = self.nodes[index].streams.remove(&member) {
            self.nodes[index].meter.leave(MemberId::new(member), now);
            self.lost.insert(person, self.tick + DELAY);
            self.act(index);
        }
    }

    /// A page says that it leaves, at any node.
    fn say(&mut self, index: usize, person: &str, leaving: Leaving) {
        let now = self.now();
        self.nodes[index].meter.uuids(now).leave("a", person, leaving);
        self.act(index);
    }

    /// The process of a node is gone; politely, or at once.
    fn end(&mut self, index: usize, is_polite: bool) {
        let now = self.now();
        if is_polite {
            let members: Vec<u32> = self.nodes[index].streams.keys().copied().collect();
            for member in members {
                self.lose(index, member);
            }
            self.nodes[index].meter.departure(now).announce();
            self.act(index);
        }
        let node = self.nodes.remove(index);
        for person in node.streams.into_values() {
            self.lost.insert(person, self.tick + DELAY);
        }
    }

    /// Who has a stream. One that has two has moved, and the farewell of the older is on its way.
    fn present(&self) -> BTreeSet<&str> {
        self.nodes.iter().flat_map(|node| node.streams.values().map(String::as_str)).collect()
    }

    fn truth(&self) -> u64 {
        let present = self.present();
        present.len() as u64 + self.lost.keys().filter(|person| !present.contains(person.as_str())).count() as u64
    }

    fn totals(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| figure(&node.meter, Namespace::total)).collect()
    }

    fn connections(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| figure(&node.meter, Namespace::connections)).collect()
    }

    #[track_caller]
    fn check(&self) {
        let truth = self.truth();
        assert_eq!(self.totals(), vec![truth; self.nodes.len()], "at {} of {:?}", self.tick, self.lost);
    }
}

fn figure(meter: &Meter, of: impl Fn(&Namespace) -> u64) -> u64 {
    meter.find("a").and_then(|id| meter.namespaces().get(id)).map_or(0, of)
}

fn person(number: u64) -> String {
    format!("person-{number}")
}

#[test]
fn a_person_that_comes_back_at_another_node_is_no_connection_no_stay_and_no_push() {
    let mut scene = Scene::new(3, 1, 0);
    scene.join(0, "other");
    scene.join(0, "u");
    scene.pass(300);
    let (member, _) =
        scene.nodes[0].streams.iter().next_back().map(|(&member, person)| (member, person.clone())).unwrap();
    scene.nodes.iter_mut().for_each(|node| node.pushed.clear());
    scene.lose(0, member);
    scene.pass(100);
    assert_eq!(scene.join(1, "u"), 2);
    assert_eq!(scene.totals(), [2, 2, 2], "at once");
    scene.pass(300);
    assert_eq!((scene.totals(), scene.connections()), (vec![2, 2, 2], vec![2, 2, 2]));
    // While its stream is open still, as that of a phone whose network has changed.
    assert_eq!(scene.join(2, "u"), 2);
    scene.pass(2_000);
    assert_eq!((scene.totals(), scene.connections()), (vec![2, 2, 2], vec![2, 2, 2]));
    assert!(scene.nodes.iter().all(|node| node.pushed.is_empty()), "{:?}", scene.nodes[0].pushed);
    let now = scene.now();
    let accounts = scene.nodes.iter().map(|node| node.meter.accounts(node.meter.find("a").unwrap(), now));
    for accounts in accounts {
        assert_eq!(accounts.stays.iter().sum::<u64>(), 0, "{accounts:?}");
        // There is no gap, and each move is known a tick later.
        let ticks = accounts.member_ms / TICK_MS - 2 * 2_700;
        assert!(ticks <= 4, "{accounts:?}");
    }
}

#[test]
fn the_persons_of_a_node_that_ends_or_dies_are_counted_for_the_delay() {
    for is_polite in [false, true] {
        let mut scene = Scene::new(3, 2, 0);
        for number in 0..9 {
            scene.join(usize::try_from(number % 3).unwrap(), &person(number));
        }
        scene.pass(300);
        scene.end(0, is_polite);
        let ended_at = scene.tick;
        // One that is new learns of them, too.
        scene.pass(TIMEOUT + 200);
        scene.begin();
        scene.pass(300);
        assert_eq!(scene.totals(), [9, 9, 9]);
        // One comes back at each.
        for (index, number) in [(0, 0), (2, 3)] {
            assert_eq!(scene.join(index, &person(number)), 9);
            scene.pass(50);
            assert_eq!(scene.totals(), [9, 9, 9]);
        }
        assert_eq!(scene.connections(), [9, 9, 9]);
        scene.pass(ended_at + TIMEOUT + DELAY + 300 - scene.tick);
        assert_eq!(scene.totals(), [8, 8, 8], "the third has stayed away");
    }
}

#[test]
fn a_farewell_ends_the_place_at_another_node() {
    let mut scene = Scene::new(2, 3, 0);
    for is_away in [false, true] {
        scene.join(0, "u");
        let now = scene.now();
        let stream = scene.nodes[0].meter.uuids(now).stream("a", "u");
        scene.pass(50);
        let older = stream.map(|stream| stream - 1);
        scene.say(1, "u", Leaving { stream: older, is_away });
        scene.pass(50);
        assert_eq!((scene.totals(), scene.present().len()), (vec![1, 1], 1), "it names an older one");
        scene.say(1, "u", Leaving { stream, is_away });
        scene.pass(50);
        assert_eq!((scene.totals(), scene.present().len()), (vec![u64::from(is_away); 2], 0));
        scene.pass(600);
        assert_eq!(scene.totals(), [0, 0]);
    }
}

/// Something happens to a person, or to a node.
fn live(scene: &mut Scene, has_deaths: bool) {
    let index = usize::try_from(scene.chance.below(scene.nodes.len() as u64)).unwrap();
    let someone = person(scene.chance.below(PERSONS));
    match scene.chance.below(100) {
        0..45 => {
            scene.join(index, &someone);
        }
        45..85 => {
            let streams: Vec<u32> = scene.nodes[index].streams.keys().copied().collect();
            if !streams.is_empty() {
                let pick = usize::try_from(scene.chance.below(streams.len() as u64)).unwrap();
                scene.lose(index, streams[pick]);
            }
        }
        85..97 => {
            scene.say(index, &someone, Leaving::default());
            scene.turn();
            // Its stream ends in any case, should the farewell be lost.
            for index in 0..scene.nodes.len() {
                let left = scene.nodes[index].streams.iter().find(|(_, person)| **person == someone);
                if let Some(member) = left.map(|(&member, _)| member) {
                    scene.lose(index, member);
                }
            }
            scene.lost.remove(&someone);
        }
        _ if has_deaths && scene.nodes.len() > 2 => {
            let is_polite = scene.chance.is_hit(50);
            scene.end(index, is_polite);
            scene.begin();
        }
        _ => {}
    }
}

#[test]
fn on_a_network_that_loses_nothing_every_total_is_true_at_any_moment() {
    for seed in 0..30 {
        let mut scene = Scene::new(3, seed, 0);
        for _ in 0..150 {
            live(&mut scene, false);
            scene.pass(1 + scene.tick % 40);
            scene.pass(30);
            scene.check();
        }
    }
}

#[test]
fn whatever_is_lost_and_whoever_dies_all_totals_are_true_in_the_end() {
    for seed in 0..30 {
        let mut scene = Scene::new(3, 100 + seed, 20);
        for _ in 0..150 {
            live(&mut scene, true);
            scene.pass(1 + scene.tick % 30);
        }
        scene.loss_percent = 0;
        scene.pass(TIMEOUT + 2 * DELAY + SETTLED);
        scene.lost.clear();
        let present = scene.present().len() as u64;
        assert_eq!(scene.totals(), vec![present; scene.nodes.len()], "seed {seed}");
        let connections = scene.connections();
        assert!(connections.iter().all(|count| *count == connections[0]), "{connections:?} of seed {seed}");
    }
}
