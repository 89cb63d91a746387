//! A part of the crowd, in a process of its own: orders come on standard input, answers go to standard output.
//!
//! Owns the sequence of orders, one after the other, and what each does to the crowd. This is the part with every
//! `parts`-th place, from `number` on. It ends with its parent process, when its orders end.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use super::crowd::Crowd;
use super::protocol::{Answer, Inbox, Order, PartPlan, Places, send};
use super::{Result, now};

/// Joins that may be on their way, all parts together. Four times as many fill the usual backlog (4,096,
/// `net.core.somaxconn`), past which a SYN is dropped and comes again a second later.
const JOINS_PENDING_MAX: u64 = 1000;

/// Joins that are made between two looks at what has come.
const JOINS_PER_TURN: usize = 16;

/// Joins that are made between two words about it.
const JOINS_PER_WORD: u64 = 100;

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Does as it is ordered until its orders end.
pub(super) fn serve() -> Result<()> {
    let mut part = Part::start()?;
    loop {
        match part.step() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return answer(&Answer::Failed(error.to_string())),
        }
    }
}

struct Part {
    crowd: Crowd,
    plan: PartPlan,
    /// Standard input without a buffer: bytes in a buffer would not wake the poll.
    input: File,
    inbox: Inbox,
    orders: VecDeque<Order>,
    /// The parent has closed the pipe.
    is_over: bool,
}

impl Part {
    /// The plan comes first, as a line.
    fn start() -> Result<Self> {
        let (mut input, mut inbox) = (File::from(io::stdin().as_fd().try_clone_to_owned()?), Inbox::default());
        let plan: PartPlan = loop {
            let lines = inbox.receive(&mut input)?.ok_or("this command is for the instrument itself")?;
            if let Some(plan) = lines.into_iter().next() {
                break plan;
            }
        };
        let names = (0..plan.events).map(|event| format!("{}{event}", plan.prefix)).collect();
        let crowd = Crowd::new(names, plan.audience, u8::try_from(plan.number % 256)?)?;
        crowd.watch(&input)?;
        answer(&Answer::Begun)?;
        Ok(Self { crowd, plan, input, inbox, orders: VecDeque::new(), is_over: false })
    }

    /// Does the next order, or receives until there is one. Returns false at the end of all.
    fn step(&mut self) -> Result<bool> {
        if let Some(order) = self.orders.pop_front() {
            answer(&self.obey(&order)?)?;
            return Ok(true);
        }
        if let Some((first_unix_ns, last_unix_ns)) = self.crowd.take_times() {
            answer(&Answer::Received { first_unix_ns, last_unix_ns })?;
        }
        self.turn(PATIENCE)?;
        Ok(!self.is_over)
    }

    fn obey(&mut self, order: &Order) -> Result<Answer> {
        let verdict = |wrong: Option<String>| wrong.map_or(Answer::Done, Answer::Wrong);
        match order {
            Order::Join { places, pace } => {
                self.join_all(places, *pace)?;
                Ok(Answer::Done)
            }
            Order::Leave { places } => {
                for place in self.own(places) {
                    self.crowd.leave(place / self.plan.parts);
                }
                Ok(Answer::Done)
            }
            Order::Expect { delivery, number } => {
                self.crowd.expect(*delivery, *number);
                Ok(Answer::Begun)
            }
            Order::CheckCounts { by_event } => Ok(verdict(self.crowd.find_wrong_count(by_event))),
            Order::CheckMessages { by_event } => Ok(verdict(self.crowd.find_missed_message(by_event))),
            Order::Report => Ok(Answer::Report(self.crowd.received)),
        }
    }

    /// The places that are this part's.
    fn own(&self, places: &Places) -> impl Iterator<Item = usize> + use<> {
        let PartPlan { number, parts, .. } = self.plan;
        places.iter().filter(move |place| place % parts == number)
    }

    /// Has members join at a pace, until each has received its first count.
    fn join_all(&mut self, places: &Places, pace: Duration) -> Result<()> {
        let most = (JOINS_PENDING_MAX / self.plan.parts as u64).max(1);
        let before = self.crowd.received.firsts;
        let mut due = now();
        let mut said = 0;
        for (number, place) in self.own(places).enumerate() {
            self.crowd.join(place / self.plan.parts, place % self.plan.events)?;
            due += pace;
            // A wait is longer than a short pace; the joins that have become due meanwhile follow at once.
            while let Some(left) = due.checked_duration_since(now()).filter(|left| !left.is_zero()) {
                self.turn(left)?;
            }
            if number % JOINS_PER_TURN == 0 {
                self.turn(Duration::ZERO)?;
            }
            self.await_firsts(most)?;
            let so_far = self.crowd.received.firsts - before;
            if so_far >= said + JOINS_PER_WORD {
                said = so_far;
                answer(&Answer::SoFar(so_far))?;
            }
        }
        self.await_firsts(0)
    }

    /// Waits until at most this number of members have not received their first count.
    fn await_firsts(&mut self, most: u64) -> Result<()> {
        if self.crowd.waiting_count() <= most {
            return Ok(());
        }
        let give_up = now() + PATIENCE;
        while self.crowd.waiting_count() > most {
            self.turn(PATIENCE)?;
            if now() > give_up {
                return Err(format!("{} members wait in vain for their first count", self.crowd.waiting_count()).into());
            }
        }
        Ok(())
    }

    /// Receives deliveries, and reads orders if there are any.
    fn turn(&mut self, wait: Duration) -> Result<()> {
        if self.crowd.turn(wait)? {
            match self.inbox.receive(&mut self.input)? {
                Some(orders) => self.orders.extend(orders),
                None if self.orders.is_empty() => self.is_over = true,
                None => return Err("the process that ordered this has ended".into()),
            }
        }
        Ok(())
    }
}

fn answer(answer: &Answer) -> Result<()> {
    send(&mut io::stdout().lock(), answer)
}
