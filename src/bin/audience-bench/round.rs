//! One round: everybody joins, is left alone, is told messages and counts, churns and leaves.
//!
//! Owns what is done in which order and what is read off before and after. Every phase ends with the truth: each
//! member's last count and the stats are the number of streams that are open, or the run is over.
//!
//! CPU time is read while the daemon sleeps, when it is exact. Counts that happen to be told while something else is
//! measured are heard and counted, and their cost is taken off.

use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::daemon::Daemon;
use super::member::Heard;
use super::options::Options;
use super::process::Process;
use super::report::{Figure, float, median};
use super::{Result, now, progress};

/// How many joins may be on their way. Four times as many fill the usual backlog (4,096, `net.core.somaxconn`), past
/// which a SYN is dropped and comes again a second later.
const JOINS_PENDING_MAX: u64 = 1000;

/// How many joins are made between two looks at what there is to hear.
const JOINS_PER_TURN: usize = 16;

/// How many joins are made between two lines about it.
const JOINS_PER_PROGRESS: usize = 100;

/// How long anything may take: more than the default `--notify-max-delay`, after which even a small change is told.
const PATIENCE: Duration = Duration::from_mins(1);

/// For how long the daemon must not have run to be called at rest.
const REST: Duration = Duration::from_millis(20);

/// How many messages are sent at least, and at most if every event is to have one.
const MESSAGES: std::ops::RangeInclusive<usize> = 10..=1000;

/// How often one more joins and leaves again, so that everybody at its event is told two counts.
const COUNT_PUSHES: usize = 3;

/// How often a part of all leaves and as many join.
const CHURNS: usize = 3;

/// One in so many.
const CHURN_PART: usize = 10;

/// A round on its way.
pub(super) struct Round<'a> {
    options: &'a Options,
    daemon: &'a Daemon,
    crowd: Crowd,
    label: String,
    /// How many messages each event was told.
    messages: Vec<u64>,
}

/// What something has cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// On the CPU, in nanoseconds.
    cpu_ns: Option<u64>,
    /// Counts that were told meanwhile, first ones apart.
    counts: u64,
}

impl Cost {
    /// The CPU time without that of telling the counts, each of which takes `count_ns`.
    fn net_ns(&self, count_ns: f64) -> Option<f64> {
        self.cpu_ns.map(|ns| float(ns) - float(self.counts) * count_ns)
    }
}

impl<'a> Round<'a> {
    /// Nobody has joined yet.
    pub(super) fn begin(options: &'a Options, daemon: &'a Daemon, label: String) -> Result<Self> {
        let names = (0..options.events).map(|event| options.event_name(event)).collect();
        let crowd = Crowd::new(names, daemon.audience)?;
        Ok(Self { options, daemon, crowd, label, messages: vec![0; options.events] })
    }

    /// Goes through all phases. `memory_of_nobody` is what the daemon had when it was new, in bytes.
    pub(super) fn run(&mut self, memory_of_nobody: Option<u64>) -> Result<Vec<Figure>> {
        let members = self.options.members as u64;
        self.settle("start")?;
        let (join, join_time) = self.join()?;
        let process = &self.daemon.process;
        let memory = process.as_ref().map(Process::anonymous_bytes).transpose()?;
        let wake_ups = self.idle()?;
        let mut told = Vec::new();
        let message_ns = self.push_messages(&mut told)?;
        let count_ns = self.push_counts(&mut told)?;
        let churn = self.churn()?;
        let leave = self.leave()?;

        let delivery_ns = message_ns.or(count_ns).unwrap_or(0.0);
        let churned = (CHURNS * self.churned(0).count()) as u64;
        let grown = memory.zip(memory_of_nobody).map(|(memory, before)| memory.saturating_sub(before));
        let mut figures = vec![
            Figure::cpu("join: CPU per join", join.net_ns(delivery_ns), members),
            Figure::time("join: all have heard their first count after", Some(join_time)),
            Figure::number("join: counts told meanwhile, their cost taken off", Some(join.counts)),
            Figure::bytes("memory: user space, per member", grown, members),
            Figure::bytes("memory: user space, without members", memory_of_nobody, 1),
            Figure::number("idle: wake-ups", wake_ups),
        ];
        figures.append(&mut told);
        figures.extend([
            Figure::cpu("churn: CPU per leave-and-join", churn.net_ns(delivery_ns), churned),
            Figure::number("churn: counts told meanwhile, their cost taken off", Some(churn.counts)),
            Figure::cpu("leave: CPU per leave", leave.net_ns(0.0), members),
        ]);
        Ok(figures)
    }

