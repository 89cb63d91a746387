//! One round: all members join, are left alone, get messages and counts, churn and leave.
//!
//! Owns the order of the phases, and what is read off before and after each. Every phase ends with the truth: each
//! member's last count and the stats are the number of streams that are open, or the run is over. (The floor does not
//! count, so only its messages are checked.)
//!
//! CPU time is read while the server sleeps, when it is exact. Counts that happen to be pushed while something else is
//! measured are received and counted, and their cost is taken off.

use std::collections::HashMap;
use std::time::Duration;

use super::daemon::Sent;
use super::figures::{Figure, Times, float};
use super::part::PATIENCE;
use super::parts::Parts;
use super::protocol::{Delivery, Places};
use super::server::Server;
use super::{Result, now, process, progress};

/// A server that has not run for this long is at rest.
const REST: Duration = Duration::from_millis(20);

/// After this time, watchers have received all changes: their rounds take a second.
const WATCH_ROUND: Duration = Duration::from_millis(1100);

/// How many messages are sent at least; and at most, where every event gets one.
const MESSAGES: std::ops::RangeInclusive<usize> = 10..=1000;

/// How often one more member joins and leaves again, so that all others at its event receive two counts.
const COUNT_PUSHES: usize = 3;

/// How often a part of all members leaves and as many join.
const CHURNS: usize = 3;

/// The part that leaves: one member of this many.
const CHURN_PART: usize = 10;

/// What is done in a round.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) members: usize,
    pub(super) events: usize,
    pub(super) prefix: String,
    /// The time between two joins; zero is as fast as possible.
    pub(super) pace: Duration,
    /// How long all members are left alone.
    pub(super) hold: Duration,
    /// Whether counts are pushed, and must be the truth.
    pub(super) counts: bool,
    /// Whether there are stats, and must be the truth.
    pub(super) stats: bool,
    /// How many streams watch all events meanwhile.
    pub(super) watchers: usize,
}

/// A round on its way.
pub(super) struct Round<'a> {
    plan: &'a Plan,
    server: &'a Server,
    parts: Parts,
    label: String,
    /// How many messages each event was sent.
    messages: Vec<u64>,
}

/// What a phase has cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// On the CPU, in nanoseconds.
    cpu_ns: Option<u64>,
    /// Counts that were pushed meanwhile, without first ones.
    counts: u64,
}

impl Cost {
    /// The CPU time without that of pushing the counts, each of which takes `count_ns`.
    fn net_ns(&self, count_ns: f64) -> Option<f64> {
        self.cpu_ns.map(|ns| float(ns) - float(self.counts) * count_ns)
    }
}

impl Plan {
    /// The name of an event.
    pub(super) fn event_name(&self, event: usize) -> String {
        format!("{}{event}", self.prefix)
    }
}

impl<'a> Round<'a> {
    /// Starts an empty crowd.
    pub(super) fn begin(plan: &'a Plan, server: &'a Server, parts: usize, label: String) -> Result<Self> {
        let parts = Parts::start(parts, server.audience(), &plan.prefix, plan.events)?;
        Ok(Self { plan, server, parts, label, messages: vec![0; plan.events] })
    }

    /// Goes through all phases. `memory_before` is the server's memory when it was new, in bytes.
    pub(super) fn run(&mut self, memory_before: Option<u64>) -> Result<Vec<Figure>> {
        let members = self.plan.members as u64;
        self.settle("start")?;
        let proportional = self.server.proportional_bytes()?;
        let kernel_before = process::kernel_bytes()?;
        let (join, join_time) = self.join()?;
        let memory = self.server.anonymous_bytes()?;
        let kernel = process::kernel_bytes()?.saturating_sub(kernel_before);
        let wake_ups = self.idle()?;
        let mut pushes = Vec::new();
        let message_ns = self.push_messages(&mut pushes)?;
        let count_ns = if self.plan.counts { self.push_counts(&mut pushes)? } else { None };
        let churn = self.churn()?;
        let leave = self.leave()?;

        let delivery_ns = message_ns.or(count_ns).unwrap_or(0.0);
        let churned = CHURNS as u64 * self.churned(0).iter().count() as u64;
        let grown = memory.zip(memory_before).map(|(memory, before)| memory.saturating_sub(before));
        let mut figures = vec![
            Figure::cpu("join: CPU per join", join.net_ns(delivery_ns), members),
            Figure::time("join: all have received their first count after", Some(join_time)),
            Figure::number("join: counts pushed meanwhile, their cost taken off", Some(join.counts)),
            Figure::bytes("memory: user space, per member", grown, members),
            Figure::bytes("memory: kernel, per member, both ends of a stream", Some(kernel), members),
            Figure::bytes("memory: user space, without members", memory_before, 1),
            Figure::bytes("memory: Pss, without members", proportional, 1),
            Figure::number("idle: wake-ups", wake_ups),
        ];
        figures.append(&mut pushes);
        figures.extend([
            Figure::cpu("churn: CPU per leave-and-join", churn.net_ns(delivery_ns), churned),
            Figure::number("churn: counts pushed meanwhile, their cost taken off", Some(churn.counts)),
            Figure::cpu("leave: CPU per leave", leave.net_ns(0.0), members),
        ]);
        Ok(figures)
    }

