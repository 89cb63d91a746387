//! An adversary that knows everything but keys and secrets.
//!
//! Owns its tricks, and what it has recorded. Where datagrams are sealed it sees all of them, and sends them again, whole or
//! damaged; it has sealed ones of nodes of earlier days, too. Where none is sealed it is another user of the host. It receives
//! nothing then, has read the names of the nodes, and makes datagrams as it likes.
//!
//! It makes none in the name of a node that is there within the bound of numbers: for that it would have to receive.
//!
//! Invariant: nothing that it does has an effect on what nodes know.

use std::rc::Rc;

use audience_meter::meter::news::{
    Age, Alive, Ask, Claim, Count, Datagram, DepartedShare, Echo, Farewell, FoldShare, Format, Item, MessagePart, News,
    NodeId, Peak, Promise, Sums, Wanted,
};
use audience_meter::wire::report::{self, FORMATS, Scope};

use super::World;
use super::setting::UUIDS;
use crate::Chance;

/// How many datagrams it keeps.
const RECORDED_MAX: usize = 512;

/// How many it sends at a time, of most kinds; and how many names a flood has.
const SOME: usize = 12;
const FLOOD: usize = 300;

/// Numbers that no node comes to.
const FAR: [u64; 3] = [1 << 40, (1 << 56) - 2, (1 << 56) - 1];

/// What it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All datagrams, which are sealed.
    All,
    /// No datagrams, which are not sealed, but the names of all nodes.
    Names,
}

/// The adversary.
pub(super) struct Adversary {
    sight: Sight,
    recorded: Vec<Rc<[u8]>>,
}

/// One act of the adversary.
pub(super) struct Attack<'a> {
    pub(super) scope: &'a Scope,
    /// The nodes that are there.
    pub(super) nodes: &'a [NodeId],
    pub(super) names: &'a [&'static str],
    pub(super) unix_ms: u64,
    pub(super) chance: Chance,
    /// What it sends.
    pub(super) sent: Vec<Rc<[u8]>>,
}

pub(super) type Trick = fn(&Adversary, &mut Attack);

/// Its tricks, in the order of the argument of the operation.
pub(super) const TRICKS: [Trick; 9] = [
    Adversary::replay,
    Adversary::damage,
    |_, attack| crowd(SOME, attack),
    |adversary, attack| adversary.ask(SOME, attack),
    Adversary::answer_wrongly,
    Adversary::say_goodbye,
    Adversary::jump,
    |_, attack| crowd(FLOOD, attack),
    |adversary, attack| adversary.ask(FLOOD, attack),
];

/// How many of the tricks are small, and come first.
pub(super) const SMALL_TRICKS: usize = 7;

impl Adversary {
    pub(super) fn new(sight: Sight) -> Self {
        Self { sight, recorded: Vec::new() }
    }

    /// Whether it is between nodes, if it likes: it can send on a question and its answer, and its own address has
    /// then returned the nonce.
    pub(super) fn is_between(&self) -> bool {
        self.sight == Sight::All
    }

    /// It sees a datagram, or not. Of many it keeps some of all times.
    pub(super) fn see(&mut self, bytes: &Rc<[u8]>, mut chance: Chance) {
        if self.sight != Sight::All {
            return;
        }
        if self.recorded.len() < RECORDED_MAX {
            self.recorded.push(bytes.clone());
        } else {
            *pick_mut(&mut self.recorded, &mut chance) = bytes.clone();
        }
    }

    /// Plays a trick.
    pub(super) fn play(&self, pick: usize, attack: &mut Attack) {
        TRICKS[pick % TRICKS.len()](self, attack);
    }

    /// Sends again what it has recorded.
    fn replay(&self, attack: &mut Attack) {
        if self.recorded.is_empty() {
            return crowd(SOME, attack);
        }
        for _ in 0..SOME {
            let bytes = pick(&self.recorded, &mut attack.chance).clone();
            attack.sent.push(bytes);
        }
    }

    /// Sends what it has recorded with some bytes less, others or more. Nothing of it is understood.
    fn damage(&self, attack: &mut Attack) {
        for _ in 0..SOME.min(self.recorded.len()) {
            let mut bytes = pick(&self.recorded, &mut attack.chance).to_vec();
            let at = below(bytes.len(), &mut attack.chance);
            match attack.chance.below(3) {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << attack.chance.below(8),
                _ => bytes.insert(at, bytes[at]),
            }
            assert!(report::decode(&bytes, attack.scope).is_err(), "the seal covers all: {bytes:?}");
            attack.sent.push(bytes.into());
        }
    }

    /// Asks for everything in names that it invents.
    fn ask(&self, count: usize, attack: &mut Attack) {
        for _ in 0..count {
            let node = NodeId(attack.chance.draw());
            let of = self.node(attack).filter(|_| attack.chance.is_hit(50));
            let nonce = attack.chance.draw();
            let wanted = if attack.chance.is_hit(30) { Wanted::DepartedShares } else { Wanted::Items { since: 0 } };
            attack.make(node, 1, News::Ask(Ask { of, wanted, nonce }));
        }
    }

    /// Answers questions that it has not received.
    fn answer_wrongly(&self, attack: &mut Attack) {
        for index in 0..SOME {
            let asker = self.node(attack).unwrap_or(NodeId(attack.chance.draw()));
            let nonce = [0, 1, u64::MAX].get(index).copied().unwrap_or_else(|| attack.chance.draw());
            let news = attack.news(Some(Echo { asker, nonce }));
            let (node, number) = (NodeId(attack.chance.draw()), attack.far());
            let sender = self.node(attack).filter(|_| attack.chance.is_hit(50)).unwrap_or(node);
            attack.make(sender, number, news);
        }
    }

