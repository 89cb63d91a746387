//! Nodes that meet again after all have taken each other for departed: what they say to each other until all are whole.
//!
//! Each of them has a table of its own, and knows the tables of the others, which are those of departed nodes meanwhile. They come
//! back one after another, as nodes reach a broker that is back.

use audience_meter::collections::key::Key as _;
use audience_meter::meter::{MemberId, Meter};

use super::group::{Group, TICKS_PER_S, Traffic};

/// How many nodes there are, in how many namespaces each of them has a member, and how many datagrams these fill.
const NODES: usize = 16;
const NAMES: usize = 150;
const DATAGRAMS: usize = 4;

/// How long the nodes are cut off: longer than the node timeout.
const CUT_TICKS: u64 = 7 * TICKS_PER_S;

/// How long after the one before a node is back.
const BACK_TICKS: u64 = TICKS_PER_S / 10;

/// What all of them have sent, once each knows all others and all members.
fn reunite() -> Traffic {
    let mut group = Group::new();
    for node in 0..NODES {
        group.begin();
        for name in 0..NAMES {
            let member = MemberId::from_index(name).unwrap();
            group.meters[node].join(member, &format!("event{node}-{name}"), None, group.now);
        }
        group.pass(TICKS_PER_S);
    }
    group.pass(2 * TICKS_PER_S);
    assert!(group.meters.iter().all(|meter| members(meter) == NODES * NAMES), "they are whole before");
    group.present = 0;
    group.pass(CUT_TICKS);
    assert!(group.meters.iter().all(|meter| members(meter) == NAMES), "each is alone");
    group.traffic = Traffic::default();
    for present in 1..=NODES {
        group.present = present;
        group.meters[present - 1].call_out(group.now);
        group.pass(BACK_TICKS);
    }
    group.pass(2 * TICKS_PER_S);
    assert!(group.is_met() && group.meters.iter().all(|meter| members(meter) == NODES * NAMES), "they are whole again");
    group.traffic
}

fn members(meter: &Meter) -> usize {
    meter.namespaces().iter().map(|(_, namespace)| usize::try_from(namespace.total()).unwrap()).sum()
}

#[test]
fn nodes_that_come_back_are_asked_and_sent_what_is_theirs_and_nothing_of_the_departed() {
    let traffic = reunite();
    assert_eq!(traffic.departed_shares, 0, "who is departed to some nodes only is back in a moment");
    let repeats = NODES * (NODES + 1) / 2;
    assert!(traffic.reports <= (repeats * DATAGRAMS) as u64, "once for each node that comes: {traffic:?}");
    let pairs = NODES * (NODES - 1);
    assert!(traffic.questions <= 2 * pairs as u64, "for proof, and for everything: {traffic:?}");
    assert!(traffic.answers <= traffic.questions, "{traffic:?}");
}
