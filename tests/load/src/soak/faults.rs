//! What befalls the daemons, and when.
//!
//! Owns the choice, which depends on nothing but the seed, the round and how many there are. It does nothing to them.
//!
//! Invariant: the first daemon is stopped at most. It is the one whose memory is followed through the whole run; and
//! whoever joins finds somebody who listens, if not at once.

use std::time::Duration;

use super::random::Random;

/// What the daemons are told to wait for one that is silent.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// For how long one is stopped: so long that the others take it for gone.
const STOPPED: (Duration, Duration) = (Duration::from_millis(3500), Duration::from_secs(5));

/// After which time one that has gone is back.
const DOWN_MAX: Duration = Duration::from_secs(2);

/// What can happen to a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is killed, and started again after this time.
    Kill(Duration),
    /// It is stopped for this time.
    Stop(Duration),
    /// It is told to end, and the next one is started after this time, which may be none.
    Restart(Duration),
}

/// A fault that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// When, from the beginning of the round on.
    pub(super) at: Duration,
    /// The number of the daemon.
    pub(super) daemon: usize,
    pub(super) fault: Fault,
}

/// What happens to so many daemons in a round that takes so long.
pub(super) fn draw(seed: u64, round: u64, daemons: usize, span: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, round);
    // What goes on for a while is to be over at about the end.
    let latest = span * 3 / 5;
    let stop = Fault::Stop(random.between(STOPPED.0, STOPPED.1));
    let mut faults =
        vec![Planned { at: random.between(Duration::ZERO, latest), daemon: random.below(daemons), fault: stop }];
    if daemons > 1 {
        let killed = random.below(daemons - 1);
        // Another one, if there is one.
        let restarted = (killed + 1 + random.below((daemons - 2).max(1))) % (daemons - 1);
        let is_gapless = random.one_in(2);
        let restart =
            Fault::Restart(if is_gapless { Duration::ZERO } else { random.between(Duration::ZERO, DOWN_MAX) });
        let kill = Fault::Kill(random.between(Duration::ZERO, DOWN_MAX));
        for (index, fault) in [(killed, kill), (restarted, restart)] {
            faults.push(Planned { at: random.between(Duration::ZERO, latest), daemon: 1 + index, fault });
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
