//! Troubles: conditions of the cluster that make the total wrong or doubtful.
//!
//! | file | owns |
//! |---|---|
//! | `kind` | the kinds: name and remedy; a new kind is a row there |
//! | `source` | where a trouble comes from |
//! | `peers` | which listed peers are silent |
//! | `suspects` | nodes that may come to be a trouble, until they have been one for long enough |
//!
//! Owns what lasts, and since when. The bus raises a trouble at each datagram that shows it. A trouble is over when it has
//! not been raised for a while. Its first occurrence is logged in the same turn, then at most one line a minute, then its
//! end. Pages and metrics read what lasts. Nothing here decides whether a datagram is used.
//!
//! Invariant: the memory of a kind is bounded, whatever strangers send: [`EXAMPLES_MAX`] places, and one entry for the
//! others. Nothing wakes the process for a trouble but its end, and the check of listed peers.

mod kind;
mod peers;
mod source;
mod suspects;
#[cfg(test)]
mod tests;

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::log;
pub(in crate::server) use kind::Kind;
use peers::Peers;
pub(in crate::server) use source::{Place, Source};
use suspects::Suspects;

/// Most places of a kind that are named; the others are counted together.
const EXAMPLES_MAX: usize = 4;

/// The shortest time between two warnings of a kind.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// How long a trouble lasts after it was last raised: this, or [`HOLD_TIMEOUTS`] node timeouts where that is less. With the
/// default node timeout of 5 s the two are the same.
const HOLD_MAX: Duration = Duration::from_mins(1);
const HOLD_TIMEOUTS: u32 = 12;

/// The difference of two clocks that is a trouble, in milliseconds.
const SKEW_MS: u64 = 1_000;

/// All troubles of the process.
pub(in crate::server) struct Troubles {
    node_timeout: Duration,
    hold: Duration,
    by_kind: [Trouble; Kind::COUNT],
    peers: Peers,
    /// Nodes that have not proved themselves.
    unproven: Suspects,
    /// Nodes whose clock differs.
    skewed: Suspects,
    /// Nodes that may not have the key of their siblings yet.
    strangers: Suspects,
    /// Nodes that are received over loopback alone.
    apart: Suspects,
    is_deaf: bool,
}

/// A trouble of one kind; it lasts while it has examples.
#[derive(Default)]
struct Trouble {
    since: Tick,
    /// How often it was raised since then.
    count: u64,
    examples: Vec<Example>,
    /// Whether it was raised after its last warning.
    is_news: bool,
    /// Whether there was a warning since it began.
    is_logged: bool,
    warned_at: Option<Tick>,
}

/// A place where a trouble comes from.
pub(in crate::server) struct Example {
    /// `None` stands for all others.
    pub(in crate::server) source: Option<Source>,
    /// How often it was raised.
    pub(in crate::server) count: u64,
    since: Tick,
    last: Tick,
}

impl Example {
    /// How many whole seconds it has lasted.
    pub(in crate::server) fn since_s(&self, now: Now) -> u64 {
        now.tick.ms_since(self.since) / 1_000
    }
}

impl Troubles {
    /// None yet.
    pub(in crate::server) fn new(node_timeout: Duration) -> Self {
        Self {
            node_timeout,
            hold: HOLD_MAX.min(node_timeout.saturating_mul(HOLD_TIMEOUTS)),
            by_kind: Default::default(),
            peers: Peers::new(node_timeout),
            unproven: Suspects::new(node_timeout),
            skewed: Suspects::new(node_timeout),
            strangers: Suspects::new(node_timeout),
            apart: Suspects::new(node_timeout),
            is_deaf: false,
        }
    }

    /// A condition is there now.
    pub(in crate::server) fn raise(&mut self, kind: Kind, source: &Source, now: Now) {
        self.by_kind[kind as usize].raise(source, now.tick);
    }

    /// A condition that no datagram shows is still there. It is raised no more than once in a node timeout.
    pub(in crate::server) fn renew(&mut self, kind: Kind, source: &Source, now: Now) {
        let mut examples = self.by_kind[kind as usize].examples.iter();
        let is_fresh = |example: &Example| {
            let is_same = example.source.as_ref().is_none_or(|known| known.is_same(source));
            is_same && now.tick < example.last.after(self.node_timeout)
        };
        if !examples.any(is_fresh) {
            self.raise(kind, source, now);
        }
    }

