//! What messages cost on the bus, by the number of nodes.
//!
//! Owns the table of the manual. The nodes are meters in one multicast group, on a virtual clock: each datagram arrives within
//! its tick, so the table is the same on every machine. `METER_NODES=<n>` adds a row; one of 96 nodes takes a minute.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{Datagram, News, NodeId, Origin, Secret};
use audience_meter::meter::{ClusterRules, Membership, Meter, NotifyRule, Output, Rules};
use audience_meter::wire::report::{FORMATS, Keys, Scope, decode, encode};

/// How many messages a second are said, and for how many seconds.
const MESSAGES_PER_S: u64 = 10;
const SECONDS: u64 = 2;

const TICKS_PER_S: u64 = 1_000 / TICK_MS;

/// What was sent for messages, by all nodes together.
#[derive(Default)]
struct Traffic {
    parts: u64,
    receipts: u64,
    bytes: u64,
    /// Messages that all have confirmed, and those that some have not.
    confirmed: u64,
    unconfirmed: u64,
}

/// Meters that receive what each of them sends.
struct Group {
    meters: Vec<Meter>,
    scope: Scope,
    now: Now,
    traffic: Traffic,
}

impl Group {
    fn new() -> Self {
        let scope = Scope { id: 1, keys: Keys::new(vec![b"the key of this audience".to_vec()]) };
        let now = Now { tick: Tick(1_000), unix_ms: 1_700_000_000_000 };
        Self { meters: Vec::new(), scope, now, traffic: Traffic::default() }
    }

    /// Another node begins, and meets the others.
    fn begin(&mut self) {
        let node = self.meters.len() as u64 + 1;
        let delay = Duration::from_secs(2);
        let notify = NotifyRule { delta_ratio: 0.1, min_delay: delay, max_delay: delay, budget: None };
        let rules = Rules {
            notify,
            increment_delay: Duration::ZERO,
            leave_delay: Duration::ZERO,
            namespace_clean_delay: delay,
            namespaces_max: usize::MAX,
        };
        let membership = Membership { rules: ClusterRules::default(), secret: Secret([node; 2]), formats: FORMATS };
        self.meters.push(Meter::new(rules, NodeId(node), Some(membership)));
        while self.meters.iter().any(|meter| meter.nodes(self.now).count() + 1 < self.meters.len()) {
            self.pass(1);
        }
    }

    fn pass(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.now.tick.0 += 1;
            self.meters.iter_mut().for_each(|meter| meter.handle_timeout(self.now, true));
            while self.carry() {
                self.meters.iter_mut().for_each(|meter| meter.handle_timeout(self.now, true));
            }
        }
    }

    /// Carries out what the meters want done; returns whether there was anything.
    fn carry(&mut self) -> bool {
        let mut sent = VecDeque::new();
        let mut has_any = false;
        for meter in &mut self.meters {
            while let Some(output) = meter.poll_output() {
                has_any = true;
                match output {
                    Output::Send(_, datagram) => sent.push_back(datagram),
                    Output::Message { id, namespace, .. } => meter.mail(self.now).confirm(id, &namespace, true),
                    Output::Settled { unconfirmed: 0, .. } => self.traffic.confirmed += 1,
                    Output::Settled { .. } => self.traffic.unconfirmed += 1,
                    _ => {}
                }
            }
        }
        for datagram in &sent {
            self.deliver(datagram);
        }
        has_any
    }

    fn deliver(&mut self, datagram: &Datagram<Rc<str>>) {
        let bytes = encode(datagram, &self.scope);
        let (is_part, is_receipt) =
            (matches!(datagram.news, News::Message(_)), matches!(datagram.news, News::Received { .. }));
        self.traffic.parts += u64::from(is_part);
        self.traffic.receipts += u64::from(is_receipt);
        self.traffic.bytes += if is_part || is_receipt { bytes.len() as u64 } else { 0 };
        let received = decode(&bytes, &self.scope).unwrap();
        for meter in &mut self.meters {
            let _ = meter.receive(&received, Origin::Group, self.now);
        }
    }
}

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
        let Traffic { parts, receipts, bytes, confirmed, unconfirmed } = traffic_of(nodes);
        println!("| {nodes} | {} | {} | {} |", parts / SECONDS, receipts / SECONDS, bytes / SECONDS);
        assert_eq!((confirmed, unconfirmed), (MESSAGES_PER_S * SECONDS, 0), "{nodes} nodes");
        assert!(receipts <= 1_000 * SECONDS, "{receipts} of {nodes} nodes");
        assert!(receipts >= (nodes as u64 - 1) * SECONDS, "{receipts} of {nodes} nodes");
    }
}
