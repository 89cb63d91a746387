//! When a peer is looked at, and what it is asked then.
//!
//! Owns an alarm per living peer. It does not decide what becomes of a peer: [`Cluster`](super::Cluster) does.
//!
//! Invariant: the alarm of a living peer rings when its silence is over, at the latest.

use super::announce::Announcer;
use super::peer::Peer;
use super::peers::{PeerId, Peers};
use super::questions::ANSWER_TIME;
use super::rules::ClusterRules;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Now, Tick};
use crate::collections::wheel::TimerWheel;
use crate::meter::news::{Ask, News, To, Wanted};
use crate::meter::output::Outputs;

/// When to look at which peer: it may be silent, or has to be asked, or holds messages back.
#[derive(Default)]
pub(super) struct Lookout {
    alarms: TimerWheel<PeerId>,
}

impl Lookout {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { alarms } = self;
        alarms.write(out);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { alarms: TimerWheel::read(from) }
    }

    /// When the next alarm rings.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.alarms.next_deadline()
    }

    /// Rings the alarms that are due.
    pub(super) fn expire(&mut self, now: Tick) {
        self.alarms.expire(now);
    }

    /// The next peer whose alarm has rung.
    pub(super) fn pop_due(&mut self) -> Option<PeerId> {
        self.alarms.pop_due()
    }

    /// Looks at a peer at this time at the latest.
    pub(super) fn look_at(&mut self, id: PeerId, at: Tick) {
        if self.alarms.deadline(id).is_none_or(|set| set > at) {
            self.alarms.set(id, at);
        }
    }

    /// Looks at a peer when there is something to see.
    pub(super) fn look_again(&mut self, id: PeerId, peers: &Peers, rules: &ClusterRules) {
        let Some(peer) = peers.get(id).filter(|peer| peer.is_living()) else { return };
        let over = peer.silence.over_at(rules.node_timeout);
        let deadlines = [Some(over), peer.repeat_at(), peer.call_at(rules.node_timeout), peer.inbox.skip_at()];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            self.look_at(id, at);
        }
    }

    /// A peer is not looked at any more.
    pub(super) fn forget(&mut self, id: PeerId) {
        self.alarms.cancel(id);
    }
}

/// Asks a peer for what is missing, to prove its number, or whether it is there at all.
pub(super) fn ask_if_due(
    id: PeerId,
    peers: &mut Peers,
    rules: &ClusterRules,
    announcer: &mut Announcer,
    outputs: &mut Outputs,
    now: Now,
) {
    let Some(peer) = peers.get(id).filter(|peer| peer.is_living()) else { return };
    let is_due = |at: Option<Tick>| at.is_some_and(|at| at <= now.tick);
    let is_called = is_due(peer.call_at(rules.node_timeout));
    if !is_called && !is_due(peer.repeat_at()) {
        return;
    }
    let &Peer { node, known, origin, question, .. } = peer;
    let peer = peers.at_mut(id);
    peer.ask_at = now.tick.after(ANSWER_TIME);
    if is_called {
        peer.silence.record_call(now.tick);
    }
    let ask = Ask { of: Some(node), wanted: Wanted::Items { since: known }, nonce: question.unwrap_or(0) };
    announcer.send_to(To::Origin(origin), News::Ask(ask), outputs, now);
}
