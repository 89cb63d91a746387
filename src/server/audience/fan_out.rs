//! Pushing to many members, in slices.
//!
//! Owns what each namespace still has to push and how far that has come. One push costs about 9 us on loopback, so 100,000
//! in one go would stall the process for 0.9 s. Instead a turn makes at most [`PUSHES_PER_TURN`], a slice per namespace in
//! turn, and in between others join, leave and get their pushes.
//!
//! A newer count takes the place of an older one that is being pushed; a message never replaces another, and those of one
//! namespace go out in the order in which they came.
//!
//! A namespace whose messages fill half of their room is behind, until they fill a quarter: senders have to wait, at this node
//! and at all others. The other half is for what is on its way by then.
//!
//! Invariant: a namespace is in `order` exactly once while it has something to push. `behind_count` is the number of
//! namespaces that are behind.

use std::collections::VecDeque;

use crate::collections::dense::Dense;
use crate::collections::key::key_type;
use crate::collections::slab::Slab;
use crate::meter::{MemberId, Meter, NamespaceId, WalkId};
use crate::server::figures::tally::PushKind;
use crate::wire::sse::Frame;

/// Most pushes of one turn: at 9 us each, 0.4 ms.
const PUSHES_PER_TURN: usize = 48;

/// Most pushes in a row in one namespace: another namespace waits no longer than this for its turn.
const PUSHES_PER_SLICE: usize = 24;

/// Most messages of one namespace on their way. A sender that is faster than the network has to wait.
const MESSAGES_PENDING_MAX: usize = 64;

/// With this number of messages on their way a namespace is behind, and with this number no longer.
const BEHIND_AT: usize = MESSAGES_PENDING_MAX / 2;
const CAUGHT_UP_AT: usize = MESSAGES_PENDING_MAX / 4;

/// All that is on its way to members.
#[derive(Default)]
pub(super) struct FanOut {
    pending: Slab<PendingId, Pending>,
    /// By a namespace's key: where it is in `pending`.
    places: Dense<NamespaceId, Option<PendingId>>,
    order: VecDeque<NamespaceId>,
    behind_count: usize,
}

key_type! {
    /// The key of what one namespace has to push.
    PendingId
}

/// What one namespace has to push.
#[derive(Default)]
struct Pending {
    count: Option<Round>,
    messages: VecDeque<Round>,
    is_behind: bool,
}

/// A frame on its way along the members.
struct Round {
    frame: Frame,
    walk: WalkId,
}

/// Too many messages of the namespace are on their way.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Busy;

impl FanOut {
    /// Begins to push a count, or goes on with it in place of the one that is being pushed.
    pub(super) fn push_count(&mut self, meter: &mut Meter, namespace: NamespaceId, frame: Frame, skip_newest: bool) {
        let pending = self.enlist(namespace);
        if let Some(round) = &mut pending.count {
            round.frame = frame;
            meter.restart_walk(round.walk);
        } else {
            pending.count = Some(Round { frame, walk: meter.begin_walk(namespace, skip_newest) });
        }
    }

    /// Puts a message in line for the members that are there now.
    pub(super) fn push_message(&mut self, meter: &mut Meter, namespace: NamespaceId, frame: Frame) -> Result<(), Busy> {
        let pending = self.enlist(namespace);
        if pending.messages.len() == MESSAGES_PENDING_MAX {
            return Err(Busy);
        }
        pending.messages.push_back(Round { frame, walk: meter.begin_walk(namespace, false) });
        if pending.messages.len() >= BEHIND_AT && !std::mem::replace(&mut pending.is_behind, true) {
            self.behind_count += 1;
        }
        Ok(())
    }

    /// Whether the messages of this namespace have to wait.
    pub(super) fn is_behind_in(&self, namespace: NamespaceId) -> bool {
        let place = self.places.get(namespace).copied().flatten();
        place.and_then(|id| self.pending.get(id)).is_some_and(|pending| pending.is_behind)
    }

