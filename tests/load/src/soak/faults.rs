//! The faults of the daemons, and when they happen.
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

/// A fault that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// When it happens, from the beginning of the round on.
    pub(super) at: Duration,
    /// The number of the daemon.
    pub(super) daemon: usize,
    pub(super) fault: Fault,
}

/// The faults of a round.
pub(super) fn draw(seed: u64, round: u64, daemons: usize, span: Duration) -> Vec<Planned> {
    let mut chance = Chance::new(seed, round);
    // A fault that lasts is over at about the end of the round.
    let latest = span * 3 / 5;
    let stop = Fault::Stop(chance.between(STOPPED));
    let mut faults =
        vec![Planned { at: chance.between((Duration::ZERO, latest)), daemon: chance.below(daemons), fault: stop }];
    if daemons > 1 {
        let killed = chance.below(daemons - 1);
        // Another one, if there is one.
        let restarted = (killed + 1 + chance.below((daemons - 2).max(1))) % (daemons - 1);
        let is_gapless = chance.one_in(2);
        let restart =
            Fault::Restart(if is_gapless { Duration::ZERO } else { chance.between((Duration::ZERO, DOWN_MAX)) });
        let kill = Fault::Kill(chance.between((Duration::ZERO, DOWN_MAX)));
        for (index, fault) in [(killed, kill), (restarted, restart)] {
            faults.push(Planned { at: chance.between((Duration::ZERO, latest)), daemon: 1 + index, fault });
        }
    }
    faults
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
            let faults = draw(seed, 1, 3, SPAN);
            let [stop, kill, restart] = faults[..] else { panic!("three faults, not {faults:?}") };
            assert!(matches!(stop.fault, Fault::Stop(long) if long > NODE_TIMEOUT) && stop.daemon < 3, "{faults:?}");
            assert!(matches!(kill.fault, Fault::Kill(_)) && matches!(restart.fault, Fault::Restart(_)), "{faults:?}");
            assert!(kill.daemon + restart.daemon == 3 && kill.daemon.min(restart.daemon) == 1, "{faults:?}");
            assert!(faults.iter().all(|fault| fault.at <= SPAN * 3 / 5), "{faults:?}");
        }
        assert!(draw(0, 1, 2, SPAN)[1..].iter().all(|fault| fault.daemon == 1));
        assert_eq!(draw(0, 1, 1, SPAN).len(), 1);
    }
}
