//! Everybody who is there, on our side: the open streams, and how many there ought to be at each event.
//!
//! Owns the members and the reactor they are heard through. It does not know what is measured, nor what the daemon says
//! of itself: it knows what the members were told, and whether that is true.

use std::net::SocketAddr;
use std::time::Duration;

use audience_meter::collections::tick::Tick;
use audience_meter::reactor::sys::Signals;
use audience_meter::reactor::{Interest, Reactor, Ready, Registered, Token};

use super::member::{Heard, Member};
use super::{Result, now};

const SIGNALS: Token = Token(usize::MAX - 1);

/// What one read takes.
const SCRATCH_BYTES: usize = 16 * 1024;

/// Everybody.
pub(super) struct Crowd {
    reactor: Reactor,
    signals: Registered<Signals>,
    ready: Vec<Ready>,
    scratch: Box<[u8]>,
    audience: SocketAddr,
    /// The names of the events.
    names: Vec<String>,
    /// How many members are open, by event.
    open: Vec<u64>,
    places: Vec<Option<Member>>,
    /// How many ever joined.
    joined: u64,
    pub(super) heard: Heard,
}

impl Crowd {
    /// Nobody yet, at events of these names.
    pub(super) fn new(names: Vec<String>, audience: SocketAddr) -> Result<Self> {
        let reactor = Reactor::new()?;
        // A signal ends the run like any error, so that the daemon is not left behind.
        let signals = Registered::new(&reactor, Signals::open()?, SIGNALS, Interest::Read)?;
        Ok(Self {
            reactor,
            signals,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            audience,
            open: vec![0; names.len()],
            names,
            places: Vec::new(),
            joined: 0,
            heard: Heard::default(),
        })
    }

    /// The names of the events, each with the number of its members.
    pub(super) fn open(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map(String::as_str).zip(self.open.iter().copied())
    }

    /// The name and the number of members of one event, taking the events in turn.
    pub(super) fn event(&self, number: usize) -> (&str, u64) {
        let event = number % self.names.len();
        (&self.names[event], self.open[event])
    }

    /// How many have not been told their first count yet.
    pub(super) fn awaited(&self) -> u64 {
        self.joined - self.heard.firsts
    }

    /// Someone joins, in a place that is empty; the place decides the event.
    pub(super) fn join(&mut self, place: usize) -> Result<()> {
        let event = place % self.names.len();
        let member = Member::join(&self.reactor, Token(place), self.audience, event, &self.names[event])?;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        self.places[place] = Some(member);
        self.open[event] += 1;
        self.joined += 1;
        Ok(())
    }

    /// Whoever is in the place leaves.
    pub(super) fn leave(&mut self, place: usize) {
        if let Some(member) = self.places.get_mut(place).and_then(Option::take) {
            self.open[member.event] -= 1;
        }
    }

    /// Hears what there is to hear, waiting for it at most so long.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<()> {
        let deadline = if wait.is_zero() { Tick(0) } else { self.reactor.now().tick.after(wait) };
        self.reactor.wait(Some(deadline), &mut self.ready)?;
        for ready in &self.ready {
            if ready.token == SIGNALS {
                let signal = self.signals.source().next().unwrap_or_default();
                return Err(format!("ended by signal {signal}").into());
            }
            if let Some(member) = self.places.get_mut(ready.token.0).and_then(Option::as_mut) {
                member.hear(&mut self.scratch, &mut self.heard)?;
            }
        }
        Ok(())
    }

    /// Hears what there is to hear for so long.
    pub(super) fn listen(&mut self, duration: Duration) -> Result<()> {
        let end = now() + duration;
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Someone whose last count is not the number of those who are there: the event, what was told, what is true.
    pub(super) fn mistold(&self) -> Option<(&str, Option<u64>, u64)> {
        self.places.iter().flatten().find_map(|member| {
            let truth = self.open[member.event];
            let told = member.page.told;
            (told != Some(truth)).then(|| (self.names[member.event].as_str(), told, truth))
        })
    }

    /// Someone who was not told all messages: by event, how many there were.
    pub(super) fn misses_message(&self, messages: &[u64]) -> Option<(&str, u64, u64)> {
        self.places.iter().flatten().find_map(|member| {
            let truth = messages.get(member.event).copied().unwrap_or(0);
            let told = member.page.messages;
            (told != truth).then(|| (self.names[member.event].as_str(), told, truth))
        })
    }
}
