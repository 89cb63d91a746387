//! What the parent process orders a part of its crowd to do, and what the part answers: a line of JSON each.
//!
//! Owns the form of both. A part is a process of its own, for a process has 20,000 descriptors or so. All parts get the
//! same orders; each applies an order to its own members only.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Result;

/// Which part of the crowd a process is: the first line that it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartPlan {
    pub(super) number: usize,
    pub(super) parts: usize,
    pub(super) audience: SocketAddr,
    pub(super) events: usize,
    pub(super) prefix: String,
}

/// Some of the places of members: every `step`-th of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    pub(super) range: Range<usize>,
    pub(super) step: usize,
}

/// What is delivered to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Delivery {
    /// A count after the first.
    Count,
    /// A message.
    Message,
}

/// How many deliveries all members have received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Received {
    /// First counts.
    pub(super) firsts: u64,
    /// Counts after the first.
    pub(super) counts: u64,
    pub(super) messages: u64,
}

impl Received {
    /// The number of deliveries of one kind.
    pub(super) fn of(&self, delivery: Delivery) -> u64 {
        match delivery {
            Delivery::Count => self.counts,
            Delivery::Message => self.messages,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Members join, one each `pace`. The answer comes when all have received their first count.
    Join { places: Places, pace: Duration },
    /// Members leave. The answer comes when all have.
    Leave { places: Places },
    /// Expect a number of deliveries. One answer comes at once, another when all are received.
    Expect { delivery: Delivery, number: u64 },
    /// Check that each member's last count is the number of its event.
    CheckCounts { by_event: Vec<u64> },
    /// Check that each member has received as many messages as its event was sent.
    CheckMessages { by_event: Vec<u64> },
    /// Say how much has been received.
    Report,
}

/// The result of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The order is done.
    Done,
    /// The order has begun; its result follows.
    Begun,
    /// The order has come this far; more follows.
    SoFar(u64),
    /// All expected deliveries are received. Both times are in nanoseconds since the epoch, for all processes share
    /// that clock.
    Received { first_unix_ns: u64, last_unix_ns: u64 },
    /// What has been received so far.
    Report(Received),
    /// A check has found a wrong number.
    Wrong(String),
    /// The order cannot be done.
    Failed(String),
}

impl Places {
    /// The first `count` places.
    pub(super) fn first(count: usize) -> Self {
        Self { range: 0..count, step: 1 }
    }

    /// Each place.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        self.range.clone().step_by(self.step.max(1))
    }
}

/// Writes a line.
pub(super) fn send(pipe: &mut impl Write, line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    pipe.write_all(&text)?;
    Ok(pipe.flush()?)
}

/// Lines that come through a pipe in pieces.
#[derive(Default)]
pub(super) struct Inbox {
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
}

impl Inbox {
    /// Reads once; returns the lines that are whole, or `None` at the end of the pipe.
    pub(super) fn receive<T: DeserializeOwned>(&mut self, pipe: &mut impl Read) -> Result<Option<Vec<T>>> {
        let mut bytes = [0; 4096];
        let count = pipe.read(&mut bytes)?;
        if count == 0 {
            return Ok(None);
        }
        self.begun.extend_from_slice(&bytes[..count]);
        let end = self.begun.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let whole: Vec<u8> = self.begun.drain(..end).collect();
        let lines = whole.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        Ok(Some(lines.map(serde_json::from_slice).collect::<serde_json::Result<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_as_they_were_sent_in_any_pieces() {
        let places = Places { range: 3..90, step: 10 };
        let orders = [
            Order::Join { places: places.clone(), pace: Duration::from_micros(250) },
            Order::Leave { places },
            Order::Expect { delivery: Delivery::Message, number: 8 },
            Order::CheckCounts { by_event: vec![1, 20, 300] },
            Order::Report,
        ];
        let mut sent = Vec::new();
        for order in &orders {
            send(&mut sent, order).unwrap();
        }
        for size in 1..sent.len() {
            let (mut inbox, mut received) = (Inbox::default(), Vec::new());
            for mut piece in sent.chunks(size) {
                received.extend(inbox.receive::<Order>(&mut piece).unwrap().unwrap());
            }
            assert_eq!(received, orders, "in pieces of {size}");
        }
        assert!(Inbox::default().receive::<Order>(&mut std::io::empty()).unwrap().is_none());
    }

    #[test]
    fn an_answer_of_several_lines_is_one_line() {
        let answer = Answer::Wrong("a member\nof x".to_owned());
        let mut sent = Vec::new();
        send(&mut sent, &answer).unwrap();
        assert_eq!(sent.iter().position(|&byte| byte == b'\n'), Some(sent.len() - 1));
        assert_eq!(Inbox::default().receive::<Answer>(&mut &sent[..]).unwrap(), Some(vec![answer]));
    }

    #[test]
    fn other_lines_are_refused() {
        assert!(Inbox::default().receive::<Order>(&mut &b"jump 1\n"[..]).is_err());
    }
}
