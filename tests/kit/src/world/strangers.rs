//! Invented nodes: each says whatever the script has it say, in well-formed datagrams.
//!
//! Owns what they are called, how their datagrams are numbered, and what they were asked to repeat. What they say need not
//! be true, nor even agree with what they have said before.
//!
//! Invariant: what a stranger says could have been decoded from bytes.

use std::collections::BTreeMap;

use super::script::Script;
use super::setting::UUIDS;
use audience_meter::meter::news::{
    Age, Alive, Ask, Claim, Count, Datagram, DepartedShare, Echo, Farewell, FoldShare, Format, Item, MessagePart, News,
    NodeId, Peak, Sums, Wanted,
};
use audience_meter::meter::promise_of;
use audience_meter::wire::report::FORMATS;

/// How many there are.
pub(super) const STRANGERS: usize = 3;

/// A node that is not there.
pub(super) struct Stranger {
    node: NodeId,
    number: u64,
    version: u64,
    message: u64,
    /// What the node at each address has asked it to repeat last.
    nonces: BTreeMap<u64, u64>,
}

impl Stranger {
    pub(super) fn new(index: usize) -> Self {
        Self { node: NodeId(1_000 + index as u64), number: 0, version: 0, message: 0, nonces: BTreeMap::new() }
    }

    /// A node asks: perhaps this one.
    pub(super) fn take_question(&mut self, asker: u64, ask: &Ask) {
        if ask.of.is_none_or(|of| of == self.node) {
            self.nonces.insert(asker, ask.nonce);
        }
    }

    /// The next datagram, as the script says: first its number, then its kind.
    pub(super) fn speak(
        &mut self,
        listener: (u64, NodeId),
        script: &mut Script,
        names: &[&'static str],
    ) -> Datagram<&'static str> {
        let (to, node) = listener;
        // Most are the next one; others are old, are new and come too early, or leave the window behind.
        let number = match script.below(8) {
            7 => self.number.saturating_sub(2).max(1),
            6 => self.number + 3,
            5 => self.number + 2_000,
            _ => self.number + 1,
        };
        self.number = self.number.max(number);
        let news = match script.below(12) {
            0 => {
                let nonce = self.nonces.get(&to).copied().unwrap_or(0);
                self.alive(Some(Echo { asker: node, nonce }), script)
            }
            1 => {
                let echo = script.flag().then_some(Echo { asker: node, nonce: 7 });
                self.alive(echo, script)
            }
            2 => {
                let since = script.below(4) as u64;
                let wanted = if script.flag() { Wanted::DepartedShares } else { Wanted::Items { since } };
                News::Ask(Ask { of: script.flag().then_some(node), wanted, nonce: 5 })
            }
            3 | 4 => self.report(script, names),
            5 => News::DepartedShares((0..script.below(3)).map(|_| departed_share(script, names, node)).collect()),
            6 => News::Message(self.part(script, names)),
            7 => News::Claimed(claim(script, names)),
            8 => News::GivenUp { claim: claim(script, names), is_away: false },
            10 => News::Folded((0..script.below(4)).map(|_| departed_node(script, node)).collect()),
            11 => fold_shares(script, names),
            _ => News::Bye(self.farewell()),
        };
        // A clock that goes ahead by a tick with each word, or jumps with its number.
        let format = Format { written: FORMATS.oldest, newest: FORMATS.newest };
        Datagram { sender: self.node, number, clock: number, format, news }
    }

    fn farewell(&self) -> Farewell {
        Farewell([self.node.0, 1])
    }

    fn alive(&self, echo: Option<Echo>, script: &mut Script) -> News<&'static str> {
        let (version, message) = (self.version + script.below(2) as u64, self.message);
        let (departed_digest, promise) = (script.below(2) as u64, promise_of(self.farewell()));
        News::Alive(Alive { version, message, departed_digest, promise, echo, ..Alive::default() })
    }

    /// A report of the next versions, of all so far, of what comes after a gap, or of what is long past.
    fn report(&mut self, script: &mut Script, names: &[&'static str]) -> News<&'static str> {
        let (from, to) = match script.below(4) {
            0 => (self.version, self.version + 1),
            1 => (0, self.version.max(1)),
            2 => (self.version + 1, self.version + 3),
            _ => (self.version / 2, self.version / 2 + 1),
        };
        self.version = self.version.max(to);
        let items = (0..script.below(4)).map(|_| {
            if script.below(3) == 0 {
                return Item::Claim(claim(script, names));
            }
            let (namespace, heads) = (script.pick(names), u32::from(script.byte()));
            let (members, uncounted) = (heads % 16, heads >> 6);
            let (sums, peak) = sums(script);
            Item::Count(Count { namespace, members, uncounted, waiting: 0, sums, age: age(script), peak })
        });
        News::Report { from, to, horizon: 0, name: 0, items: items.collect() }
    }

    fn part(&mut self, script: &mut Script, names: &[&'static str]) -> MessagePart<&'static str> {
        self.message += 1 + script.below(2) as u64;
        let (begins, continues) = (script.flag(), script.flag());
        MessagePart { number: self.message, namespace: script.pick(names), text: "x", begins, continues }
    }
}

/// A claim from before most others, from among them, from after them, or from where no audience can have come to.
fn claim(script: &mut Script, names: &[&'static str]) -> Claim<&'static str> {
    let order = [0, 9, 1 << 30, 1 << 50][script.below(4)];
    Claim { namespace: script.pick(names), uuid: script.pick(&UUIDS), order, patience: None }
}

/// What is told of a node that is gone: of one that nobody knows, of another stranger, or of the listener itself.
fn departed_share(script: &mut Script, names: &[&'static str], listener: NodeId) -> DepartedShare<&'static str> {
    let node = departed_node(script, listener);
    let namespace = script.pick(names);
    let (sums, peak) = sums(script);
    DepartedShare { node, namespace, sums, age: age(script), peak }
}

/// One that nobody knows, another stranger, or the listener itself.
fn departed_node(script: &mut Script, listener: NodeId) -> NodeId {
    match script.below(8) {
        0 => listener,
        pick => NodeId(998 + pick as u64),
    }
}

/// What is told of nodes that are folded: of none, as in the beginning, or of others than the listener knows of.
fn fold_shares(script: &mut Script, names: &[&'static str]) -> News<&'static str> {
    let list_digest = script.below(2) as u64;
    let shares = (0..script.below(3)).map(|_| {
        let namespace = script.pick(names);
        let (sums, peak) = sums(script);
        FoldShare { namespace, sums, age: age(script), peak }
    });
    News::FoldShares { list_digest, shares: shares.collect() }
}

/// Sums and a peak, as one byte says: from nothing to the largest that there may be.
fn sums(script: &mut Script) -> (Sums, Peak) {
    let byte = u64::from(script.byte());
    let mut sums = Sums { connections: byte, member_ticks: byte << 44, ..Sums::default() };
    if let Some(count) = sums.stays.get_mut((byte % 16) as usize) {
        *count = byte << (byte % 40);
    }
    (sums, Peak { members: byte % 32, ago_ms: byte << (byte % 40) })
}

fn age(script: &mut Script) -> Age {
    Age {
        existed_ms: [0, 900, 1 << 40, (1 << 56) - 1][script.below(4)],
        empty_ms: [0, 50, 900, 1 << 40][script.below(4)],
    }
}
