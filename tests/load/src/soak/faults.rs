//! What befalls the audience, and when: faults of the daemons, of their disk and their network, storms of new events, and
//! new keys.
//!
//! Owns the choice, which depends on the seed, the round and the number of daemons alone. It does nothing to them.
//!
//! Invariant: the first daemon is stopped at most. Its memory is followed through the whole run; and a join always finds a
//! listener, if not at once.

use std::time::Duration;

use super::chance::Chance;

/// The node timeout of the daemons.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a daemon is stopped: longer than the node timeout, so that the others remove it.
const STOPPED: (Duration, Duration) = (Duration::from_millis(3500), Duration::from_secs(5));

/// The longest time after which a daemon that has gone is started again.
const DOWN_MAX: Duration = Duration::from_secs(2);

/// How long the disk is full, and how long the hosts are without a cable: some time below the node timeout, and above it.
const FULL: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(4));
const CUT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What can happen to a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is killed, and started again after this time.
    Kill(Duration),
    /// It is stopped for this time.
    Stop(Duration),
    /// It gets SIGTERM, and the next one is started after this time, which may be zero.
    Restart(Duration),
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// A fault of the daemon with this index.
    Daemon(usize, Fault),
    /// New events come, each with one visit.
    Storm,
    /// The disk is full for this time.
    FillDisk(Duration),
    /// The hosts are without a cable for this time, and then have new interfaces.
    CutCable(Duration),
    /// The file of the keys is replaced.
    ReplaceKeys,
}

/// What is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// When it happens, from the beginning of the round on.
    pub(super) at: Duration,
    pub(super) act: Act,
}

/// What befalls the audience in a round.
pub(super) fn draw(seed: u64, round: u64, daemons: usize, span: Duration) -> Vec<Planned> {
    let mut chance = Chance::new(seed, round);
    // A fault that lasts is over at about the end of the round.
    let latest = span * 3 / 5;
    let stop = Fault::Stop(chance.between(STOPPED));
    let at = chance.between((Duration::ZERO, latest));
    let mut all = vec![Planned { at, act: Act::Daemon(chance.below(daemons), stop) }];
    if daemons > 1 {
        let killed = chance.below(daemons - 1);
        // Another one, if there is one.
        let restarted = (killed + 1 + chance.below((daemons - 2).max(1))) % (daemons - 1);
        let is_gapless = chance.one_in(2);
        let restart =
            Fault::Restart(if is_gapless { Duration::ZERO } else { chance.between((Duration::ZERO, DOWN_MAX)) });
        let kill = Fault::Kill(chance.between((Duration::ZERO, DOWN_MAX)));
        for (index, fault) in [(killed, kill), (restarted, restart)] {
            let at = chance.between((Duration::ZERO, latest));
            all.push(Planned { at, act: Act::Daemon(1 + index, fault) });
        }
    }
    let around =
        [Act::Storm, Act::FillDisk(chance.between(FULL)), Act::CutCable(chance.between(CUT)), Act::ReplaceKeys];
    all.extend(around.map(|act| Planned { at: chance.between((Duration::ZERO, latest)), act }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(20);

    #[test]
    fn one_seed_is_one_course() {
        assert_eq!(draw(7, 1, 3, SPAN), draw(7, 1, 3, SPAN));
        assert_ne!(draw(7, 1, 3, SPAN), draw(7, 2, 3, SPAN));
    }

    #[test]
    fn every_round_has_all_there_is_and_the_first_daemon_is_never_ended() {
        for seed in 0..200 {
            let all = draw(seed, 1, 3, SPAN);
            assert!(all.iter().all(|planned| planned.at <= SPAN * 3 / 5), "{all:?}");
            let acts: Vec<Act> = all.into_iter().map(|planned| planned.act).collect();
            let [
                Act::Daemon(stopped, Fault::Stop(long)),
                Act::Daemon(killed, Fault::Kill(_)),
                Act::Daemon(restarted, Fault::Restart(_)),
                Act::Storm,
                Act::FillDisk(_),
                Act::CutCable(_),
                Act::ReplaceKeys,
            ] = acts[..]
            else {
                panic!("not all there is: {acts:?}")
            };
            assert!(long > NODE_TIMEOUT && stopped < 3, "{acts:?}");
            assert!(killed + restarted == 3 && killed.min(restarted) == 1, "{acts:?}");
        }
        assert!(draw(0, 1, 2, SPAN)[1..3].iter().all(|planned| matches!(planned.act, Act::Daemon(1, _))));
        assert!(!draw(0, 1, 1, SPAN)[1..].iter().any(|planned| matches!(planned.act, Act::Daemon(..))));
    }
}
