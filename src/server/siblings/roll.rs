//! The other processes of the audience on this host, by their doors.
//!
//! Owns what is known of each, and what follows: at which doors to knock, which siblings a filter keeps away, and which links
//! are needed no more. A sibling that hangs opens no door, so it is not taken for one that is kept away.
//!
//! Invariant: a sibling is filtered only if it is there, and nothing in its name comes over loopback.

use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::NodeId;
use crate::server::bus::{Linked, OnLoopback, Reception};
use crate::server::ports::neighbours::SiblingDoor;

/// How long an opened door says that its process is there. There is a round of knocks once a second while doors are opened.
const OPENED_LASTS: Duration = Duration::from_millis(2_500);

/// The siblings.
pub(super) struct Roll {
    /// How long a sibling may be filtered, or received again, until that is so: some signs of life.
    patience: Duration,
    siblings: Vec<Sibling>,
}

/// What is known of a sibling.
struct Sibling {
    door: SiblingDoor,
    /// Its name, once its door was opened.
    node: Option<NodeId>,
    opened_at: Option<Tick>,
    filtered_since: Option<Tick>,
    settled_since: Option<Tick>,
}

/// What there is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The number of siblings that are known not to be received as they should.
    pub(super) unsettled_count: usize,
    /// Those that are there and kept away.
    pub(super) filtered: Vec<NodeId>,
    /// Those that are received over loopback.
    pub(super) received: Vec<NodeId>,
    /// Those that need no link.
    pub(super) settled: Vec<NodeId>,
    /// Whether one is there and received by no way.
    pub(super) is_deaf: bool,
}

impl Roll {
    pub(super) fn new(node_timeout: Duration, doors: Vec<SiblingDoor>) -> Self {
        let mut roll = Self { patience: node_timeout / 2, siblings: Vec::new() };
        roll.update(doors);
        roll
    }

    /// These doors are there now, and no others.
    pub(super) fn update(&mut self, doors: Vec<SiblingDoor>) {
        self.siblings.retain(|sibling| doors.contains(&sibling.door));
        for door in doors {
            if self.siblings.iter().all(|sibling| sibling.door != door) {
                self.siblings.push(Sibling {
                    door,
                    node: None,
                    opened_at: None,
                    filtered_since: None,
                    settled_since: None,
                });
            }
        }
    }

    /// A door was opened by this node.
    pub(super) fn open(&mut self, door: &str, node: NodeId, now: Tick) {
        if let Some(sibling) = self.siblings.iter_mut().find(|sibling| sibling.door.name == door) {
            (sibling.node, sibling.opened_at) = (Some(node), Some(now));
        }
    }

    /// The doors at which to knock: all, or those of siblings that are not received as they should be and have no link that
    /// carries anything.
    pub(super) fn doors(&self, wants_all: bool, reception: impl Fn(NodeId) -> Reception) -> Vec<String> {
        let is_wanted = |sibling: &&Sibling| {
            wants_all
                || sibling
                    .node
                    .map(&reception)
                    .is_none_or(|seen| !sibling.is_settled(seen) && seen.by_link != Linked::Received)
        };
        self.siblings.iter().filter(is_wanted).map(|sibling| sibling.door.name.clone()).collect()
    }

    /// Whether a link to this node is of use.
    pub(super) fn wants_link(&self, node: NodeId, seen: Reception) -> bool {
        let sibling = self.siblings.iter().find(|sibling| sibling.node == Some(node));
        sibling.is_some_and(|sibling| !sibling.is_settled(seen) && seen.by_link == Linked::No)
    }

    /// What there is to do. `received_count` nodes are living and received over loopback; siblings whose names are not known are
    /// among them, so a sibling is missed only by their number.
    pub(super) fn look(
        &mut self,
        received_count: usize,
        reception: impl Fn(NodeId) -> Reception,
        now: Tick,
    ) -> Findings {
        let mut findings = Findings::default();
        let (mut near_count, mut accounted) = (0, received_count);
        for sibling in &mut self.siblings {
            let seen = sibling.node.map(|node| (node, reception(node)));
            near_count += usize::from(sibling.door.is_near);
            accounted += usize::from(
                sibling.door.is_near && seen.is_some_and(|(_, seen)| seen.on_loopback == OnLoopback::Strange),
            );
            if !sibling.door.is_near && seen.is_none_or(|(_, seen)| !sibling.is_settled(seen)) {
                findings.unsettled_count += 1;
            }
            if let Some((node, seen)) = seen {
                sibling.judge(node, seen, self.patience, now, &mut findings);
            }
        }
        findings.unsettled_count += near_count.saturating_sub(accounted);
        findings
    }
}

impl Sibling {
    /// Whether it is received as it should be, or cannot be: its key is another. One on another port is not on the group of
    /// loopback here.
    fn is_settled(&self, seen: Reception) -> bool {
        match seen.on_loopback {
            OnLoopback::Received => seen.is_living,
            OnLoopback::Strange => true,
            OnLoopback::Nothing => seen.is_living && !self.door.is_near,
        }
    }

    fn judge(&mut self, node: NodeId, seen: Reception, patience: Duration, now: Tick, findings: &mut Findings) {
        let is_open = self.opened_at.is_some_and(|at| now < at.after(OPENED_LASTS));
        let is_linked = seen.by_link == Linked::Received;
        let is_kept_away = (is_open || is_linked) && seen.on_loopback == OnLoopback::Nothing;
        findings.is_deaf |= is_kept_away && !seen.is_living && !is_linked;
        if seen.on_loopback == OnLoopback::Received {
            findings.received.push(node);
        }
        if has_lasted(&mut self.filtered_since, is_kept_away && self.door.is_near, patience, now) {
            findings.filtered.push(node);
        }
        let is_settled = self.door.is_near && self.is_settled(seen);
        if has_lasted(&mut self.settled_since, is_settled, patience, now) {
            findings.settled.push(node);
        }
    }
}

