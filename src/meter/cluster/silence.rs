//! For how long a peer has been silent, and what that means.
//!
//! Owns the time of a peer's last sign of life. It says when the peer is asked whether it is there, and when it is taken for
//! gone. It does not know who is asked, or how.
//!
//! What comes to a host by unicast reaches one of its processes, whichever. One that hangs takes its part with it, and all
//! nodes of another host may be silent by chance. So they are asked in the second half of the node timeout.
//!
//! Invariant: a silence ends by itself, whatever happens to this process: it has one grace at most.

use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;

/// How often a peer is asked in a silence. Where one of two processes of this host hangs, half of what comes is lost: ten
/// heartbeats and eight answers are lost together once in 260,000 node timeouts. Of three processes, once in 400 million.
const CALLS_MAX: u32 = 8;

/// How long this process may have been away, in heartbeats, until it counts as paused. It wakes at each of its own heartbeats
/// at the latest, a moment late on a busy machine.
const PAUSE_HEARTBEATS: u32 = 2;

/// For how many heartbeats a process that was paused waits for signs of life before it takes any peer for gone. The
/// newest ones may not have fitted into its receive buffers.
const GRACE_HEARTBEATS: u32 = 2;

/// The silence of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// When its last sign of life came.
    pub(super) since: Tick,
    call_count: u32,
    /// When it was asked last.
    called_at: Tick,
    /// Until when it is not taken for gone in any case.
    grace: Option<Tick>,
}

impl Silence {
    /// The silence after a sign of life.
    pub(super) fn begin(now: Tick) -> Self {
        Self { since: now, call_count: 0, called_at: now, grace: None }
    }

    pub(super) fn write(self, out: &mut Writer) {
        let Self { since, call_count, called_at, grace } = self;
        out.tick(since);
        out.number(call_count.into());
        out.tick(called_at);
        out.option_tick(grace);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { since: from.tick(), call_count: from.small(), called_at: from.tick(), grace: from.option_tick() }
    }

    /// When the peer is taken for gone.
    pub(super) fn over_at(&self, node_timeout: Duration) -> Tick {
        self.since.after(node_timeout).max(self.grace.unwrap_or_default())
    }

    /// When the peer is asked next whether it is there: at even gaps from half the node timeout on.
    pub(super) fn call_at(&self, node_timeout: Duration) -> Option<Tick> {
        let half = node_timeout / 2;
        let gap = if self.call_count == 0 { half } else { half / CALLS_MAX };
        (self.call_count < CALLS_MAX).then(|| self.called_at.after(gap))
    }

    /// The peer was asked.
    pub(super) fn record_call(&mut self, now: Tick) {
        (self.call_count, self.called_at) = (self.call_count + 1, now);
    }

    /// This process was paused in this silence.
    fn excuse(&mut self, until: Tick) {
        self.grace.get_or_insert(until);
    }
}

/// When this process was awake.
#[derive(Debug, Default)]
pub(super) struct Wakefulness {
    awake_at: Option<Tick>,
    /// Until when the process may not have received what came while it was paused.
    pub(super) behind_until: Tick,
}

impl Wakefulness {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { awake_at, behind_until } = self;
        out.option_tick(*awake_at);
        out.tick(*behind_until);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { awake_at: from.option_tick(), behind_until: from.tick() }
    }

    /// The process is awake now. If it was paused before, the silences that go on get their grace.
    pub(super) fn wake<'a>(&mut self, heartbeat: Duration, silences: impl Iterator<Item = &'a mut Silence>, now: Tick) {
        let before = self.awake_at.replace(now);
        if before.is_some_and(|before| before.after(heartbeat * PAUSE_HEARTBEATS) < now) {
            let until = now.after(heartbeat * GRACE_HEARTBEATS);
            self.behind_until = until;
            silences.for_each(|silence| silence.excuse(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);
    const HEARTBEAT: Duration = Duration::from_millis(500);

    #[test]
    fn a_silent_peer_is_asked_at_even_gaps_before_it_is_taken_for_gone() {
        let mut silence = Silence::begin(Tick(1_000));
        let calls = std::iter::from_fn(|| {
            let at = silence.call_at(TIMEOUT)?;
            silence.record_call(at);
            Some(at.0)
        });
        let calls: Vec<u64> = calls.collect();
        assert_eq!(calls, [1_251, 1_284, 1_317, 1_350, 1_383, 1_416, 1_449, 1_482]);
        assert_eq!(silence.over_at(TIMEOUT), Tick(1_501));
    }

    #[test]
    fn a_process_that_was_paused_waits_once_in_a_silence() {
        let mut silence = Silence::begin(Tick(1_000));
        let mut wakefulness = Wakefulness::default();
        let mut wake = |silence: &mut Silence, at| wakefulness.wake(HEARTBEAT, [silence].into_iter(), Tick(at));
        for at in [1_000, 1_050, 1_101, 1_202] {
            wake(&mut silence, at);
        }
        assert_eq!(silence.over_at(TIMEOUT), Tick(1_501), "it was not away for longer than two heartbeats");
        wake(&mut silence, 1_600);
        assert_eq!(silence.over_at(TIMEOUT), Tick(1_701));
        wake(&mut silence, 1_750);
        assert_eq!(silence.over_at(TIMEOUT), Tick(1_701), "a process that is paused again and again");
        silence = Silence::begin(Tick(1_750));
        wake(&mut silence, 2_250);
        assert_eq!(silence.over_at(TIMEOUT), Tick(2_351), "the next silence has a grace of its own");
        wake(&mut silence, 2_260);
        assert_eq!(Silence::begin(Tick(2_000)).over_at(TIMEOUT), Tick(2_501));
    }
}
