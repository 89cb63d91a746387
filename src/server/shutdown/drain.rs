//! The end of the process, such that no client that came in is lost and no crowd leaves at once.
//!
//! Owns the order and the pace. First the public ports are deaf: no new handshake begins here, and a client that asks again a
//! second later is answered by a sibling. Handshakes that are under way come to their end and are answered, then all ports are
//! closed. Meanwhile members are let go, evenly over `--drain-delay`; each of them leaves like any other, and messages reach
//! those that are left. When that time is over all others go, and the process departs when all are gone.
//!
//! It does not choose by when members came or by where they are: those of one event go as evenly as all do. It accepts and
//! writes nothing: its caller closes the ports, and finishes the connections that it hands out.
//!
//! Invariant: a port is closed when no connection waits at it, unless there is no room for them.

use std::time::Duration;

use crate::collections::key::Key as _;
use crate::collections::tick::{Now, Tick};
use crate::server::conns::Conns;
use crate::server::conns::close_reason::CloseReason;
use crate::server::conns::conn::{ConnId, Stage};

/// How long handshakes that are under way may take: a round trip to anywhere, with some patience. A client without an answer
/// asks again a second after the first time (RFC 6298 section 2.1), and then a sibling answers.
const HANDSHAKE: Duration = Duration::from_millis(500);

/// How long the last words may take after the end of the delay.
const GRACE: Duration = Duration::from_secs(1);

/// Most places of the table that one turn looks at for connections to let go: at up to 0.1 us, for they lie apart, 25 us.
const PLACES_PER_TURN: usize = 256;

/// A process that is ending.
#[derive(Debug)]
pub(in crate::server) struct Drain {
    begun: Tick,
    /// When the last member has been let go.
    end: Tick,
    /// When the ports are closed.
    close_at: Tick,
    phase: Phase,
    /// Members that were let go.
    gone: usize,
    walk: Walk,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Members are let go one after the other; a request that has come in may finish what it began.
    Spread,
    /// All go that are not being sent their last words.
    Sweep,
    /// Peers that were sent their last words have to take them.
    Linger,
}

impl Drain {
    /// Begins now; all will have been let go after `delay`.
    pub(in crate::server) fn begin(delay: Duration, now: Tick) -> Self {
        let end = now.after(delay);
        let close_at = now.after(HANDSHAKE).min(end);
        Self { begun: now, end, close_at, phase: Phase::Spread, gone: 0, walk: Walk::default() }
    }

    /// When there is something to do next, with this many members left, and this many listeners open.
    pub(in crate::server) fn next_deadline(&self, members: usize, listeners: usize) -> Tick {
        match self.phase {
            Phase::Spread => {
                let next = if members == 0 { self.end } else { self.next_due(members) };
                if listeners > 0 { next.min(self.close_at) } else { next }
            }
            Phase::Sweep => Tick(0),
            Phase::Linger => self.end.after(GRACE),
        }
    }

    /// How many of the `left` members go now. Of n the k-th, counted from 0, goes after k/n of the time.
    fn due(&self, left: usize, now: Tick) -> usize {
        let (passed, all) = (now.0.saturating_sub(self.begun.0), self.end.0 - self.begun.0);
        if passed >= all {
            return left;
        }
        let planned = self.planned(left);
        let due = u128::from(passed) * planned / u128::from(all) + 1;
        usize::try_from(due).unwrap_or(usize::MAX).saturating_sub(self.gone).min(left)
    }

    /// When the next of the `left` members goes.
    fn next_due(&self, left: usize) -> Tick {
        let all = u128::from(self.end.0 - self.begun.0);
        let wait = (self.gone as u128 * all).div_ceil(self.planned(left).max(1)).min(all);
        Tick(self.begun.0 + u64::try_from(wait).unwrap_or(u64::MAX))
    }

    fn planned(&self, left: usize) -> u128 {
        self.gone as u128 + left as u128
    }

    /// Whether it is time to close the ports, of which this many listeners are open.
    pub(in crate::server) fn closes_ports(&self, listeners: usize, now: Now) -> bool {
        self.close_at <= now.tick && listeners > 0
    }

    /// Begins to let all go, once the delay is over and the ports are closed.
    pub(in crate::server) fn begin_sweep(&mut self, listeners: usize, conns: &Conns, now: Now) {
        if self.phase == Phase::Spread && self.end <= now.tick && listeners == 0 {
            self.phase = Phase::Sweep;
            self.walk = Walk::over(conns.place_count());
        }
    }

    /// Lets the members go that are due, at most `budget`: those are freed in a turn. Returns the ones that have not taken
    /// everything yet, and are not cut off in the middle of it.
    pub(in crate::server) fn let_go(&mut self, conns: &mut Conns, budget: usize, now: Now) -> Vec<ConnId> {
        let mut behind = Vec::new();
        // While others wait to be freed, those that are marked are counted still.
        let due = match self.phase {
            _ if conns.has_closing() => 0,
            Phase::Spread => self.due(conns.books().stream_count(), now.tick),
            Phase::Sweep => usize::MAX,
            Phase::Linger => 0,
        };
        let mut left = due.min(budget);
        for _ in 0..PLACES_PER_TURN {
            if left == 0 {
                break;
            }
            let Some(id) = self.walk.next() else {
                if self.phase == Phase::Sweep {
                    self.phase = Phase::Linger;
                    break;
                }
                // A member that came after the walk began has a place that it had passed, or did not know.
                self.walk = Walk::over(conns.place_count());
                continue;
            };
            let Some((conn, books)) = conns.open(id).filter(|(conn, _)| self.lets_go(conn.stage())) else { continue };
            if conn.is_behind() {
                behind.push(id);
            } else {
                books.cut(conn, CloseReason::Shutdown);
            }
            self.gone += 1;
            left -= 1;
        }
        behind
    }

