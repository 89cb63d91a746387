//! What becomes of a datagram at the node that it reaches.
//!
//! Owns the way from bytes to the meter: passing on to siblings, decoding by the versions that the node reads, and the
//! accounts of what came of it. It does not know who has sent the bytes but for their carrier.
//!
//! Invariant: nodes that are not there have a node send no more bytes than they have sent, but for its first acquaintances.

use audience_meter::collections::tick::TICK_MS;
use audience_meter::meter::Rejection;
use audience_meter::meter::news::News;
use audience_meter::wire::report::{self, Dropped};

use super::World;
use super::bus::{Carrier, Flight};
use super::versions::LATER;

/// How many bytes a node may spend on questions before others have sent any: 64 with their seals.
const FIRST_ACQUAINTANCES: u64 = 64 * (160 + 32);

/// How many bytes a second more: ten questions.
const FREE_PER_S: u64 = 10 * (160 + 32);

/// A node takes in what has arrived. It passes on what its siblings may not have.
pub(super) fn take_in(world: &mut World, index: usize, flight: &Flight, arrived_at: u64) {
    if flight.carrier == Carrier::Adversary {
        return take_in_attack(world, index, flight);
    }
    let received = take_in_from_node(world, index, flight, arrived_at);
    let is_known = |received| matches!(received, Err(Rejection::Own | Rejection::Replayed | Rejection::Copied));
    let is_fresh = received.is_some_and(|received| !is_known(received));
    if flight.carrier == Carrier::Sender && is_fresh {
        let node = &world.nodes[index];
        let roads = world.network.passing_on(&world.nodes, node, flight.origin);
        world.bus.pass_on(world.clock.tick, node.address, &flight.bytes, &roads);
    }
}

/// What becomes of a datagram; `None` if it is of a version that the node does not read.
fn take_in_from_node(
    world: &mut World,
    index: usize,
    flight: &Flight,
    arrived_at: u64,
) -> Option<Result<(), Rejection>> {
    let newest = world.nodes[index].formats.newest;
    let datagram = match report::decode_up_to(newest, &flight.bytes, &world.scope) {
        // The sender does not know of this node yet.
        Err(Dropped::ForeignVersion) if newest < LATER.newest => return None,
        decoded => decoded.expect("what a node sends is understood"),
    };
    let number = if let News::Message(part) = &datagram.news { Some(part.number) } else { None };
    let received = world.receive(index, &datagram, flight.origin);
    let node = &mut world.nodes[index];
    let now = node.now(world.clock);
    node.ledger.meet(node.meter.nodes(now).map(|other| other.node), world.clock.tick);
    if let (Ok(()), Some(number)) = (received, number) {
        node.ledger.take_part((datagram.sender, number), &world.observer.sayings, arrived_at);
    }
    Some(received)
}

fn take_in_attack(world: &mut World, index: usize, flight: &Flight) {
    let node = &world.nodes[index];
    let Ok(datagram) = report::decode_up_to(node.formats.newest, &flight.bytes, &world.scope) else { return };
    let is_there = node.meter.nodes(node.now(world.clock)).any(|other| other.node == datagram.sender);
    let before = world.bus.sent_bytes;
    let _ = world.receive(index, &datagram, flight.origin);
    let node = &mut world.nodes[index];
    if !is_there {
        node.drawn_out.0 += flight.bytes.len() as u64;
        node.drawn_out.1 += world.bus.sent_bytes - before;
        let (brought, drawn) = node.drawn_out;
        let free = FIRST_ACQUAINTANCES + FREE_PER_S * (world.clock.passed() * TICK_MS / 1_000);
        assert!(drawn <= brought + free, "{drawn} bytes for {brought}, by {datagram:?}");
    }
}