    /// The same for a condition that has a line of its own in the log.
    pub(in crate::server) fn renew_quietly(&mut self, kind: Kind, source: &Source, now: Now) {
        self.renew(kind, source, now);
        self.by_kind[kind as usize].is_news = false;
    }

    /// A node is received over loopback, and not over the broker.
    pub(in crate::server) fn received_apart(&mut self, source: &Source, now: Now) {
        if source.node.is_some_and(|node| self.apart.see(node, now.tick)) {
            self.raise(Kind::BrokerSplit, source, now);
        }
    }

    /// Whether a process of this host is there whose counts do not come by any way.
    pub(in crate::server) fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    pub(in crate::server) fn set_deaf(&mut self, is_deaf: bool) {
        self.is_deaf = is_deaf;
    }

    /// A condition is over at all places that are such.
    pub(in crate::server) fn end(&mut self, kind: Kind, is_over: impl Fn(&Source) -> bool, now: Now) {
        let trouble = &mut self.by_kind[kind as usize];
        trouble.examples.retain(|example| !example.source.as_ref().is_some_and(&is_over));
        trouble.log_end_if_over(kind, now.tick);
    }

    /// A datagram that is not of the audience shows a condition. A node that may be of it, and only has another key for a
    /// moment, is named: then the trouble begins when that has lasted for a node timeout.
    pub(in crate::server) fn raise_from_stranger(&mut self, kind: Kind, source: &Source, now: Now) {
        if source.node.is_none_or(|node| self.strangers.see(node, now.tick)) {
            self.raise(kind, source, now);
        }
    }

    /// From now on, datagrams of this listed peer are expected. `addresses` are all that its name stands for now.
    pub(in crate::server) fn expect_peer(&mut self, name: Rc<str>, addresses: Vec<SocketAddr>, now: Now) {
        self.peers.expect(name, addresses, now.tick);
    }

    /// A datagram of the audience has come from this address of the network, this node's own datagrams included.
    pub(in crate::server) fn received_from(&mut self, address: SocketAddr, now: Now) {
        let Some(name) = self.peers.received(address, now.tick) else { return };
        let trouble = &mut self.by_kind[Kind::SilentPeer as usize];
        let (place, is_last) = (Place::Name(name), !self.peers.has_silent());
        trouble
            .examples
            .retain(|example| !is_last && example.source.as_ref().is_none_or(|source| source.place != place));
        trouble.log_end_if_over(Kind::SilentPeer, now.tick);
    }

    /// A datagram has come from a node that has not proved itself.
    pub(in crate::server) fn received_unproven(&mut self, source: &Source, now: Now) {
        if source.node.is_some_and(|node| self.unproven.see(node, now.tick)) {
            self.raise(Kind::UnprovenNode, source, now);
        }
    }

    /// A datagram has come from a node that has proved itself.
    pub(in crate::server) fn received_proven(&mut self, source: &Source) {
        self.unproven.clear(source.node);
        self.strangers.clear(source.node);
    }

    /// The node on another host read its wall clock when it sent a datagram, which has just come. A single late one says
    /// nothing: the trouble begins when no datagram in a node timeout was in time.
    pub(in crate::server) fn compare_clocks(&mut self, source: &Source, unix_ms: u64, now: Now) {
        let skew_ms = unix_ms.abs_diff(now.unix_ms);
        if skew_ms <= SKEW_MS {
            self.skewed.clear(source.node);
        } else if source.node.is_some_and(|node| self.skewed.see(node, now.tick)) {
            self.raise(Kind::ClockSkew, &Source { skew_ms: Some(skew_ms), ..source.clone() }, now);
        }
    }

