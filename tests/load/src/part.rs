//! A part of the crowd, in a process of its own: does what it is told on standard input, and says so on standard output.
//!
//! Owns the order in which orders are done, one after the other, and what each does to the crowd. Of `parts` parts this is
//! the one with every `parts`-th place, from `number` on. It ends with whoever started it, when its orders end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use audience_meter::reactor::Registered;

use super::crowd::Crowd;
use super::options::PartOptions;
use super::order::{Answer, Order, Places};
use super::{Result, now};

/// How many joins may be on their way, all parts together. Four times as many fill the usual backlog (4,096,
/// `net.core.somaxconn`), past which a SYN is dropped and comes again a second later.
const JOINS_PENDING_MAX: u64 = 1000;

/// How many joins are made between two looks at what there is to hear.
const JOINS_PER_TURN: usize = 16;

/// How many joins are made between two words about it.
const JOINS_PER_WORD: u64 = 100;

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Does as it is told until there are no orders any more.
pub(super) fn serve(options: &PartOptions) -> Result<()> {
    let mut part = Part::new(options)?;
    loop {
        match part.step() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return say(&Answer::Failed(error.to_string())),
        }
    }
}

struct Part {
    crowd: Crowd,
    number: usize,
    parts: usize,
    events: usize,
    input: Registered<File>,
    /// What has been read of an order that is not whole.
    begun: Vec<u8>,
    orders: VecDeque<Order>,
    is_told_to_end: bool,
}

impl Part {
    fn new(options: &PartOptions) -> Result<Self> {
        let &PartOptions { number, parts, audience, events, ref prefix } = options;
        let names = (0..events).map(|event| format!("{prefix}{event}")).collect();
        let mut crowd = Crowd::new(names, SocketAddr::to_owned(&audience), u8::try_from(number % 256)?)?;
        let input = crowd.watch(File::from(io::stdin().as_fd().try_clone_to_owned()?))?;
        let orders = VecDeque::new();
        Ok(Self { crowd, number, parts, events, input, begun: Vec::new(), orders, is_told_to_end: false })
    }

    /// Does the next order, or hears until there is one. Returns false at the end of all.
    fn step(&mut self) -> Result<bool> {
        if let Some(order) = self.orders.pop_front() {
            let answer = self.obey(&order)?;
            say(&answer)?;
            return Ok(true);
        }
        if let Some((first_unix_ns, last_unix_ns)) = self.crowd.end_hearing() {
            say(&Answer::Heard { first_unix_ns, last_unix_ns })?;
        }
        self.turn(PATIENCE)?;
        Ok(!self.is_told_to_end)
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
                    self.crowd.leave(place / self.parts);
                }
                Ok(Answer::Done)
            }
            Order::Hear { sound, number } => {
                self.crowd.begin_hearing(*sound, *number);
                Ok(Answer::Begun)
            }
            Order::CheckCounts { by_event } => Ok(verdict(self.crowd.mistold(by_event))),
            Order::CheckMessages { by_event } => Ok(verdict(self.crowd.misses_message(by_event))),
            Order::Tell => Ok(Answer::Told(self.crowd.heard)),
        }
    }

    /// Those of the places that are this part's.
    fn own(&self, places: &Places) -> impl Iterator<Item = usize> + use<> {
        let (number, parts) = (self.number, self.parts);
        places.iter().filter(move |place| place % parts == number)
    }

    /// Lets members in at a pace, until each has heard its first count.
    fn join_all(&mut self, places: &Places, pace: Duration) -> Result<()> {
        let most = (JOINS_PENDING_MAX / self.parts as u64).max(1);
        let before = self.crowd.heard.firsts;
        let mut due = now();
        let mut told = 0;
        for (number, place) in self.own(places).enumerate() {
            self.crowd.join(place / self.parts, place % self.events)?;
            due += pace;
            // A wait is longer than a short pace; whoever has become due meanwhile joins at once.
            while let Some(left) = due.checked_duration_since(now()).filter(|left| !left.is_zero()) {
                self.turn(left)?;
            }
            if number % JOINS_PER_TURN == 0 {
                self.turn(Duration::ZERO)?;
            }
            self.await_firsts(most)?;
            let so_far = self.crowd.heard.firsts - before;
            if so_far >= told + JOINS_PER_WORD {
                told = so_far;
                say(&Answer::SoFar(so_far))?;
            }
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
            self.turn(PATIENCE)?;
            if now() > give_up {
                return Err(format!("{} members wait in vain for their first count", self.crowd.awaited()).into());
            }
        }
        Ok(())
    }

    /// Hears, and reads orders if there are any.
    fn turn(&mut self, wait: Duration) -> Result<()> {
        if self.crowd.turn(wait)? {
            let mut bytes = [0; 4096];
            let count = self.input.source().read(&mut bytes)?;
            if count == 0 {
                self.is_told_to_end = true;
                return if self.orders.is_empty() { Ok(()) } else { Err("there is nobody to tell".into()) };
            }
            self.begun.extend_from_slice(bytes.get(..count).unwrap_or_default());
            while let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                self.orders.push_back(String::from_utf8(line)?.trim_end().parse()?);
            }
        }
        Ok(())
    }
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{answer}\n").as_bytes())?;
    Ok(out.flush()?)
}