    fn join(&mut self) -> Result<(Cost, Duration)> {
        let before = self.mark()?;
        let start = now();
        self.join_all("join", &Places::first(self.plan.members), self.plan.pace)?;
        let time = now() - start;
        let cost = self.cost_since(before)?;
        self.settle("join")?;
        Ok((cost, time))
    }

    fn idle(&mut self) -> Result<Option<u64>> {
        if self.plan.hold.is_zero() {
            return Ok(None);
        }
        self.announce("hold");
        self.rest()?;
        let before = self.server.wake_ups()?;
        self.parts.pause(self.plan.hold)?;
        Ok(self.server.wake_ups()?.zip(before).map(|(after, before)| after - before))
    }

    /// Sends messages to the events in turn, each when all members have received the one before. Returns the time on the
    /// CPU for each delivery.
    fn push_messages(&mut self, figures: &mut Vec<Figure>) -> Result<Option<f64>> {
        self.announce("push");
        let (mut firsts, mut lasts, mut deliveries) = (Times::default(), Times::default(), 0);
        let before = self.mark()?;
        if self.server.takes_messages() {
            for number in 0..self.plan.events.clamp(*MESSAGES.start(), *MESSAGES.end()) {
                let event = number % self.plan.events;
                let name = self.plan.event_name(event);
                let mut sent = Vec::new();
                let (received, first, last) = self.parts.time_deliveries(Delivery::Message, event, 1, |_| {
                    sent = self.server.send_message(&name, &(number % 10).to_string())?;
                    Ok(())
                })?;
                sent.into_iter().try_for_each(Sent::confirm)?;
                firsts.record(first);
                lasts.record(last);
                deliveries += received;
                self.messages[event] += 1;
            }
        }
        let cost = self.cost_since(before)?;
        if let Some(wrong) = self.parts.find_missed_message(&self.messages)? {
            return Err(format!("push: {wrong}").into());
        }
        self.settle("push")?;
        let cpu_ns = cost.net_ns(0.0).filter(|_| deliveries > 0);
        figures.extend([
            Figure::number("message: deliveries", Some(deliveries)),
            Figure::cpu("message: CPU per delivery, its request included", cpu_ns, deliveries),
            Figure::time("message: first delivery after", firsts.median()),
            Figure::time("message: last delivery after", lasts.median()),
        ]);
        Ok(cpu_ns.map(|ns| ns / float(deliveries)))
    }

    /// One more member joins and leaves again, so that all others at its event receive counts. Returns the time on the
    /// CPU for each delivery.
    fn push_counts(&mut self, figures: &mut Vec<Figure>) -> Result<Option<f64>> {
        self.announce("push counts");
        let place = self.plan.members;
        let one = Places { range: place..place + 1, step: 1 };
        let event = place % self.plan.events;
        let (mut firsts, mut lasts) = (Times::default(), Times::default());
        let before = self.mark()?;
        for _ in 0..COUNT_PUSHES {
            // After a quiet while, a change is pushed at once.
            self.parts.pause(self.server.min_delay())?;
            let others = self.parts.open().nth(event).unwrap_or(0);
            let (_, first, last) = self
                .parts
                .time_deliveries(Delivery::Count, event, 1, |parts| parts.join(&one, Duration::ZERO, |_| ()))?;
            if others > 0 {
                firsts.record(first);
                lasts.record(last);
            }
            self.settle_counts("push counts")?;
            self.parts.leave(&one)?;
            self.settle_counts("push counts")?;
        }
        let cost = self.cost_since(before)?;
        self.settle("push counts")?;
        let cpu_ns = cost.net_ns(0.0);
        figures.extend([
            Figure::number("count: deliveries", Some(cost.counts)),
            Figure::cpu("count: CPU per delivery, its cause included", cpu_ns, cost.counts),
            Figure::time("count: first delivery after", firsts.median()),
            Figure::time("count: last delivery after", lasts.median()),
        ]);
        Ok(cpu_ns.filter(|_| cost.counts > 0).map(|ns| ns / float(cost.counts)))
    }

