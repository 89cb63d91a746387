//! What a test does by hand to the processes of a world, and to the network between them.
//!
//! Owns the same steps that scripts have, with the choice left to the caller.
//!
//! Invariant: a process that takes the place of another is on the same side of a cut.

use super::{World, operations};

/// Another process begins, beside the others.
pub fn add_node(world: &mut World) {
    world.begin();
}

/// A process ends, after a goodbye or without one, and another begins in its place.
pub fn restart(world: &mut World, index: usize, is_polite: bool) {
    let side = world.nodes[index].side;
    operations::say_goodbye(world, index, is_polite);
    world.replace(index);
    world.nodes[index].side = side;
}

/// The processes from this one on are cut off from those before.
pub fn cut_at(world: &mut World, index: usize) {
    (world.is_cut, world.observer.has_cut) = (true, true);
    for (at, node) in world.nodes.iter_mut().enumerate() {
        node.side = at >= index;
    }
}

/// All processes reach each other again.
pub fn heal(world: &mut World) {
    world.is_cut = false;
}

/// How many datagrams were sent so far.
pub fn sent_count(world: &World) -> u64 {
    world.bus.sent_count
}
