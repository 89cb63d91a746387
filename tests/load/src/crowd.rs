//! Everybody who is there, as far as this process holds them: the open streams.
//!
//! Owns the members and the reactor they are heard through. It does not know what is measured, nor how many others there
//! are: it knows what its members were told, and says whether that is what it is told to be true.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use audience_meter::collections::tick::Tick;
use audience_meter::reactor::sys::Signals;
use audience_meter::reactor::{Interest, Reactor, Ready, Registered, Token};

use super::member::{Heard, Member};
use super::order::Sound;
use super::{Result, now, unix_ns};

/// What signals are called; members have lesser numbers.
pub(super) const SIGNALS: Token = Token(usize::MAX - 1);

const ORDERS: Token = Token(usize::MAX - 2);

/// How many joins are made from one address of this machine, before it is the turn of the next: a fraction of its ports,
/// for one that was left stays taken for a minute.
pub(super) const JOINS_PER_ADDRESS: u64 = 4000;

/// What one read takes.
pub(super) const SCRATCH_BYTES: usize = 16 * 1024;

/// Everybody.
pub(super) struct Crowd {
    reactor: Reactor,
    signals: Registered<Signals>,
    ready: Vec<Ready>,
    scratch: Box<[u8]>,
    audience: SocketAddr,
    /// The number of this part of the crowd, which has addresses of its own.
    part: u8,
    /// The names of the events.
    names: Vec<String>,
    places: Vec<Option<Member>>,
    /// How many ever joined.
    joined: u64,
    pub(super) heard: Heard,
    hearing: Option<Hearing>,
}

/// What is being listened for.
#[derive(Clone, Copy)]
struct Hearing {
    sound: Sound,
    from: u64,
    to: u64,
    first_unix_ns: Option<u64>,
    last_unix_ns: Option<u64>,
}

impl Crowd {
    /// Nobody yet, at events of these names.
    pub(super) fn new(names: Vec<String>, audience: SocketAddr, part: u8) -> Result<Self> {
        let reactor = Reactor::new()?;
        // A signal ends the run like any error, so that the daemon is not left behind.
        let signals = Registered::new(&reactor, Signals::open()?, SIGNALS, Interest::Read)?;
        Ok(Self {
            reactor,
            signals,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            audience,
            part,
            names,
            places: Vec::new(),
            joined: 0,
            heard: Heard::default(),
            hearing: None,
        })
    }

    /// Has [`turn`](Self::turn) say when there is something to read in a file.
    pub(super) fn watch(&mut self, orders: File) -> Result<Registered<File>> {
        Ok(Registered::new(&self.reactor, orders, ORDERS, Interest::Read)?)
    }

    /// How many have not been told their first count yet.
    pub(super) fn awaited(&self) -> u64 {
        self.joined - self.heard.firsts
    }

    /// Someone joins, in a place that is empty; the place decides the event.
    pub(super) fn join(&mut self, place: usize, event: usize) -> Result<()> {
        let member =
            Member::join(&self.reactor, Token(place), self.source(), self.audience, event, &self.names[event])?;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        self.places[place] = Some(member);
        self.joined += 1;
        Ok(())
    }

    /// Whoever is in the place leaves.
    pub(super) fn leave(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            *place = None;
        }
    }

    /// Hears what there is to hear, waiting for it at most so long. Returns whether there are orders to read.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<bool> {
        let deadline = if wait.is_zero() { Tick(0) } else { self.reactor.now().tick.after(wait) };
        self.reactor.wait(Some(deadline), &mut self.ready)?;
        let mut has_orders = false;
        for ready in &self.ready {
            if ready.token == SIGNALS {
                let signal = self.signals.source().next().unwrap_or_default();
                return Err(format!("ended by signal {signal}").into());
            }
            has_orders |= ready.token == ORDERS;
            if let Some(member) = self.places.get_mut(ready.token.0).and_then(Option::as_mut) {
                member.hear(&mut self.scratch, &mut self.heard)?;
                if let Some(hearing) = &mut self.hearing {
                    hearing.note(&self.heard);
                }
            }
        }
        Ok(has_orders)
    }

    /// Hears what there is to hear for so long.
    pub(super) fn listen(&mut self, duration: Duration) -> Result<()> {
        let end = now() + duration;
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Takes the time from now on until so many more have been heard.
    pub(super) fn begin_hearing(&mut self, sound: Sound, number: u64) {
        let from = self.heard.of(sound);
        let mut hearing = Hearing { sound, from, to: from + number, first_unix_ns: None, last_unix_ns: None };
        hearing.note(&self.heard);
        self.hearing = Some(hearing);
    }

    /// When the first and the last of what was listened for came, once all has.
    pub(super) fn end_hearing(&mut self) -> Option<(u64, u64)> {
        let last = self.hearing?.last_unix_ns?;
        let first = self.hearing.take()?.first_unix_ns?;
        Some((first, last))
    }

    /// Someone whose last count is not the number given for its event.
    pub(super) fn mistold(&self, by_event: &[u64]) -> Option<String> {
        self.places.iter().flatten().find_map(|member| {
            let (name, truth) = (self.names.get(member.event)?, by_event.get(member.event)?);
            let told = member.page.told.map_or_else(|| "nothing".to_owned(), |told| told.to_string());
            let is_true = member.page.told == Some(*truth);
            (!is_true).then(|| format!("a member of {name} was told {told} last, and {truth} are there"))
        })
    }

    /// Someone who was not told as many messages as are given for its event.
    pub(super) fn misses_message(&self, by_event: &[u64]) -> Option<String> {
        self.places.iter().flatten().find_map(|member| {
            let (name, sent) = (self.names.get(member.event)?, by_event.get(member.event)?);
            let told = member.page.messages;
            (told != *sent).then(|| format!("a member of {name} was told {told} messages of {sent}"))
        })
    }

    /// From where the next one joins, if that is for us to choose.
    fn source(&self) -> Option<Ipv4Addr> {
        let last = u8::try_from(self.joined / JOINS_PER_ADDRESS % 250).unwrap_or(0) + 1;
        self.audience.ip().is_loopback().then_some(Ipv4Addr::new(127, 1, self.part, last))
    }
}

impl Hearing {
    fn note(&mut self, heard: &Heard) {
        let number = heard.of(self.sound);
        if number >= self.to && self.last_unix_ns.is_none() {
            self.last_unix_ns = Some(unix_ns());
        }
        if (number > self.from || number >= self.to) && self.first_unix_ns.is_none() {
            self.first_unix_ns = Some(unix_ns());
        }
    }
}