    /// A part leaves, and as many join once all others have received the count; several times, with other members each
    /// time.
    fn churn(&mut self) -> Result<Cost> {
        let mut cost = Cost { cpu_ns: Some(0), counts: 0 };
        for number in 0..CHURNS {
            self.announce("churn");
            let before = self.mark()?;
            self.parts.leave(&self.churned(number))?;
            let left = self.cost_since(before)?;
            self.settle("churn")?;
            let before = self.mark()?;
            self.join_all("churn", &self.churned(number), Duration::ZERO)?;
            let joined = self.cost_since(before)?;
            self.settle("churn")?;
            for part in [left, joined] {
                cost.cpu_ns = cost.cpu_ns.zip(part.cpu_ns).map(|(sum, ns)| sum + ns);
                cost.counts += part.counts;
            }
        }
        Ok(cost)
    }

    fn leave(&mut self) -> Result<Cost> {
        self.announce("leave");
        let before = self.mark()?;
        self.parts.leave(&Places::first(self.plan.members))?;
        let cost = self.cost_since(before)?;
        // No member is left to receive a count, so this is about the stats alone.
        self.settle("leave")?;
        Ok(cost)
    }

    /// The places whose members leave in this churn.
    fn churned(&self, number: usize) -> Places {
        Places { range: number % self.plan.members..self.plan.members, step: CHURN_PART }
    }

    fn join_all(&mut self, phase: &str, places: &Places, pace: Duration) -> Result<()> {
        let label = &self.label;
        self.parts.join(places, pace, |so_far| progress(&format!("{label}: {phase}, {so_far} so far")))
    }

    /// Waits until the last counts of all members, and the stats, are the truth.
    fn settle(&mut self, phase: &str) -> Result<()> {
        self.await_truth(phase, Self::find_wrong)
    }

    /// Waits until the last counts of all members are the truth. Unlike a request for the stats, that costs the daemon
    /// nothing.
    fn settle_counts(&mut self, phase: &str) -> Result<()> {
        self.await_truth(phase, Self::find_wrong_count)
    }

    fn await_truth(&mut self, phase: &str, find_wrong: fn(&mut Self) -> Result<Option<String>>) -> Result<()> {
        let give_up = now() + PATIENCE;
        while let Some(wrong) = find_wrong(self)? {
            if now() > give_up {
                return Err(format!("{phase}: {wrong}").into());
            }
            self.parts.pause(REST)?;
        }
        Ok(())
    }

    /// A number that is not the truth yet.
    fn find_wrong(&mut self) -> Result<Option<String>> {
        if let Some(wrong) = self.find_wrong_count()? {
            return Ok(Some(wrong));
        }
        if !self.plan.stats {
            return Ok(None);
        }
        let names = (0..self.plan.events).map(|event| self.plan.event_name(event));
        self.server.find_wrong(&names.zip(self.parts.open()).collect::<HashMap<_, _>>())
    }

    fn find_wrong_count(&mut self) -> Result<Option<String>> {
        if self.plan.counts { self.parts.find_wrong_count() } else { Ok(None) }
    }

    fn announce(&self, phase: &str) {
        progress(&format!("{}: {phase}", self.label));
    }

    /// What the server has spent and the members have received so far, read at rest.
    fn mark(&mut self) -> Result<Cost> {
        self.rest()?;
        Ok(Cost { cpu_ns: self.server.cpu_ns()?, counts: self.parts.received()?.counts })
    }

    fn cost_since(&mut self, before: Cost) -> Result<Cost> {
        let after = self.mark()?;
        let cpu_ns = after.cpu_ns.zip(before.cpu_ns).map(|(after, before)| after - before);
        Ok(Cost { cpu_ns, counts: after.counts - before.counts })
    }

    /// Waits until the server has slept for a while. A server that never does is measured as it is.
    fn rest(&mut self) -> Result<()> {
        if self.plan.watchers > 0 {
            self.parts.pause(WATCH_ROUND)?;
        }
        let give_up = now() + PATIENCE / 10;
        let mut before = None;
        while now() < give_up {
            self.parts.pause(REST)?;
            let cpu_ns = self.server.cpu_ns()?;
            if before == Some(cpu_ns) && self.server.is_asleep()? {
                break;
            }
            before = Some(cpu_ns);
        }
        Ok(())
    }
}
