//! Telling many, in slices.
//!
//! Owns what each namespace still has to tell and how far that has come. One push costs about 9 us on loopback, so 100,000
//! in one go would stall everybody for 0.9 s. Instead a turn makes at most [`PUSHES_PER_TURN`], a slice per namespace in
//! turn, and in between others join, leave and are told.
//!
//! A newer count takes the place of an older one that is being told; a message never replaces another, and those of one
//! namespace go out in the order in which they came.
//!
//! Invariant: a namespace is in `order` exactly once while it has something to tell.

use std::collections::VecDeque;

use crate::collections::dense::Dense;
use crate::collections::slab::Slab;
use crate::key_type;
use crate::meter::{MemberId, Meter, NamespaceId, WalkId};
use crate::server::figures::tally::PushKind;
use crate::wire::sse::Frame;

/// How many members are told something in one turn: at 9 us each, 0.4 ms.
pub(in crate::server) const PUSHES_PER_TURN: usize = 48;

/// How many of them in a row in one namespace: another namespace waits no longer than this for its turn.
const PUSHES_PER_SLICE: usize = 24;

/// How many messages of one namespace may be on their way. A sender that is faster than the network has to wait.
const MESSAGES_PENDING_MAX: usize = 64;

/// What is being told.
#[derive(Default)]
pub(in crate::server) struct Pushes {
    pending: Slab<PendingId, Pending>,
    /// By a namespace's key: where it is in `pending`.
    places: Dense<NamespaceId, Option<PendingId>>,
    order: VecDeque<NamespaceId>,
}

key_type! {
    /// The key of what one namespace has to push.
    PendingId
}

/// What one namespace has to tell.
#[derive(Default)]
struct Pending {
    count: Option<Telling>,
    messages: VecDeque<Telling>,
}

/// A frame on its way along the members.
struct Telling {
    frame: Frame,
    walk: WalkId,
}

/// Too many messages of the namespace are on their way.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Busy;

impl Pushes {
    /// Begins to tell a count, or goes on with it in place of the one that is being told.
    pub(in crate::server) fn tell_count(
        &mut self,
        meter: &mut Meter,
        namespace: NamespaceId,
        frame: Frame,
        skip_newest: bool,
    ) {
        let pending = self.enlist(namespace);
        if let Some(telling) = &mut pending.count {
            telling.frame = frame;
            meter.restart_walk(telling.walk);
        } else {
            pending.count = Some(Telling { frame, walk: meter.begin_walk(namespace, skip_newest) });
        }
    }

    /// Puts a message in line for those who are there now.
    pub(in crate::server) fn tell_message(
        &mut self,
        meter: &mut Meter,
        namespace: NamespaceId,
        frame: Frame,
    ) -> Result<(), Busy> {
        let pending = self.enlist(namespace);
        if pending.messages.len() == MESSAGES_PENDING_MAX {
            return Err(Busy);
        }
        pending.messages.push_back(Telling { frame, walk: meter.begin_walk(namespace, false) });
        Ok(())
    }

    /// Whether there is anything left to tell.
    pub(in crate::server) fn is_idle(&self) -> bool {
        self.order.is_empty()
    }

