//! What may happen in a world: the table of operations.
//!
//! Owns the letters of scripts. An operation reads its arguments first, whether it can be done or not, and acts on the node
//! that is at work unless the table says otherwise. What is right after it, the node and the observer know.

use std::rc::Rc;

use audience_meter::meter::news::NodeId;

use super::adversary::{Attack, TRICKS};
use super::bus::{Carrier, Flight};
use super::node::Node;
use super::script::Script;
use super::setting::UUIDS;
use super::strangers::STRANGERS;
use super::{World, answers, handing_over};
use crate::Chance;

/// How many nodes there are at most.
const NODES_MAX: usize = 8;

/// How many bytes a message has more for each step of its argument: 15 steps are ten parts.
const FILLING: usize = 450;

/// How many ticks one operation passes at most, less one; and how many ticks the steps of longer times have.
const TICKS: usize = 64;
const LONG_TICKS: u64 = 50;

/// How many datagrams may wait for a node when those of the adversary come: as in a receive buffer, the rest is lost.
const BUFFER_MAX: usize = 400;

type Operation = fn(&mut World, &mut Script);

/// Letters, and what they do. Sizes of arguments are in parentheses.
const OPERATIONS: [(u8, Operation); 32] = [
    // Members: a member joins (namespace, uuid or none), or is let in without being counted.
    (b'j', |world, script| join(world, script, true)),
    (b'i', |world, script| join(world, script, false)),
    // A member that was not counted is counted after all (which; those that are counted come last).
    (b'a', count),
    // A member leaves (which); one leaves that is not there; all leave, everywhere.
    (b'l', leave),
    (b'x', |world, _| world.step(world.at, Node::leave_twice)),
    (b'{', |world, _| leave_all(world)),
    // A page says that it leaves (namespace, uuid). The same uuid is claimed at every node in the same moment.
    (b'e', end_claim),
    // A page asks whether it may come back (namespace, uuid).
    (b'\x7f', ask_held),
    (b'g', claim_everywhere),
    // A message is announced (namespace, length).
    (b's', say),
    // Walks along members: one begins (namespace, whether without the newest), goes on or begins anew (which).
    (b'w', begin_walk),
    (b'n', |world, script| world.here().step_walk(script.below(16))),
    (b'r', |world, script| world.here().restart_walk(script.below(16))),
    // Time: some ticks pass, or many (how many). All hosts were stopped, for up to half a day. The node is woken (whether it
    // has received all that waits). Its wall clock is set, back by up to half a minute or forward.
    (b't', |world, script| world.pass(script.below(TICKS) as u64)),
    (b'u', |world, script| world.pass(LONG_TICKS * script.below(16) as u64)),
    (b'v', be_late),
    (b'h', wake),
    (b'c', set_clock),
    // Datagrams on their way: one arrives, is lost, is doubled (which of the first); all arrive. An invented node says
    // something (what). Somebody sends again what was recorded.
    (b'd', deliver),
    (b'q', |world, script| drop(world.bus.take(script.below(16)))),
    (b'y', double),
    (b'f', |world, _| flush(world)),
    (b'p', invent),
    (b'm', |world, _| replay(world)),
    // The adversary does something (what).
    (b'}', |world, script| attack(world, script.below(TRICKS.len()))),
    // Nodes: another one is at work (which). One begins. The one at work ends for good, or another begins in its place
    // (whether politely). It is stopped, or goes on. The nodes are cut into two halves, or the cut heals.
    (b'o', |world, script| world.at = script.below(world.nodes.len())),
    (b'b', |world, _| begin(world)),
    (b'z', end),
    (b'k', replace),
    (b'~', |world, _| pause(world)),
    (b'|', |world, _| cut(world)),
    // The one at work hands itself over to another program.
    (b'`', |world, _| handing_over::hand_over(world, world.at)),
];

/// Carries out one operation.
pub(super) fn act(world: &mut World, letter: u8, script: &mut Script) {
    if let Some((_, operation)) = OPERATIONS.iter().find(|(of, _)| *of == letter) {
        operation(world, script);
    }
}

fn join(world: &mut World, script: &mut Script, is_counted: bool) {
    let name = script.pick(&world.setting.names);
    let uuid = script.below(4).checked_sub(1).map(|pick| UUIDS[pick]);
    world.step(world.at, |node, now| node.join(name, uuid, is_counted, now));
}

fn count(world: &mut World, script: &mut Script) {
    let pick = script.byte().into();
    if let Some(member) = world.here().book.pick_left_out(pick) {
        world.step(world.at, |node, now| node.count(member, now));
    }
}

fn leave(world: &mut World, script: &mut Script) {
    let pick = script.byte().into();
    if let Some(member) = world.here().book.pick(pick) {
        world.step(world.at, |node, now| node.leave(member, now));
    }
}

pub(super) fn leave_all(world: &mut World) {
    for index in 0..world.nodes.len() {
        world.step(index, Node::leave_all);
    }
}

fn end_claim(world: &mut World, script: &mut Script) {
    let (name, uuid) = (script.pick(&world.setting.names), script.pick(&UUIDS));
    world.step(world.at, |node, now| node.end_claim(name, uuid, now));
}

fn ask_held(world: &mut World, script: &mut Script) {
    let (name, uuid) = (script.pick(&world.setting.names), script.pick(&UUIDS));
    world.step(world.at, |node, now| node.ask_held(name, uuid, now));
}

fn claim_everywhere(world: &mut World, script: &mut Script) {
    let (name, uuid) = (script.pick(&world.setting.names), script.pick(&UUIDS));
    for index in 0..world.nodes.len() {
        world.step(index, |node, now| node.join(name, Some(uuid), true, now));
    }
}

