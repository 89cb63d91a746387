//! How time passes for the nodes: as they ask for it, or too late, and at last in peace.
//!
//! Owns the turns. What must be true after each is checked here.
//!
//! Invariant: a node that is woken when it asks to be has nothing left undone.

use super::{NAMESPACES, UUIDS, World, total_of};
use audience_meter::collections::tick::TICK_MS;

/// Everybody is quiet for so long at the end: the node timeout for those who died, and as long again for what was lost.
const QUIET_TICKS: u64 = 2 * 500 + 100;

/// How long datagrams take then.
const DELAY_TICKS: u64 = 5;

impl World<'_> {
    /// Passes time as the daemon does: it wakes exactly when a meter asks to.
    pub(super) fn pass(&mut self, ticks: u64) {
        let end = self.now.tick.0 + ticks;
        loop {
            let dues = self.nodes.iter().map(|node| node.meter.poll_timeout()).zip(0..);
            let dues = dues.filter_map(|(due, index)| Some((due?.max(self.now.tick), index)));
            let Some((due, index)) = dues.min().filter(|(due, _)| due.0 <= end) else { break };
            self.advance(due.0 - self.now.tick.0);
            self.wake(index, true);
        }
        self.advance(end - self.now.tick.0);
        for node in &mut self.nodes {
            node.book.check(&mut node.meter, self.now);
            node.book.check_nothing_is_due(self.now.tick);
        }
    }

    /// The host was stopped, for up to half a day.
    pub(super) fn be_late(&mut self) {
        let ticks = 1 << (self.script.below(16) + self.script.below(8));
        self.advance(ticks);
        for index in 0..self.nodes.len() {
            self.wake(index, true);
        }
    }

    fn advance(&mut self, ticks: u64) {
        self.now.tick.0 += ticks;
        self.now.unix_ms += ticks * TICK_MS;
    }

    /// The node has its turn; after it, nothing is left for this tick.
    pub(super) fn wake(&mut self, index: usize, has_heard_all: bool) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index) else { return };
        node.meter.handle_timeout(now, has_heard_all);
        node.book.count_in(now.tick);
        let next = node.meter.poll_timeout();
        assert!(next.is_none_or(|next| next > now.tick), "the shell would spin: {next:?} is not after {:?}", now.tick);
        let wanted = self.take_outputs(index);
        assert!(wanted.farewells.is_empty(), "time ends no claim");
        let Some(node) = self.nodes.get_mut(index) else { return };
        for (name, total, skip_newest) in wanted.counts {
            node.book.hear(name, total, skip_newest, now.tick);
        }
        node.book.check(&mut node.meter, now);
        node.book.check_nothing_is_due(now.tick);
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
            // The books are to know of an event that is heard of now before it is forgotten, which may be in this tick.
            self.check();
        }
        let present = || self.nodes.iter().flat_map(|node| node.book.all());
        for name in NAMESPACES {
            let truth = present().filter(|(of, present)| *of == name && !present.is_left_out()).count() as u64;
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
