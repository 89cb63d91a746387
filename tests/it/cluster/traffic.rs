//! What messages cost on the bus, by the number of nodes.
//!
//! Owns the table of the manual. `METER_NODES=<n>` adds a row; one of 96 nodes takes a minute.

use super::group::{Group, TICKS_PER_S, Traffic};

/// How many messages a second are said, and for how many seconds.
const MESSAGES_PER_S: u64 = 10;
const SECONDS: u64 = 2;

/// What this number of nodes sends while messages are said at each of them in turn.
fn traffic_of(nodes: usize) -> Traffic {
    let mut group = Group::new();
    (0..nodes).for_each(|_| group.begin());
    group.pass(TICKS_PER_S);
    for message in 0..MESSAGES_PER_S * SECONDS {
        let speaker = usize::try_from(message).unwrap() % nodes;
        assert!(group.meters[speaker].mail(group.now).announce("my-event", "score=2:0").is_some());
        group.carry();
        group.pass(TICKS_PER_S / MESSAGES_PER_S);
    }
    group.pass(2 * TICKS_PER_S);
    group.traffic
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is a report, for --nocapture")]
fn confirmations_are_bounded_whatever_the_number_of_nodes() {
    println!("\n| nodes | messages | confirmations | bytes of both |");
    println!("|---|---|---|---|");
    let asked = std::env::var("METER_NODES").ok().map(|nodes| nodes.parse().unwrap());
    for nodes in [2, 16].into_iter().chain(asked) {
        let Traffic { parts, receipts, bytes, confirmed, unconfirmed, .. } = traffic_of(nodes);
        println!("| {nodes} | {} | {} | {} |", parts / SECONDS, receipts / SECONDS, bytes / SECONDS);
        assert_eq!((confirmed, unconfirmed), (MESSAGES_PER_S * SECONDS, 0), "{nodes} nodes");
        assert!(receipts <= 1_000 * SECONDS, "{receipts} of {nodes} nodes");
        assert!(receipts >= (nodes as u64 - 1) * SECONDS, "{receipts} of {nodes} nodes");
    }
}
