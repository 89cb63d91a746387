//! When the datagrams of a peer were sent, by this node's clock.
//!
//! Owns by how much this clock is ahead of the peer's. A datagram says what the peer's clock showed when it was sent, so it is
//! known how much longer than others it was on its way. A process that was stopped receives datagrams long after they were
//! sent, and the ages in them are as of then.
//!
//! The one that was fastest counts. Of two clocks one may be slow, by some ten millionths, so the measure gives way: a tick
//! each second.
//!
//! Invariant: no datagram was sent after it was received.

use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Moment, Tick};

/// After how long the measure may give way by a tick: as much as one clock can be faster than another, and much more.
const YIELD_TIME: Duration = Duration::from_secs(1);

/// The difference of two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transit {
    /// By how much this node's clock is ahead, modulo 2^64, with the time that the fastest datagram took.
    ahead: u64,
    /// When it may be a tick more.
    yields_at: Tick,
}

impl Transit {
    pub(super) fn write(self, out: &mut Writer) {
        let Self { ahead, yields_at } = self;
        out.fixed(ahead);
        out.tick(yields_at);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { ahead: from.fixed(), yields_at: from.tick() }
    }

    /// The peer's clock showed this, and nothing else is known of it.
    pub(super) fn new(clock: u64, now: Tick) -> Self {
        Self { ahead: now.0.wrapping_sub(clock), yields_at: now.after(YIELD_TIME) }
    }

    /// When the datagram was sent that has just come, and says that the peer's clock showed this.
    pub(super) fn sent_at(&mut self, clock: u64, now: Tick) -> Moment {
        let longer = now.0.wrapping_sub(clock).wrapping_sub(self.ahead).cast_signed();
        if longer < 0 {
            *self = Self::new(clock, now);
        } else if longer > 0 && self.yields_at <= now {
            (self.ahead, self.yields_at) = (self.ahead.wrapping_add(1), now.after(YIELD_TIME));
        }
        Moment::of_other_clock(clock, self.ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_that_was_long_on_its_way_was_sent_long_ago() {
        let mut transit = Transit::new(u64::MAX - 99, Tick(1_000));
        let mut sent_at = |clock: u64, now| transit.sent_at(clock.wrapping_sub(100), Tick(now)).age_ms(Tick(now));
        assert_eq!(sent_at(0, 1_000), 0);
        assert_eq!(sent_at(50, 1_050), 0);
        assert_eq!(sent_at(60, 1_065), 50);
        assert_eq!(sent_at(10, 1_070), 600);
        assert_eq!(sent_at(99, 1_098), 0, "it was faster than all before");
        assert_eq!(sent_at(100, 1_100), 10);
        assert_eq!(sent_at(101, 721_100), 7_199_990, "this process was stopped for two hours");
        assert_eq!(sent_at(720_101, 721_101), 0, "that was the process, not the clock");
    }

    #[test]
    fn a_clock_that_is_slow_is_followed() {
        let mut transit = Transit::new(0, Tick(0));
        // By 100 millionths, for a day, with a datagram each two seconds.
        for second in (2..86_400).step_by(2) {
            let now = second * 100;
            let sent_at = transit.sent_at(now - now / 10_000, Tick(now));
            assert!(sent_at.age_ms(Tick(now)) <= 10);
        }
    }
}
