//! Meters in one multicast group, on a virtual clock.
//!
//! Owns the group, and what its datagrams came to. Each datagram arrives within its tick, so what is sent is the same on every
//! machine. Nodes may be cut off, and come back one after another, as they do to a broker.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{Datagram, News, NodeId, Origin, Secret};
use audience_meter::meter::{ClusterRules, Membership, Meter, NotifyRule, Output, Rules};
use audience_meter::wire::report::{FORMATS, Keys, Scope, decode, encode};

pub(super) const TICKS_PER_S: u64 = 1_000 / TICK_MS;

/// What was sent, by all nodes together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Parts of messages, their receipts, and the bytes of both.
    pub(super) parts: u64,
    pub(super) receipts: u64,
    pub(super) bytes: u64,
    /// Messages that all have confirmed, and those that some have not.
    pub(super) confirmed: u64,
    pub(super) unconfirmed: u64,
    /// Questions and their answers.
    pub(super) questions: u64,
    pub(super) answers: u64,
    /// Datagrams with shares of living nodes, and of departed ones.
    pub(super) reports: u64,
    pub(super) departed_shares: u64,
}

/// Meters that receive what each of them sends.
pub(super) struct Group {
    pub(super) meters: Vec<Meter>,
    /// How many of them are in it, the first ones; the others receive nothing, and what they send is lost.
    pub(super) present: usize,
    scope: Scope,
    pub(super) now: Now,
    pub(super) traffic: Traffic,
}

impl Group {
    pub(super) fn new() -> Self {
        let scope = Scope { id: 1, keys: Keys::new(vec![b"the key of this audience".to_vec()]) };
        let now = Now { tick: Tick(1_000), unix_ms: 1_700_000_000_000 };
        Self { meters: Vec::new(), present: 0, scope, now, traffic: Traffic::default() }
    }

    /// Another node begins, and meets the others.
    pub(super) fn begin(&mut self) {
        let node = self.meters.len() as u64 + 1;
        let delay = Duration::from_secs(2);
        let notify = NotifyRule { delta_ratio: 0.1, min_delay: delay, max_delay: delay, budget: None };
        let rules = Rules {
            notify,
            increment_delay: Duration::ZERO,
            leave_delay: Duration::ZERO,
            namespace_clean_delay: Duration::from_mins(1),
            namespaces_max: usize::MAX,
        };
        let membership = Membership { rules: ClusterRules::default(), secret: Secret([node; 2]), formats: FORMATS };
        self.meters.push(Meter::new(rules, NodeId(node), Some(membership)));
        self.present = self.meters.len();
        while !self.is_met() {
            self.pass(1);
        }
    }

    /// Whether each node knows all others.
    pub(super) fn is_met(&self) -> bool {
        self.meters.iter().all(|meter| meter.nodes(self.now).count() + 1 == self.meters.len())
    }

    pub(super) fn pass(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.now.tick.0 += 1;
            self.meters.iter_mut().for_each(|meter| meter.handle_timeout(self.now, true));
            while self.carry() {
                self.meters.iter_mut().for_each(|meter| meter.handle_timeout(self.now, true));
            }
        }
    }

    /// Carries out what the meters want done; returns whether there was anything.
    pub(super) fn carry(&mut self) -> bool {
        let mut sent = VecDeque::new();
        let mut has_any = false;
        for (place, meter) in self.meters.iter_mut().enumerate() {
            while let Some(output) = meter.poll_output() {
                has_any = true;
                match output {
                    Output::Send(_, datagram) if place < self.present => sent.push_back(datagram),
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
        let traffic = &mut self.traffic;
        if let News::Message(_) | News::Received { .. } = datagram.news {
            traffic.bytes += bytes.len() as u64;
        }
        match datagram.news {
            News::Message(_) => traffic.parts += 1,
            News::Received { .. } => traffic.receipts += 1,
            News::Ask(_) => traffic.questions += 1,
            News::Alive(alive) => traffic.answers += u64::from(alive.echo.is_some()),
            News::Report { .. } => traffic.reports += 1,
            News::DepartedShares(_) => traffic.departed_shares += 1,
            _ => {}
        }
        let received = decode(&bytes, &self.scope).unwrap();
        for meter in &mut self.meters[..self.present] {
            let _ = meter.receive(&received, Origin::Group, self.now);
        }
    }
}