    /// Makes this turn's pushes.
    pub(in crate::server) fn fan_out(&mut self, meter: &mut Meter, mut push: impl FnMut(MemberId, PushKind, &Frame)) {
        let mut budget = PUSHES_PER_TURN;
        while budget > 0 {
            let Some(namespace) = self.order.pop_front() else { break };
            let Some(place) = self.places.get_mut(namespace) else { continue };
            let Some(id) = *place else { continue };
            let pending = self.pending.at_mut(id);
            // A slice that finds nobody costs one push all the same, or 10,000 empty ones would be free.
            budget = budget.saturating_sub(pending.slice(meter, budget.min(PUSHES_PER_SLICE), &mut push).max(1));
            if pending.is_done() {
                *place = None;
                self.pending.remove(id);
            } else {
                self.order.push_back(namespace);
            }
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
            let (telling, kind) = match (self.messages.front(), &self.count) {
                (Some(telling), _) => (telling, PushKind::Message),
                (None, Some(telling)) => (telling, PushKind::Count),
                (None, None) => break,
            };
            if let Some(member) = meter.step_walk(telling.walk) {
                push(member, kind, &telling.frame);
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
    use std::time::Duration;

    fn meter(members: impl IntoIterator<Item = (u32, &'static str)>) -> Meter {
        let notify = NotifyRule { delta_ratio: 0.1, min_delay: Duration::ZERO, max_delay: Duration::MAX };
        let delays = Duration::ZERO;
        let mut meter = Meter::new(
            Rules { notify, increment_delay: delays, namespace_clean_delay: delays },
            crate::meter::news::NodeId(1),
            None,
        );
        for (member, name) in members {
            meter.join(MemberId::new(member), name, None, Now::default());
        }
        meter
    }

    /// One turn's pushes, as (member, text).
    fn turn(pushes: &mut Pushes, meter: &mut Meter) -> Vec<(u32, String)> {
        let mut made = Vec::new();
        pushes.fan_out(meter, |member, _, frame| {
            let text = std::str::from_utf8(frame).unwrap();
            made.push((member.place().get(), text.trim().trim_start_matches("data: ").to_owned()));
        });
        made
    }

    #[test]
    fn a_turn_makes_a_bounded_number_of_pushes_and_a_small_namespace_does_not_wait_for_a_large_one() {
        let mut meter = meter((0..1000).map(|member| (member, "large")).chain([(1000, "small")]));
        let (large, small) = (meter.find("large").unwrap(), meter.find("small").unwrap());
        let mut pushes = Pushes::default();
        pushes.tell_count(&mut meter, large, sse::count(1000), false);
        pushes.tell_count(&mut meter, small, sse::count(1), false);
        let made = turn(&mut pushes, &mut meter);
        assert_eq!(made.len(), PUSHES_PER_TURN);
        assert_eq!(made[PUSHES_PER_SLICE], (1000, "1".to_owned()));
        let mut all = made;
        while !pushes.is_idle() {
            all.extend(turn(&mut pushes, &mut meter));
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1001, "each once");
    }

    #[test]
    fn a_newer_count_replaces_the_one_on_its_way() {
        let mut meter = meter((0..100).map(|member| (member, "a")));
        let mut pushes = Pushes::default();
        pushes.tell_count(&mut meter, NamespaceId::FIRST, sse::count(100), false);
        assert_eq!(turn(&mut pushes, &mut meter).len(), PUSHES_PER_TURN);
        pushes.tell_count(&mut meter, NamespaceId::FIRST, sse::count(101), false);
        let made: Vec<_> = std::iter::from_fn(|| Some(turn(&mut pushes, &mut meter)).filter(|made| !made.is_empty()))
            .flatten()
            .collect();
        assert_eq!(made.len(), 100);
        assert!(made.iter().all(|(_, text)| text == "101"));
        assert_eq!(made[0].0, 99 - u32::try_from(PUSHES_PER_TURN).unwrap(), "the ones ahead first");
    }

    #[test]
    fn a_newer_count_is_told_even_if_the_older_one_has_just_come_to_its_end() {
        let everybody = u32::try_from(PUSHES_PER_TURN).unwrap();
        let mut meter = meter((0..everybody).map(|member| (member, "a")));
        let mut pushes = Pushes::default();
        for total in [2, 1] {
            pushes.tell_count(&mut meter, NamespaceId::FIRST, sse::count(total), false);
            assert_eq!(turn(&mut pushes, &mut meter).len(), PUSHES_PER_TURN, "all hear {total}");
        }
    }

    #[test]
    fn messages_keep_their_order_and_their_bound() {
        let mut meter = meter([(0, "a"), (1, "a")]);
        let mut pushes = Pushes::default();
        for number in 0..MESSAGES_PENDING_MAX {
            pushes.tell_message(&mut meter, NamespaceId::FIRST, sse::message(&format!("s={number}"))).unwrap();
        }
        assert!(pushes.tell_message(&mut meter, NamespaceId::FIRST, sse::message("s=too-many")).is_err());
        meter.join(MemberId::new(2), "a", None, Now::default());
        let made = turn(&mut pushes, &mut meter);
        let heard: Vec<String> = made.into_iter().filter(|&(member, _)| member == 0).map(|(_, text)| text).collect();
        let expected: Vec<String> = (0..PUSHES_PER_SLICE / 2).map(|number| format!("s={number}")).collect();
        assert_eq!(heard[..expected.len()], expected);
        let mut pushes = Pushes::default();
        pushes.tell_message(&mut meter, NamespaceId::FIRST, sse::message("s=x")).unwrap();
        assert_eq!(turn(&mut pushes, &mut meter).len(), 3);
        assert!(pushes.is_idle());
    }
}