    fn lets_go(&self, stage: Stage) -> bool {
        match stage {
            Stage::Stream => true,
            Stage::Head => self.phase == Phase::Sweep,
            Stage::Await | Stage::Drain => false,
        }
    }

    /// Whether none is left, or only peers that do not take their last words.
    pub(in crate::server) fn is_over(&self, listeners: usize, conns: &Conns, now: Now) -> bool {
        let is_late = self.phase == Phase::Linger && self.end.after(GRACE) <= now.tick && !conns.has_closing();
        listeners == 0 && (conns.len() == 0 || is_late)
    }
}

/// A walk over the places of a table, each once, with neighbours far apart in time.
#[derive(Debug, Default)]
struct Walk {
    places: u64,
    /// Has no divisor in common with `places`, so that multiples of it come to each place.
    stride: u64,
    next: u64,
}

impl Walk {
    fn over(places: usize) -> Self {
        let places = places as u64;
        // By the golden ratio, every part of the table is met as evenly as can be.
        let golden = places * 618 / 1000;
        let stride = (golden.max(1)..=places.max(1)).find(|&stride| gcd(stride, places) <= 1).unwrap_or(1);
        Self { places, stride, next: 0 }
    }
}

impl Iterator for Walk {
    type Item = ConnId;

    fn next(&mut self) -> Option<ConnId> {
        if self.next >= self.places {
            return None;
        }
        let place = self.next * self.stride % self.places;
        self.next += 1;
        ConnId::from_index(usize::try_from(place).ok()?)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ticks at which members go. At first there are `members`; `change` says at each tick how many come or leave.
    fn departures(members: usize, delay: Duration, mut change: impl FnMut(u64) -> isize) -> Vec<u64> {
        let mut drain = Drain::begin(delay, Tick(1_000));
        let mut left = members;
        let mut went = Vec::new();
        for tick in 0..=drain.end.0 - 1_000 {
            left = left.saturating_add_signed(change(tick));
            let due = drain.due(left, Tick(1_000 + tick));
            let is_awake = left > 0 && drain.next_due(left) <= Tick(1_000 + tick);
            assert_eq!(due > 0, is_awake, "{due} due at {tick}, {left} left, {drain:?}");
            went.extend((0..due).map(|_| tick));
            drain.gone += due;
            left -= due;
        }
        assert_eq!(left, 0);
        went
    }

    #[test]
    fn members_go_evenly_and_the_first_at_once() {
        assert_eq!(departures(0, Duration::from_secs(1), |_| 0), [0; 0]);
        assert_eq!(departures(1, Duration::from_secs(1), |_| 0), [0]);
        // A second is 101 ticks.
        assert_eq!(departures(4, Duration::from_secs(1), |_| 0), [0, 26, 51, 76]);
        let went = departures(10_000, Duration::from_secs(5), |_| 0);
        for tick in 1..500 {
            let now = went.iter().filter(|&&at| at == tick).count();
            assert!((19..=21).contains(&now), "{now} at {tick}");
        }
        assert_eq!(departures(3, Duration::ZERO, |_| 0), [0, 0, 0]);
    }

    #[test]
    fn a_member_that_comes_late_or_leaves_by_itself_changes_the_pace() {
        // One comes at the last moment but one, and the other at the last.
        assert_eq!(departures(1, Duration::from_secs(1), |tick| isize::from(tick >= 100)), [0, 100, 101]);
        // Half of them leave by themselves, half way: the others are let go no faster for it.
        let went = departures(100, Duration::from_secs(1), |tick| if tick == 50 { -25 } else { 0 });
        assert_eq!(went.len(), 75);
        assert!(went.windows(2).all(|two| two[1] - two[0] >= 1));
    }

    #[test]
    fn a_drain_without_members_closes_the_ports_and_then_waits_for_its_end() {
        let drain = Drain::begin(Duration::from_secs(5), Tick(0));
        assert_eq!((drain.next_deadline(0, 4), drain.next_deadline(0, 0)), (Tick(51), Tick(501)));
        assert_eq!(drain.next_deadline(9, 4), Tick(0));
        let at_once = Drain::begin(Duration::ZERO, Tick(7));
        assert_eq!((at_once.close_at, at_once.end), (Tick(7), Tick(7)));
    }

    #[test]
    fn a_walk_comes_to_each_place_once_and_to_each_part_evenly() {
        for places in (0..200).chain([1_000, 1_024, 9_973]) {
            let mut met: Vec<usize> = Walk::over(places).map(ConnId::index).collect();
            met.sort_unstable();
            assert!(met.into_iter().eq(0..places), "{places}");
        }
        // Of a tenth that lie side by side, every tenth of the walk meets a tenth, give or take a few.
        let met: Vec<usize> = Walk::over(10_000).map(ConnId::index).collect();
        for part in met.chunks(1_000) {
            let of_part = part.iter().filter(|&&place| (3_000..4_000).contains(&place)).count();
            assert!((95..=105).contains(&of_part), "{of_part}");
        }
    }
}