    /// Ends what was not raised for a while, and logs what has begun, goes on or is over. `is_bus_empty` says that no datagram
    /// was left waiting: only then is a peer silent.
    pub(in crate::server) fn handle_timeout(&mut self, now: Now, is_bus_empty: bool) {
        if is_bus_empty && self.peers.check(now.tick) {
            let trouble = &mut self.by_kind[Kind::SilentPeer as usize];
            self.peers.silent().for_each(|name| trouble.raise(&Source::at(Place::Name(Rc::clone(name))), now.tick));
        }
        for (kind, trouble) in Kind::ALL.into_iter().zip(&mut self.by_kind) {
            if !trouble.examples.is_empty() {
                trouble.examples.retain(|example| now.tick < example.last.after(self.hold));
                trouble.log_end_if_over(kind, now.tick);
                trouble.warn_if_due(kind, now.tick);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        let examples = self.by_kind.iter().flat_map(|trouble| &trouble.examples);
        examples.map(|example| example.last.after(self.hold)).chain(self.peers.next_check()).min()
    }

    /// Whether other hosts are out of reach, because the broker is.
    pub(in crate::server) fn is_broker_away(&self) -> bool {
        !self.by_kind[Kind::BrokerAway as usize].examples.is_empty()
    }

    /// What lasts, each place of each kind.
    pub(in crate::server) fn lasting(&self) -> impl Iterator<Item = (Kind, &Example)> {
        let of = |(kind, trouble)| {
            let trouble: &Trouble = trouble;
            trouble.examples.iter().map(move |example| (kind, example))
        };
        Kind::ALL.into_iter().zip(&self.by_kind).flat_map(of)
    }

    /// 1 for each kind that lasts and 0 for the others, in the order of [`Kind::NAMES`].
    pub(in crate::server) fn gauges(&self) -> Vec<u64> {
        self.by_kind.iter().map(|trouble| u64::from(!trouble.examples.is_empty())).collect()
    }
}

impl Trouble {
    fn raise(&mut self, source: &Source, now: Tick) {
        if self.examples.is_empty() {
            (self.since, self.count, self.is_logged) = (now, 0, false);
        }
        self.count += 1;
        self.is_news = true;
        let example = self.example_of(source, now);
        example.count += 1;
        example.last = now;
    }

    /// The entry for this place: its own, or that of all others.
    fn example_of(&mut self, source: &Source, now: Tick) -> &mut Example {
        let is_same = |example: &Example| example.source.as_ref().is_some_and(|known| known.is_same(source));
        let found = self.examples.iter().position(is_same);
        let named = self.examples.iter().filter(|example| example.source.is_some()).count();
        let source = Some(source.clone()).filter(|_| found.is_some() || named < EXAMPLES_MAX);
        let found =
            found.or_else(|| self.examples.iter().position(|example| source.is_none() && example.source.is_none()));
        let index = found.unwrap_or(self.examples.len());
        if found.is_none() {
            self.examples.push(Example { source: None, count: 0, since: now, last: now });
        }
        let example = &mut self.examples[index];
        // The skew of the latest datagram is the one to show.
        example.source = source;
        example
    }

    fn warn_if_due(&mut self, kind: Kind, now: Tick) {
        let is_due = self.warned_at.is_none_or(|warned_at| now >= warned_at.after(WARNING_INTERVAL));
        if !self.is_news || !is_due || self.examples.is_empty() {
            return;
        }
        (self.is_news, self.is_logged, self.warned_at) = (false, true, Some(now));
        let lists = [
            ("address", self.list(|source| Some(&source.place))),
            ("node", self.list(|source| source.node.as_ref())),
            ("skew_ms", self.list(|source| source.skew_ms.as_ref())),
        ];
        let mut fields = Vec::from([("kind", kind.name().into())]);
        fields.extend(lists.iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| (*key, list[..].into())));
        fields.extend([("count", self.count.into()), ("remedy", kind.remedy().into())]);
        log::warn("cluster_trouble", &fields);
    }

    /// What the examples have of a field, separated by commas.
    fn list<T: Display>(&self, of: impl Fn(&Source) -> Option<&T>) -> String {
        let mut list = String::new();
        for value in self.examples.iter().filter_map(|example| of(example.source.as_ref()?)) {
            let separator = if list.is_empty() { "" } else { "," };
            // A string takes all that is written to it.
            let _ = write!(list, "{separator}{value}");
        }
        list
    }

    fn log_end_if_over(&mut self, kind: Kind, now: Tick) {
        if self.examples.is_empty() && self.is_logged {
            self.is_logged = false;
            let (seconds, count) = (now.ms_since(self.since) / 1_000, self.count);
            log::info(
                "cluster_trouble_over",
                &[("kind", kind.name().into()), ("seconds", seconds.into()), ("count", count.into())],
            );
        }
    }
}