    fn join(&mut self) -> Result<(Cost, Duration)> {
        let before = self.mark()?;
        let start = now();
        self.join_all("join", 0..self.options.members, self.options.pace)?;
        let time = now() - start;
        let cost = self.cost_since(before)?;
        self.settle("join")?;
        Ok((cost, time))
    }

    fn idle(&mut self) -> Result<Option<u64>> {
        self.announce("idle");
        self.rest()?;
        let Some(process) = &self.daemon.process else { return Ok(None) };
        let before = process.wake_ups()?;
        self.crowd.listen(self.options.idle)?;
        Ok(Some(process.wake_ups()? - before))
    }

    /// Sends messages to the events in turn, each when the one before has been heard by all. Returns the time on the
    /// CPU for each delivery.
    fn push_messages(&mut self, figures: &mut Vec<Figure>) -> Result<Option<f64>> {
        self.announce("push");
        let (mut firsts, mut lasts, mut deliveries) = (Vec::new(), Vec::new(), 0);
        let before = self.mark()?;
        if self.daemon.takes_messages() {
            for number in 0..self.options.events.clamp(*MESSAGES.start(), *MESSAGES.end()) {
                let (name, members) = self.crowd.event(number);
                let notified = self.daemon.notify(name, &number.to_string())?;
                let (first, last) = self.hear(now(), members, |heard| heard.messages)?;
                notified.confirm()?;
                firsts.push(first);
                lasts.push(last);
                deliveries += members;
                let event = number % self.messages.len();
                self.messages[event] += 1;
            }
        }
        let cost = self.cost_since(before)?;
        if let Some((event, told, sent)) = self.crowd.misses_message(&self.messages) {
            return Err(format!("push: a member of {event} was told {told} messages of {sent}").into());
        }
        self.settle("push")?;
        let cpu_ns = cost.net_ns(0.0).filter(|_| deliveries > 0);
        figures.extend([
            Figure::number("message: deliveries", Some(deliveries)),
            Figure::cpu("message: CPU per delivery, its request included", cpu_ns, deliveries),
            Figure::time("message: first delivery after", median(&mut firsts)),
            Figure::time("message: last delivery after", median(&mut lasts)),
        ]);
        Ok(cpu_ns.map(|ns| ns / float(deliveries)))
    }

    /// One more joins and leaves again, so that all others at its event are told so. Returns the time on the CPU for
    /// each delivery.
    fn push_counts(&mut self, figures: &mut Vec<Figure>) -> Result<Option<f64>> {
        self.announce("push counts");
        let place = self.options.members;
        let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
        let before = self.mark()?;
        for _ in 0..COUNT_PUSHES {
            // After a quiet while, a change is told at once.
            self.crowd.listen(self.daemon.min_delay)?;
            let (_, members) = self.crowd.event(place);
            self.crowd.join(place)?;
            let (first, last) = self.hear(now(), members, |heard| heard.counts)?;
            firsts.push(first);
            lasts.push(last);
            self.settle_told("push counts")?;
            self.crowd.leave(place);
            self.settle_told("push counts")?;
        }
        let cost = self.cost_since(before)?;
        self.settle("push counts")?;
        let cpu_ns = cost.net_ns(0.0);
        figures.extend([
            Figure::number("count: deliveries", Some(cost.counts)),
            Figure::cpu("count: CPU per delivery, its cause included", cpu_ns, cost.counts),
            Figure::time("count: first delivery after", median(&mut firsts)),
            Figure::time("count: last delivery after", median(&mut lasts)),
        ]);
        Ok(cpu_ns.filter(|_| cost.counts > 0).map(|ns| ns / float(cost.counts)))
    }

    /// A part leaves, and when all others have been told, as many join; several times, each time others.
    fn churn(&mut self) -> Result<Cost> {
        let mut cost = Cost { cpu_ns: Some(0), counts: 0 };
        for number in 0..CHURNS {
            self.announce("churn");
            let before = self.mark()?;
            for place in self.churned(number) {
                self.crowd.leave(place);
            }
            let left = self.cost_since(before)?;
            self.settle("churn")?;
            let before = self.mark()?;
            self.join_all("churn", self.churned(number), Duration::ZERO)?;
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
        for place in 0..self.options.members {
            self.crowd.leave(place);
        }
        let cost = self.cost_since(before)?;
        // Nobody is left to be told, so this is about the stats alone.
        self.settle("leave")?;
        Ok(cost)
    }

    /// The places whose members leave in this churn.
    fn churned(&self, number: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.options.members).skip(number % self.options.members).step_by(CHURN_PART)
    }

