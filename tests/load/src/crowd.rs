//! The members that this process holds: their open streams.
//!
//! Owns the streams and the epoll that watches them. It does not know what is measured, nor the members of other
//! processes: it knows what its members have received, and says whether that agrees with the numbers that it is given.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use super::member::Member;
use super::poll::Poll;
use super::protocol::{Delivery, Received};
use super::{Result, now, unix_ns};

/// The token of the pipe with the orders; members have lesser ones.
const ORDERS: usize = usize::MAX - 1;

/// Joins from one address of this machine, before it is the turn of the next: a fraction of its ports, for the port of a
/// stream that was closed stays taken for a minute.
const JOINS_PER_ADDRESS: u64 = 4000;

/// The size of one read.
pub(super) const SCRATCH_BYTES: usize = 16 * 1024;

/// The members of this process.
pub(super) struct Crowd {
    poll: Poll,
    ready: Vec<usize>,
    scratch: Box<[u8]>,
    /// Where members join, one after the other.
    audiences: Vec<SocketAddr>,
    /// The number of this part of the crowd, which has addresses of its own.
    part: u8,
    /// The names of the events.
    names: Vec<String>,
    places: Vec<Option<Member>>,
    /// How many members ever joined.
    join_count: u64,
    pub(super) received: Received,
    expected: Option<Expected>,
}

/// Deliveries that are expected, and when the first and the last of them came.
#[derive(Clone, Copy)]
struct Expected {
    delivery: Delivery,
    from: u64,
    to: u64,
    first_unix_ns: Option<u64>,
    last_unix_ns: Option<u64>,
}

impl Crowd {
    /// An empty crowd, at events of these names.
    pub(super) fn new(names: Vec<String>, audience: SocketAddr, part: u8) -> Result<Self> {
        Self::spread(names, vec![audience], part)
    }

    /// An empty crowd whose members join at these addresses in turn.
    pub(super) fn spread(names: Vec<String>, audiences: Vec<SocketAddr>, part: u8) -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            audiences,
            part,
            names,
            places: Vec::new(),
            join_count: 0,
            received: Received::default(),
            expected: None,
        })
    }

    /// Has [`turn`](Self::turn) say when there are orders to read from a pipe.
    pub(super) fn watch(&self, orders: impl AsFd) -> Result<()> {
        self.poll.add(orders, ORDERS)
    }

    /// How many members have not received their first count yet.
    pub(super) fn waiting_count(&self) -> u64 {
        self.join_count - self.received.firsts
    }

    /// A member joins an event, in a place that is empty.
    pub(super) fn join(&mut self, place: usize, event: usize) -> Result<()> {
        let audience = self.audiences[usize::try_from(self.join_count)? % self.audiences.len()];
        let source =
            audience.ip().is_loopback().then(|| Ipv4Addr::new(127, 1, self.part, last_of_source(self.join_count)));
        let member = Member::join(&self.poll, place, source, audience, event, &self.names[event])?;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        self.places[place] = Some(member);
        self.join_count += 1;
        Ok(())
    }

    /// The member in the place leaves, if there is one.
    pub(super) fn leave(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            *place = None;
        }
    }

    /// Receives what has come, and waits for it at most `wait`. Returns whether there are orders to read.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<bool> {
        self.poll.wait(wait, &mut self.ready)?;
        let mut has_orders = false;
        for &token in &self.ready {
            has_orders |= token == ORDERS;
            if let Some(member) = self.places.get_mut(token).and_then(Option::as_mut) {
                member.receive(&mut self.scratch, &mut self.received)?;
                if let Some(expected) = &mut self.expected {
                    expected.update(&self.received);
                }
            }
        }
        Ok(has_orders)
    }

    /// Receives what comes within `duration`.
    pub(super) fn listen(&mut self, duration: Duration) -> Result<()> {
        let end = now() + duration;
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Takes the time at which the first and the last of the next `number` deliveries come.
    pub(super) fn expect(&mut self, delivery: Delivery, number: u64) {
        let from = self.received.of(delivery);
        let mut expected = Expected { delivery, from, to: from + number, first_unix_ns: None, last_unix_ns: None };
        expected.update(&self.received);
        self.expected = Some(expected);
    }

    /// When the first and the last of the expected deliveries came, once all have; it is said once.
    pub(super) fn take_times(&mut self) -> Option<(u64, u64)> {
        let last = self.expected?.last_unix_ns?;
        let first = self.expected.take()?.first_unix_ns?;
        Some((first, last))
    }

    /// A member whose last count is not the number given for its event.
    pub(super) fn find_wrong_count(&self, by_event: &[u64]) -> Option<String> {
        self.places.iter().flatten().find_map(|member| {
            let (name, truth) = (self.names.get(member.event)?, by_event.get(member.event)?);
            let last = member.page.last_count.map_or_else(|| "nothing".to_owned(), |count| count.to_string());
            let is_true = member.page.last_count == Some(*truth);
            (!is_true).then(|| format!("a member of {name} has received {last} last, and {truth} are there"))
        })
    }

    /// A member that has not received as many messages as are given for its event.
    pub(super) fn find_missed_message(&self, by_event: &[u64]) -> Option<String> {
        self.places.iter().flatten().find_map(|member| {
            let (name, sent) = (self.names.get(member.event)?, by_event.get(member.event)?);
            let received = member.page.message_count;
            (received != *sent).then(|| format!("a member of {name} has received {received} messages of {sent}"))
        })
    }
}

/// The last byte of the address from which the next member joins, after this number of joins.
pub(super) fn last_of_source(join_count: u64) -> u8 {
    u8::try_from(join_count / JOINS_PER_ADDRESS % 250).unwrap_or(0) + 1
}

impl Expected {
    fn update(&mut self, received: &Received) {
        let number = received.of(self.delivery);
        if number >= self.to && self.last_unix_ns.is_none() {
            self.last_unix_ns = Some(unix_ns());
        }
        if (number > self.from || number >= self.to) && self.first_unix_ns.is_none() {
            self.first_unix_ns = Some(unix_ns());
        }
    }
}