    /// Whether those of any namespace have to.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_count > 0
    }

    /// Whether there is nothing left to push.
    pub(super) fn is_idle(&self) -> bool {
        self.order.is_empty()
    }

    /// Makes this turn's pushes.
    pub(super) fn advance(&mut self, meter: &mut Meter, mut push: impl FnMut(MemberId, PushKind, &Frame)) {
        let mut budget = PUSHES_PER_TURN;
        while budget > 0 {
            let Some(namespace) = self.order.pop_front() else { break };
            let Some(place) = self.places.get_mut(namespace) else { continue };
            let Some(id) = *place else { continue };
            let pending = self.pending.at_mut(id);
            // A slice that finds no member costs one push all the same, or 10,000 empty ones would be free.
            budget = budget.saturating_sub(pending.slice(meter, budget.min(PUSHES_PER_SLICE), &mut push).max(1));
            if pending.is_behind && pending.messages.len() <= CAUGHT_UP_AT {
                pending.is_behind = false;
                self.behind_count -= 1;
            }
            if pending.is_done() {
                *place = None;
                self.pending.remove(id);
            } else {
                self.order.push_back(namespace);
            }
        }
        if self.is_idle() {
            self.places.truncate(meter.namespaces().place_count());
        }
    }

    fn enlist(&mut self, namespace: NamespaceId) -> &mut Pending {
        let place = self.places.reach(namespace);
        let id = *place.get_or_insert_with(|| {
            self.order.push_back(namespace);
            self.pending.insert(Pending::default())
        });
        self.pending.at_mut(id)
    }
}

impl Pending {
    /// Makes at most `budget` pushes, messages first; returns how many.
    fn slice(&mut self, meter: &mut Meter, budget: usize, push: &mut impl FnMut(MemberId, PushKind, &Frame)) -> usize {
        let mut made = 0;
        while made < budget {
            let (round, kind) = match (self.messages.front(), &self.count) {
                (Some(round), _) => (round, PushKind::Message),
                (None, Some(round)) => (round, PushKind::Count),
                (None, None) => break,
            };
            if let Some(member) = meter.step_walk(round.walk) {
                push(member, kind, &round.frame);
                made += 1;
            } else if kind == PushKind::Message {
                self.messages.pop_front();
            } else {
                self.count = None;
            }
        }
        made
    }

