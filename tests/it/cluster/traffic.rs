//! What messages cost on the bus, and how long their answers take, by the number of nodes.
//!
//! Owns the table of the manual. The nodes are meters on a virtual clock, of which each datagram arrives within a tick; so the
//! table is the same on every machine.

use audience_kit::world::{Setting, Weather, World};
use audience_meter::collections::tick::TICK_MS;
use audience_meter::meter::news::{Datagram, News};
use audience_meter::meter::{ClusterRules, Output};
use audience_meter::wire::report::{Keys, Scope, encode};

/// How many messages a second are said, and for how many seconds.
const MESSAGES_PER_S: u64 = 10;
const SECONDS: u64 = 10;

const TICKS_PER_S: u64 = 1_000 / TICK_MS;

/// What was sent for messages, by all nodes together.
#[derive(Default)]
struct Traffic {
    parts: u64,
    part_bytes: u64,
    receipts: u64,
    receipt_bytes: u64,
    /// Messages that all have confirmed, and those that some have not.
    confirmed: u64,
    unconfirmed: u64,
}

impl Traffic {
    fn add(&mut self, output: &Output, scope: &Scope) {
        match output {
            Output::Send(_, datagram @ Datagram { news: News::Message(_), .. }) => {
                self.parts += 1;
                self.part_bytes += encode(datagram, scope).len() as u64;
            }
            Output::Send(_, datagram @ Datagram { news: News::Received { .. }, .. }) => {
                self.receipts += 1;
                self.receipt_bytes += encode(datagram, scope).len() as u64;
            }
            Output::Settled { unconfirmed: 0, .. } => self.confirmed += 1,
            Output::Settled { .. } => self.unconfirmed += 1,
            _ => {}
        }
    }
}

/// What this number of nodes sends while messages are said at each of them in turn.
fn traffic_of(nodes: usize) -> Traffic {
    let weather = Some(Weather { loss_percent: 0, double_percent: 0, delay_ticks_max: 0 });
    let cluster = Some(ClusterRules::default());
    let mut world = World::new(Setting { nodes, weather, cluster, keeps_outputs: true, ..Setting::one_node() });
    for index in 0..nodes {
        world.wake(index, true);
    }
    world.pass(10 * TICKS_PER_S);
    let scope = Scope { id: 1, keys: Keys::new(vec![b"the key of this audience".to_vec()]) };
    for index in 0..nodes {
        while world.node(index).next_output().is_some() {}
    }
    for message in 0..MESSAGES_PER_S * SECONDS {
        let index = usize::try_from(message).unwrap() % nodes;
        world.step(index, |node, now| node.say("my-event", &"x".repeat(9), now));
        world.pass(TICKS_PER_S / MESSAGES_PER_S);
    }
    world.pass(2 * TICKS_PER_S);
    let mut traffic = Traffic::default();
    for index in 0..nodes {
        while let Some(output) = world.node(index).next_output() {
            traffic.add(&output, &scope);
        }
    }
    traffic
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is a report, for --nocapture")]
fn confirmations_are_bounded_whatever_the_number_of_nodes() {
    println!("\n| nodes | messages | confirmations | bytes of both |");
    println!("|---|---|---|---|");
    for nodes in [2, 16] {
        let Traffic { parts, part_bytes, receipts, receipt_bytes, confirmed, unconfirmed } = traffic_of(nodes);
        let per_s = |number| number / SECONDS;
        let bytes = per_s(part_bytes + receipt_bytes);
        println!("| {nodes} | {} | {} | {bytes} |", per_s(parts), per_s(receipts));
        assert_eq!((confirmed, unconfirmed), (MESSAGES_PER_S * SECONDS, 0), "{nodes} nodes");
        assert!(receipts <= 1_000 * SECONDS, "{receipts} of {nodes} nodes");
        assert!(receipts >= (nodes as u64 - 1) * SECONDS, "{receipts} of {nodes} nodes");
    }
}
