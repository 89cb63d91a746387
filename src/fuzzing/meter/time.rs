//! How time passes for the nodes: as they ask for it, or too late, and at last in peace.
//!
//! Owns the turns. What must be true after each is checked here.
//!
//! Invariant: a node that is woken when it asks to be has nothing left undone.

use super::{NAMESPACES, Node, UUIDS, World, total_of};
use crate::collections::tick::{TICK_MS, Tick};

/// How many datagrams a turn sends at most.
const DATAGRAMS_PER_TURN: usize = 32;

/// How many turns a node has in one tick, if nothing happens.
const TURNS_MAX: usize = 2;

/// How late two nodes may be, in ticks: a little longer than the node timeout, and far from the delay above.
const PAIR_LATE_MAX: u64 = 512;

/// Everybody is quiet for so long at the end: the node timeout for those who died, and as long again for what was lost.
const QUIET_TICKS: u64 = 2 * 500 + 100;

/// How long datagrams take then.
const DELAY_TICKS: u64 = 5;

impl World<'_> {
    /// Passes time as the daemon does: it wakes exactly when a meter asks to.
    pub(super) fn pass(&mut self, ticks: u64) {
        let end = self.now.tick.0 + ticks;
        loop {
            let dues = self.nodes.iter().map(|node| node.due(self.now.tick)).zip(0..);
            let dues = dues.filter_map(|(due, index)| Some((due?, index)));
            let Some((due, index)) = dues.min().filter(|(due, _)| due.0 <= end) else { break };
            self.advance(due.0 - self.now.tick.0);
            self.wake(index, true);
        }
        self.advance(end - self.now.tick.0);
        for node in &mut self.nodes {
            node.book.check(&mut node.meter, self.now.tick);
            if node.busy_at != Some(self.now.tick) {
                node.book.check_nothing_is_due(self.now.tick);
            }
        }
    }

    /// The host was stopped: for up to half a day, if there is one node.
    pub(super) fn be_late(&mut self) {
        let ticks = 1 << (self.script.below(16) + self.script.below(8));
        self.advance(if self.nodes.len() > 1 { ticks.min(PAIR_LATE_MAX) } else { ticks });
        for index in 0..self.nodes.len() {
            self.wake(index, true);
        }
    }

    fn advance(&mut self, ticks: u64) {
        self.now.tick.0 += ticks;
        self.now.unix_ms += ticks * TICK_MS;
    }

    /// The node has its turn, and another in the same tick if it asks for one: what was counted in just now is told to the
    /// other nodes in the second. After that, nothing is left for this tick.
    pub(super) fn wake(&mut self, index: usize, has_heard_all: bool) {
        let now = self.now;
        let mut sent = 0;
        for _ in 0..TURNS_MAX {
            let Some(node) = self.nodes.get_mut(index) else { return };
            node.meter.handle_timeout(now, has_heard_all);
            node.book.count_in(now.tick);
            let wanted = self.take_outputs(index);
            assert!(wanted.farewells.is_empty(), "time ends no claim");
            sent += wanted.sent;
            let Some(node) = self.nodes.get_mut(index) else { return };
            for (name, total, skip_newest) in wanted.counts {
                node.book.hear(name, total, skip_newest, now.tick);
            }
            node.book.check(&mut node.meter, now.tick);
            node.book.check_nothing_is_due(now.tick);
            node.busy_at = if sent >= DATAGRAMS_PER_TURN { Some(now.tick) } else { node.busy_at };
            if node.due(now.tick).is_none_or(|due| due > now.tick) {
                return;
            }
        }
        panic!("the shell would spin at {now:?}");
    }

    /// The wall clock is set: back by up to half a minute, or forward.
    pub(super) fn set_clock(&mut self) {
        let ms = 4_000 * self.script.below(16) as u64;
        self.now.unix_ms = self.now.unix_ms + ms - 30_000;
    }

    /// Nothing happens any more, and nothing is lost: in the end both nodes tell how many there truly are.
    pub(super) fn settle(&mut self) {
        for _ in 0..QUIET_TICKS / DELAY_TICKS {
            self.pass(DELAY_TICKS);
            self.flush();
        }
        self.check();
        let present = || self.nodes.iter().flat_map(|node| node.book.all());
        for name in NAMESPACES {
            let truth = present().filter(|(of, _)| *of == name).count() as u64;
            for uuid in UUIDS {
                let claims = present().filter(|(of, present)| *of == name && present.uuid == Some(uuid));
                assert!(claims.count() <= 1, "{uuid} of {name} survives twice");
            }
            for node in &self.nodes {
                assert_eq!(
                    total_of(&node.meter, name).unwrap_or(0),
                    truth,
                    "the total of {name} at {}",
                    node.meter.node()
                );
            }
        }
    }
}

impl Node {
    /// When it is to be woken, at the earliest now. What is left of a turn that sent all it may waits for the next tick.
    fn due(&self, now: Tick) -> Option<Tick> {
        let earliest = if self.busy_at == Some(now) { Tick(now.0 + 1) } else { now };
        self.meter.poll_timeout().map(|due| due.max(earliest))
    }
}