    fn is_done(&self) -> bool {
        self.messages.is_empty() && self.count.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::Key as _;
    use crate::collections::tick::Now;
    use crate::meter::{NotifyRule, Rules};
    use crate::wire::sse;
    use crate::wire::transfer::Coding;
    use std::time::Duration;

    fn meter(members: impl IntoIterator<Item = (u32, &'static str)>) -> Meter {
        let notify = NotifyRule { delta_ratio: 0.1, min_delay: Duration::ZERO, max_delay: Duration::MAX, budget: None };
        let delays = Duration::ZERO;
        let mut meter = Meter::new(
            Rules {
                notify,
                increment_delay: delays,
                leave_delay: Duration::ZERO,
                namespace_clean_delay: delays,
                namespaces_max: usize::MAX,
            },
            crate::meter::news::NodeId(1),
            None,
        );
        for (member, name) in members {
            meter.join(MemberId::new(member), name, None, Now::default());
        }
        meter
    }

    /// One turn's pushes, as (member, text).
    fn turn(fan_out: &mut FanOut, meter: &mut Meter) -> Vec<(u32, String)> {
        let mut made = Vec::new();
        fan_out.advance(meter, |member, _, frame| {
            let text = std::str::from_utf8(frame.bytes(Coding::Identity)).unwrap();
            made.push((member.place().get(), text.trim().trim_start_matches("data: ").to_owned()));
        });
        made
    }

    #[test]
    fn a_turn_makes_a_bounded_number_of_pushes_and_a_small_namespace_does_not_wait_for_a_large_one() {
        let mut meter = meter((0..1000).map(|member| (member, "large")).chain([(1000, "small")]));
        let (large, small) = (meter.find("large").unwrap(), meter.find("small").unwrap());
        let mut fan_out = FanOut::default();
        fan_out.push_count(&mut meter, large, sse::count(1000), false);
        fan_out.push_count(&mut meter, small, sse::count(1), false);
        let made = turn(&mut fan_out, &mut meter);
        assert_eq!(made.len(), PUSHES_PER_TURN);
        assert_eq!(made[PUSHES_PER_SLICE], (1000, "1".to_owned()));
        let mut all = made;
        while !fan_out.is_idle() {
            all.extend(turn(&mut fan_out, &mut meter));
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1001, "each once");
    }

    #[test]
    fn a_newer_count_replaces_the_one_on_its_way() {
        let mut meter = meter((0..100).map(|member| (member, "a")));
        let mut fan_out = FanOut::default();
        fan_out.push_count(&mut meter, NamespaceId::FIRST, sse::count(100), false);
        assert_eq!(turn(&mut fan_out, &mut meter).len(), PUSHES_PER_TURN);
        fan_out.push_count(&mut meter, NamespaceId::FIRST, sse::count(101), false);
        let made: Vec<_> = std::iter::from_fn(|| Some(turn(&mut fan_out, &mut meter)).filter(|made| !made.is_empty()))
            .flatten()
            .collect();
        assert_eq!(made.len(), 100);
        assert!(made.iter().all(|(_, text)| text == "101"));
        assert_eq!(made[0].0, 99 - u32::try_from(PUSHES_PER_TURN).unwrap(), "the ones ahead first");
    }

    #[test]
    fn a_newer_count_is_pushed_even_if_the_older_one_has_just_come_to_its_end() {
        let all = u32::try_from(PUSHES_PER_TURN).unwrap();
        let mut meter = meter((0..all).map(|member| (member, "a")));
        let mut fan_out = FanOut::default();
        for total in [2, 1] {
            fan_out.push_count(&mut meter, NamespaceId::FIRST, sse::count(total), false);
            assert_eq!(turn(&mut fan_out, &mut meter).len(), PUSHES_PER_TURN, "all get {total}");
        }
    }

    #[test]
    fn messages_keep_their_order_and_their_bound() {
        let mut meter = meter([(0, "a"), (1, "a")]);
        let mut fan_out = FanOut::default();
        for number in 0..MESSAGES_PENDING_MAX {
            assert_eq!(fan_out.is_behind(), number >= BEHIND_AT);
            fan_out.push_message(&mut meter, NamespaceId::FIRST, sse::message(&format!("s={number}"))).unwrap();
        }
        assert!(fan_out.is_behind_in(NamespaceId::FIRST) && !fan_out.is_behind_in(NamespaceId::new(9)));
        assert!(fan_out.push_message(&mut meter, NamespaceId::FIRST, sse::message("s=too-many")).is_err());
        meter.join(MemberId::new(2), "a", None, Now::default());
        let made = turn(&mut fan_out, &mut meter);
        let pushed: Vec<String> = made.into_iter().filter(|&(member, _)| member == 0).map(|(_, text)| text).collect();
        let expected: Vec<String> = (0..PUSHES_PER_SLICE / 2).map(|number| format!("s={number}")).collect();
        assert_eq!(pushed[..expected.len()], expected);
        let mut left = MESSAGES_PENDING_MAX * 2 - PUSHES_PER_TURN;
        while fan_out.is_behind() {
            left -= turn(&mut fan_out, &mut meter).len();
        }
        assert!(left <= CAUGHT_UP_AT * 2 && left + PUSHES_PER_TURN > CAUGHT_UP_AT * 2, "{left}");
        let mut fan_out = FanOut::default();
        fan_out.push_message(&mut meter, NamespaceId::FIRST, sse::message("s=x")).unwrap();
        assert_eq!(turn(&mut fan_out, &mut meter).len(), 3);
        assert!(fan_out.is_idle());
    }
}
