//! How fast this node repeats what others have missed.
//!
//! Owns the number of datagrams that a turn may repeat. All nodes receive a datagram for all, so the sum over all senders has
//! to stay within bounds. While others repeat as much as one node may, or while this process does not keep up with what comes
//! in, it repeats half as much as in the turn before. Otherwise it repeats a little more from tick to tick, as the senders of
//! TCP on one path do (RFC 5681 section 3.1). So nodes that learn each other anew after a cut share what they can take in.
//!
//! Questions have no part in it: nodes that are asked for proof later are met later, and a flood would see to that.
//!
//! Invariant: a repair that has begun goes on, by one datagram a turn at least.

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::News;

/// How many datagrams one turn sends at most. With a turn per tick while there is more, that is 4,800 a second: a newcomer
/// learns 100,000 namespaces, some 2,100 datagrams, in 0.5 s, and no receive buffer runs over.
///
/// One datagram takes 8 us to put together, so a turn is at it for 0.4 ms.
pub(super) const DATAGRAMS_PER_TURN: usize = 48;

/// By how many datagrams a turn may repeat more after each tick without a crowd: from the least to the most in a quarter of a
/// second.
const GROWTH_PER_TICK: usize = 2;

/// The pace of repairs.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many datagrams a turn repeats at most.
    quota: usize,
    /// How many of them are left in this turn.
    left: usize,
    /// How many datagrams of others have come since the last turn.
    received: usize,
    at: Tick,
}

impl Default for Pace {
    fn default() -> Self {
        Self { quota: DATAGRAMS_PER_TURN, left: 0, received: 0, at: Tick(0) }
    }
}

impl Pace {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { quota, left, received, at } = self;
        for &count in [quota, left, received] {
            out.count(count);
        }
        out.tick(*at);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { quota: from.size(), left: from.size(), received: from.size(), at: from.tick() }
    }

    /// Another node has sent this. Shares take this node about as long as a datagram of its own does.
    pub(super) fn record_received<N>(&mut self, news: &News<N>) {
        let has_shares = matches!(news, News::Report { .. } | News::DepartedShares(_) | News::FoldShares { .. });
        self.received += usize::from(has_shares);
    }

    /// A turn begins. `keeps_up` says that no received datagram was left waiting.
    pub(super) fn begin_turn(&mut self, keeps_up: bool, now: Tick) {
        let ticks = usize::try_from(now.0.saturating_sub(self.at.0)).unwrap_or(usize::MAX).clamp(1, DATAGRAMS_PER_TURN);
        let is_crowded = !keeps_up || self.received > ticks * DATAGRAMS_PER_TURN;
        let quota = if is_crowded { self.quota / 2 } else { self.quota + ticks * GROWTH_PER_TICK };
        self.quota = quota.clamp(1, DATAGRAMS_PER_TURN);
        (self.left, self.received, self.at) = (self.quota, 0, now);
    }

    /// Whether one more datagram may be repeated in this turn; it counts.
    pub(super) fn take(&mut self) -> bool {
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many datagrams the next turn repeats at most.
    fn next_turn(pace: &mut Pace, received: usize, keeps_up: bool) -> usize {
        (0..received).for_each(|_| pace.record_received(&News::<&str>::DepartedShares(Vec::new())));
        pace.begin_turn(keeps_up, Tick(pace.at.0 + 1));
        std::iter::repeat_with(|| pace.take()).take_while(|&may| may).count()
    }

    #[test]
    fn a_node_that_repeats_alone_repeats_as_much_as_a_turn_may() {
        let mut pace = Pace::default();
        for received in [0, 1, DATAGRAMS_PER_TURN] {
            assert_eq!(next_turn(&mut pace, received, true), DATAGRAMS_PER_TURN);
        }
    }

    #[test]
    fn nodes_that_repeat_together_come_to_what_one_may() {
        const NODES: usize = 32;
        let mut paces: [Pace; NODES] = std::array::from_fn(|_| Pace::default());
        let mut sent = [DATAGRAMS_PER_TURN; NODES];
        let mut totals = Vec::new();
        for _ in 0..200 {
            let total: usize = sent.iter().sum();
            totals.push(total);
            for (pace, sent) in paces.iter_mut().zip(&mut sent) {
                *sent = next_turn(pace, total - *sent, true);
            }
        }
        let later: usize = totals.iter().skip(10).sum();
        assert!(later / (totals.len() - 10) < 2 * DATAGRAMS_PER_TURN, "{totals:?}");
    }

    #[test]
    fn a_process_that_does_not_keep_up_repeats_less_but_something() {
        let mut pace = Pace::default();
        let turns: Vec<usize> = (0..7).map(|_| next_turn(&mut pace, 0, false)).collect();
        assert_eq!(turns, [24, 12, 6, 3, 1, 1, 1]);
        assert_eq!(next_turn(&mut pace, 0, true), 1 + GROWTH_PER_TICK);
    }
}