    /// Lets members in at a pace, until each has heard its first count.
    fn join_all(&mut self, phase: &str, places: impl Iterator<Item = usize>, pace: Duration) -> Result<()> {
        let mut due = now();
        for (number, place) in places.enumerate() {
            if number % JOINS_PER_PROGRESS == 0 {
                self.announce(&format!("{phase}, {number} so far"));
            }
            self.crowd.join(place)?;
            due += pace;
            // A wait is longer than a short pace; whoever has become due meanwhile joins at once.
            if let Some(left) = due.checked_duration_since(now()).filter(|left| !left.is_zero()) {
                self.crowd.turn(left)?;
            } else if number % JOINS_PER_TURN == 0 {
                self.crowd.turn(Duration::ZERO)?;
            }
            self.await_firsts(JOINS_PENDING_MAX)?;
        }
        self.await_firsts(0)
    }

    /// Waits until at most so many have not heard their first count.
    fn await_firsts(&mut self, most: u64) -> Result<()> {
        if self.crowd.awaited() <= most {
            return Ok(());
        }
        let give_up = now() + PATIENCE;
        while self.crowd.awaited() > most {
            self.crowd.turn(PATIENCE)?;
            if now() > give_up {
                return Err(format!("{} members wait in vain for their first count", self.crowd.awaited()).into());
            }
        }
        Ok(())
    }

    /// Hears so many deliveries. Returns how long after `start`, when their cause was handed over, the first and the
    /// last came.
    fn hear(&mut self, start: Instant, deliveries: u64, of: fn(&Heard) -> u64) -> Result<(Duration, Duration)> {
        let before = of(&self.crowd.heard);
        let mut first = None;
        loop {
            let heard = of(&self.crowd.heard) - before;
            let time = now() - start;
            if heard > 0 {
                first = first.or(Some(time));
            }
            if heard >= deliveries {
                return Ok((first.unwrap_or(time), time));
            }
            if time > PATIENCE {
                return Err(format!("push: {heard} of {deliveries} deliveries have come").into());
            }
            self.crowd.turn(PATIENCE)?;
        }
    }

    /// Waits until what everybody was told last, and what the stats say, is the truth.
    fn settle(&mut self, phase: &str) -> Result<()> {
        self.await_truth(phase, Self::find_wrong)
    }

    /// Waits until what everybody was told last is the truth. Unlike asking for the stats, that costs the daemon
    /// nothing.
    fn settle_told(&mut self, phase: &str) -> Result<()> {
        self.await_truth(phase, |this| Ok(this.find_mistold()))
    }

    fn await_truth(&mut self, phase: &str, find_wrong: fn(&Self) -> Result<Option<String>>) -> Result<()> {
        let give_up = now() + PATIENCE;
        while let Some(wrong) = find_wrong(self)? {
            if now() > give_up {
                return Err(format!("{phase}: {wrong}").into());
            }
            self.crowd.turn(REST)?;
        }
        Ok(())
    }

    /// What is not the truth yet.
    fn find_wrong(&self) -> Result<Option<String>> {
        if let Some(wrong) = self.find_mistold() {
            return Ok(Some(wrong));
        }
        let Some(members) = self.daemon.members()? else { return Ok(None) };
        let wrong = self.crowd.open().find_map(|(event, truth)| {
            let said = members.get(event).copied().unwrap_or(0);
            (said != truth).then(|| format!("the stats of {event} say {said} members, and {truth} are there"))
        });
        Ok(wrong)
    }

    fn find_mistold(&self) -> Option<String> {
        let (event, told, truth) = self.crowd.mistold()?;
        let told = told.map_or_else(|| "nothing".to_owned(), |told| told.to_string());
        Some(format!("a member of {event} was told {told} last, and {truth} are there"))
    }

    fn announce(&self, phase: &str) {
        progress(&format!("{}: {phase}", self.label));
    }

    /// The figures before something that costs.
    fn mark(&mut self) -> Result<Cost> {
        self.rest()?;
        let cpu_ns = self.daemon.process.as_ref().map(Process::cpu_ns).transpose()?;
        Ok(Cost { cpu_ns, counts: self.crowd.heard.counts })
    }

    fn cost_since(&mut self, before: Cost) -> Result<Cost> {
        let after = self.mark()?;
        let cpu_ns = after.cpu_ns.zip(before.cpu_ns).map(|(after, before)| after - before);
        Ok(Cost { cpu_ns, counts: after.counts - before.counts })
    }

    /// Waits until the daemon sleeps and has done so for a while. One that never does is measured as it is.
    fn rest(&mut self) -> Result<()> {
        let Some(process) = &self.daemon.process else { return self.crowd.listen(REST) };
        let give_up = now() + PATIENCE / 10;
        let mut before = None;
        while now() < give_up {
            self.crowd.listen(REST)?;
            let cpu_ns = process.cpu_ns()?;
            if before == Some(cpu_ns) && process.is_asleep()? {
                break;
            }
            before = Some(cpu_ns);
        }
        Ok(())
    }
}
