//! What the senders of messages are answered.
//!
//! Owns what an answer promises: a confirmed message was handed on at every node that lives on, and no answer is late.

use std::collections::BTreeSet;

use audience_meter::meter::news::NodeId;

use super::World;

/// The other nodes that a node knows to be there.
pub(super) fn known_to(world: &World, index: usize) -> BTreeSet<NodeId> {
    world.nodes[index].meter.nodes(world.now(index)).map(|other| other.node).collect()
}

/// The sender of a message is answered. If it is confirmed, each node that lives on has handed it on to its members.
pub(super) fn settle(world: &mut World, index: usize, number: u64, is_confirmed: bool) {
    let (sender, known) = (world.nodes[index].meter.node(), known_to(world, index));
    let settled = world.observer.sayings.settle((sender, number), is_confirmed, &known);
    let Some((message, confirmed)) = settled else { return };
    for node in world.nodes.iter().filter(|node| confirmed.contains(&node.meter.node())) {
        node.ledger.check_delivered(message);
    }
}

/// No message of a node that is there waits at this tick for longer than it may.
pub(super) fn check(world: &World, tick: u64) {
    let is_there = |id| world.nodes.iter().any(|node| node.meter.node() == id);
    world.observer.sayings.check_settled(is_there, tick);
}