    /// Says goodbye for others.
    fn say_goodbye(&self, attack: &mut Attack) {
        for _ in 0..SOME {
            let sender = self.node(attack).unwrap_or(NodeId(attack.chance.draw()));
            let farewell = if attack.chance.is_hit(20) { [0; 2] } else { [0; 2].map(|_: u8| attack.chance.draw()) };
            let number = if attack.chance.is_hit(50) { attack.far() } else { 1 };
            attack.make(sender, number, News::Bye(Farewell(farewell)));
        }
    }

    /// Says anything in the name of others, with a number that leaves all that they say themselves behind.
    fn jump(&self, attack: &mut Attack) {
        for _ in 0..SOME {
            let sender = self.node(attack).unwrap_or(NodeId(attack.chance.draw()));
            let (number, news) = (attack.far(), attack.news(None));
            attack.make(sender, number, news);
        }
    }

    /// A node that is there, in whose name it can make datagrams.
    fn node(&self, attack: &mut Attack) -> Option<NodeId> {
        let can_make = self.sight == Sight::Names && !attack.nodes.is_empty();
        can_make.then(|| *pick(attack.nodes, &mut attack.chance))
    }
}

impl Attack<'_> {
    fn make(&mut self, sender: NodeId, number: u64, news: News<&'static str>) {
        let format = Format { written: FORMATS.oldest, newest: FORMATS.newest };
        let datagram = Datagram { sender, number, clock: number.min(1 << 30), format, news };
        self.sent.push(report::encode(&datagram, self.scope).into());
    }

    fn far(&mut self) -> u64 {
        *pick(&FAR, &mut self.chance)
    }

    /// Something that would change much, were it believed; an answer if there is an `echo`.
    fn news(&mut self, echo: Option<Echo>) -> News<&'static str> {
        let (namespace, version) = (*pick(self.names, &mut self.chance), 1 + self.chance.below(100));
        if echo.is_some() {
            return self.alive(version, echo);
        }
        let uuid = *pick(&UUIDS, &mut self.chance);
        let claim = Claim { namespace, uuid, order: 1 << 40, patience: None };
        let sums = Sums { connections: 1_000_000, member_ticks: 1 << 40, ..Sums::default() };
        let peak = Peak { members: 1_000_000, ago_ms: 5 };
        let age = Age::default();
        match self.chance.below(10) {
            0 | 1 => self.alive(version, None),
            2 => {
                let count = Count { namespace, members: 1_000_000, uncounted: 3, waiting: 2, sums, age, peak };
                News::Report {
                    from: 0,
                    to: version,
                    horizon: 0,
                    name: 0,
                    items: vec![Item::Count(count), Item::Claim(claim)],
                }
            }
            3 => {
                let node = NodeId(self.chance.draw());
                News::DepartedShares(vec![DepartedShare { node, namespace, sums, age, peak }])
            }
            4 => News::Message(MessagePart { number: 1, namespace, text: "forged", begins: true, continues: false }),
            5 => News::Claimed(claim),
            6 => News::GivenUp { claim, is_away: false },
            7 => News::Folded(self.nodes.to_vec()),
            8 => {
                let list_digest = self.chance.draw();
                News::FoldShares { list_digest, shares: vec![FoldShare { namespace, sums, age, peak }] }
            }
            _ => News::Unknown,
        }
    }

    fn alive(&mut self, version: u64, echo: Option<Echo>) -> News<&'static str> {
        let (departed_digest, promise) = (self.chance.draw(), Promise(self.chance.draw()));
        News::Alive(Alive { version, departed_digest, promise, unix_ms: self.unix_ms, echo, ..Alive::default() })
    }
}

/// Invents nodes, or remembers nodes of earlier days, of which each says something.
fn crowd(count: usize, attack: &mut Attack) {
    for _ in 0..count {
        let (node, number) = (NodeId(attack.chance.draw()), 1 + attack.chance.below(1_000));
        let news = attack.news(None);
        attack.make(node, number, news);
    }
}

fn below(limit: usize, chance: &mut Chance) -> usize {
    usize::try_from(chance.below(limit as u64)).unwrap()
}

fn pick<'a, T>(from: &'a [T], chance: &mut Chance) -> &'a T {
    &from[below(from.len(), chance)]
}

fn pick_mut<'a, T>(from: &'a mut [T], chance: &mut Chance) -> &'a mut T {
    &mut from[below(from.len(), chance)]
}

/// No adversary makes nodes believe in one that is not there, or send to where none is, or keeps them from knowing those that
/// are.
pub(super) fn check_acquaintance(world: &mut World) {
    let World { observer, network, nodes, clock, bus, adversary, .. } = world;
    let Some(adversary) = adversary.as_ref().filter(|_| !observer.has_strangers) else { return };
    let is_clear = bus.weather.is_some() && !observer.has_cut && !observer.has_paused;
    let times = (clock.tick, network.meeting_ticks());
    let there: Vec<NodeId> = nodes.iter().map(|node| node.meter.node()).collect();
    for node in nodes {
        let known: Vec<NodeId> = node.meter.nodes(node.now(*clock)).map(|other| other.node).collect();
        observer.acquaintance.check_none_is_invented(&known);
        let mut learned = node.meter.learned_addresses();
        let is_true = adversary.is_between() || learned.all(|address| network.is_inside(address));
        assert!(is_true, "no node has proved itself there");
        if is_clear {
            observer.acquaintance.check_none_is_silenced(node.meter.node(), &known, &there, times);
        }
    }
}