fn say(world: &mut World, script: &mut Script) {
    let (name, filling) = (script.pick(&world.setting.names), script.below(16) * FILLING);
    let (now, sender) = (world.now(world.at), world.here().meter.node());
    if world.here().is_paused || !world.here().has_room(now) {
        return;
    }
    let readers = answers::known_to(world, world.at);
    let text = world.observer.sayings.next_text(filling);
    let mut parts = Vec::new();
    world.step(world.at, |node, now| {
        let done = node.say(name, &text, now);
        parts.clone_from(&done.parts);
        done
    });
    world.observer.sayings.add((sender, readers), (name, text), parts, world.clock.tick);
}

fn begin_walk(world: &mut World, script: &mut Script) {
    let (name, skip_newest) = (script.pick(&world.setting.names), script.flag());
    world.here().begin_walk(name, skip_newest);
}

fn be_late(world: &mut World, script: &mut Script) {
    world.clock.tick += 1 << (script.below(16) + script.below(8));
    world.observer.has_paused = true;
    for index in 0..world.nodes.len() {
        world.wake(index, true);
    }
}

fn wake(world: &mut World, script: &mut Script) {
    let has_heard_all = script.flag();
    world.wake(world.at, has_heard_all);
}

fn set_clock(world: &mut World, script: &mut Script) {
    let pick = i64::from(script.byte() % 16);
    world.here().offset.unix_ms += 4_000 * pick - 30_000;
}

fn deliver(world: &mut World, script: &mut Script) {
    if let Some(flight) = world.bus.take(script.below(16)) {
        world.deliver(&flight);
    }
}

fn double(world: &mut World, script: &mut Script) {
    if let Some(flight) = world.bus.take(script.below(16)) {
        world.bus.hold(flight.clone());
        world.bus.hold(flight);
    }
}

/// All that was on its way arrives, in order.
fn flush(world: &mut World) {
    world.bus.take_all().for_each(|flight| world.deliver(&flight));
}

/// An invented node says something, in a well-formed datagram.
fn invent(world: &mut World, script: &mut Script) {
    let pick = script.below(STRANGERS);
    let node = &world.nodes[world.at];
    let listener = (node.address, node.meter.node());
    let is_deaf = node.is_paused || world.setting.cluster.is_none();
    let datagram = world.strangers[pick].speak(listener, script, &world.setting.names);
    if !is_deaf {
        let _ = world.receive_from_stranger(world.at, &datagram);
    }
}

/// Recorded datagrams come again, and wait in the receive buffers of all.
fn replay(world: &mut World) {
    let (tick, network) = (world.clock.tick, world.network);
    for bytes in world.bus.replayed(tick) {
        for node in &mut world.nodes {
            let (to, origin) = (node.address, network.origin_outside(node.address, 0));
            node.buffer.push_back((tick, Flight { to, origin, carrier: Carrier::Sibling, bytes: Rc::clone(&bytes) }));
        }
    }
}

/// The adversary plays one of its tricks, if there is one, and what it sends waits in the receive buffers of all.
pub(super) fn attack(world: &mut World, pick: usize) {
    let Some(adversary) = &world.adversary else { return };
    let (tick, network) = (world.clock.tick, world.network);
    let nodes: Vec<NodeId> = world.nodes.iter().map(|node| node.meter.node()).collect();
    let chance = Chance::at(world.setting.chance, &[tick, pick as u64]);
    let (scope, names, unix_ms) = (&world.scope, &world.setting.names, world.nodes[0].now(world.clock).unix_ms);
    let mut attack = Attack { scope, nodes: &nodes, names, unix_ms, chance, sent: Vec::new() };
    adversary.play(pick, &mut attack);
    let Attack { mut chance, sent, .. } = attack;
    for bytes in sent {
        let way = chance.draw();
        for node in world.nodes.iter_mut().filter(|node| node.buffer.len() < BUFFER_MAX) {
            let origin = network.origin_outside(node.address, way);
            node.buffer.push_back((
                tick,
                Flight { to: node.address, origin, carrier: Carrier::Adversary, bytes: Rc::clone(&bytes) },
            ));
        }
    }
}

fn begin(world: &mut World) {
    let others_max = world.setting.cluster.map_or(0, |cluster| cluster.nodes_max);
    if world.nodes.len() < NODES_MAX && world.nodes.len() <= others_max {
        world.begin();
    }
}

fn end(world: &mut World, script: &mut Script) {
    let is_polite = script.flag();
    if world.nodes.len() > 1 {
        say_goodbye(world, world.at, is_polite);
        world.remove(world.at);
        world.at %= world.nodes.len();
    }
}

fn replace(world: &mut World, script: &mut Script) {
    let is_polite = script.flag();
    say_goodbye(world, world.at, is_polite);
    world.replace(world.at);
}

/// A polite end: all members leave first. Even the last words may get lost.
pub(super) fn say_goodbye(world: &mut World, index: usize, is_polite: bool) {
    if is_polite {
        world.step(index, Node::leave_all);
        world.step(index, Node::say_goodbye);
    }
}

fn pause(world: &mut World) {
    let node = world.here();
    node.is_paused = !node.is_paused;
    world.observer.has_paused = true;
}

fn cut(world: &mut World) {
    world.is_cut = !world.is_cut;
    world.observer.has_cut = true;
    let (seed, tick, network) = (world.setting.chance, world.clock.tick, world.network);
    for node in &mut world.nodes {
        node.side = Chance::at(seed, &[tick, network.part_of(node.address)]).is_hit(50);
    }
}