/// Whether a condition has been there for long enough, without a break.
fn has_lasted(since: &mut Option<Tick>, is_there: bool, patience: Duration, now: Tick) -> bool {
    let begun = is_there.then(|| since.unwrap_or(now));
    *since = begun;
    begun.is_some_and(|begun| now >= begun.after(patience))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn at(ms: u64) -> Tick {
        Tick(1_000 + ms / 10)
    }

    fn door(name: &str, is_near: bool) -> SiblingDoor {
        SiblingDoor { name: name.to_owned(), is_near }
    }

    fn roll(doors: &[&str]) -> Roll {
        Roll::new(TIMEOUT, doors.iter().map(|name| door(name, true)).collect())
    }

    const NOTHING: Reception = Reception { is_living: false, on_loopback: OnLoopback::Nothing, by_link: Linked::No };
    const WELL: Reception = Reception { is_living: true, on_loopback: OnLoopback::Received, by_link: Linked::No };
    const LINKED: Reception =
        Reception { is_living: true, on_loopback: OnLoopback::Nothing, by_link: Linked::Received };
    const A: NodeId = NodeId(1);

    #[test]
    fn siblings_are_missed_by_their_number_and_nothing_is_knocked_at_while_none_is() {
        let mut roll = roll(&["a", "b"]);
        for (received_count, unsettled_count) in [(0, 2), (1, 1), (2, 0), (3, 0)] {
            assert_eq!(roll.look(received_count, |_| WELL, at(0)).unsettled_count, unsettled_count);
        }
        assert_eq!(roll.doors(false, |_| WELL), ["a", "b"], "it is not known who is missing");
        roll.open("a", A, at(0));
        assert_eq!(roll.doors(false, |_| WELL), ["b"]);
        assert_eq!(roll.doors(true, |_| WELL), ["a", "b"]);
        roll.update(vec![door("b", true), door("c", true)]);
        assert_eq!(roll.doors(false, |_| WELL), ["b", "c"]);
    }

    #[test]
    fn a_sibling_that_opens_its_door_and_is_not_received_is_filtered_after_a_while() {
        let mut roll = roll(&["a"]);
        roll.open("a", A, at(0));
        assert!(roll.wants_link(A, NOTHING) && !roll.wants_link(A, LINKED) && !roll.wants_link(A, WELL));
        let findings = roll.look(0, |_| NOTHING, at(0));
        assert!(findings.is_deaf && findings.filtered.is_empty());
        assert_eq!(roll.doors(false, |_| NOTHING), ["a"]);
        // By a link it is received, and filtered nevertheless.
        assert_eq!(roll.look(0, |_| LINKED, at(2_500)), Findings { unsettled_count: 1, ..Findings::default() });
        let filtered = Findings { unsettled_count: 1, filtered: vec![A], ..Findings::default() };
        assert_eq!(roll.look(0, |_| LINKED, at(2_510)), filtered);
        assert!(roll.doors(false, |_| LINKED).is_empty());
        // It is received again.
        let linked = Reception { by_link: Linked::Received, ..WELL };
        assert_eq!(roll.look(1, |_| linked, at(3_000)), Findings { received: vec![A], ..Findings::default() });
        let settled = Findings { received: vec![A], settled: vec![A], ..Findings::default() };
        assert_eq!(roll.look(1, |_| linked, at(5_510)), settled);
    }

    #[test]
    fn a_sibling_that_hangs_is_not_filtered() {
        let mut roll = roll(&["a"]);
        roll.open("a", A, at(0));
        let hung = Reception { by_link: Linked::Nothing, ..NOTHING };
        let findings = roll.look(0, |_| hung, at(2_510));
        assert_eq!(findings, Findings { unsettled_count: 1, ..Findings::default() });
        assert_eq!(roll.doors(false, |_| hung), ["a"], "whether it opens its door again");
    }

    #[test]
    fn a_sibling_with_another_key_is_not_filtered_and_gets_no_link() {
        let mut roll = roll(&["a"]);
        let strange = Reception { on_loopback: OnLoopback::Strange, ..NOTHING };
        roll.open("a", A, at(0));
        for ms in [0, 2_000, 4_000] {
            roll.open("a", A, at(ms));
            let findings = roll.look(0, |_| strange, at(ms));
            assert!(findings.filtered.is_empty() && !findings.is_deaf && findings.unsettled_count == 0, "{findings:?}");
        }
        assert!(!roll.wants_link(A, strange));
    }

    #[test]
    fn a_sibling_on_another_port_is_linked_only_while_it_is_received_by_no_way() {
        let mut roll = Roll::new(TIMEOUT, vec![door("far", false)]);
        assert_eq!(roll.look(0, |_| NOTHING, at(0)).unsettled_count, 1, "its name is not known");
        roll.open("far", A, at(0));
        let by_group = Reception { is_living: true, ..NOTHING };
        assert_eq!(roll.look(0, |_| by_group, at(0)), Findings::default());
        assert!(!roll.wants_link(A, by_group) && roll.wants_link(A, NOTHING));
        for ms in [0, 2_510] {
            let findings = roll.look(0, |_| LINKED, at(ms));
            assert_eq!(findings, Findings::default(), "it is never filtered, and its link stays");
        }
    }
}
