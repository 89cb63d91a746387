//! Messages to the events of the soak, and their answers.
//!
//! Owns the choice: when the next message is sent, to which event, and by way of which daemon. A daemon answers when all
//! others have confirmed, or after a second, so no answer is waited for: the crowd has to be served meanwhile.
//!
//! Invariant: a message that a daemon refuses is an error, and so is a missing answer, unless a daemon ends.

use std::time::{Duration, Instant};

use super::chance::Chance;
use super::events::{EVENTS, name};
use super::nodes::Nodes;
use crate::daemon::{Outcome, Sent};
use crate::{Result, now};

/// The time between two messages.
const GAP: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(350));

/// How long an answer may take: longer than a daemon is stopped, and the second that it may wait for the others.
const PATIENCE: Duration = Duration::from_secs(15);

/// The messages of a run.
pub(super) struct Messages {
    chance: Chance,
    next_at: Instant,
    pub(super) sent_count: u64,
    pub(super) delivered_count: u64,
    /// Messages whose answers have not come yet.
    open: Vec<Open>,
}

struct Open {
    sent: Sent,
    event: String,
    /// The number of the daemon.
    daemon: usize,
    by: Instant,
}

impl Messages {
    pub(super) fn new(chance: Chance) -> Self {
        Self { chance, next_at: now(), sent_count: 0, delivered_count: 0, open: Vec::new() }
    }

    /// Sends a message to an event, if it is time for one, by way of a daemon that serves.
    pub(super) fn send(&mut self, nodes: &Nodes) -> Result<()> {
        let moment = now();
        if moment < self.next_at {
            return Ok(());
        }
        self.next_at = moment + self.chance.between(GAP);
        let up_count = nodes.up().count();
        if up_count == 0 {
            return Ok(());
        }
        if let Some((number, daemon)) = nodes.up().nth(self.chance.below(up_count)) {
            let event = name(self.chance.below(EVENTS));
            let sent = daemon.send_message(&event, &self.sent_count.to_string());
            let sent = sent.map_err(|error| refused(number, &event, &*error))?;
            self.open.push(Open { sent, event, daemon: number, by: moment + PATIENCE });
            self.sent_count += 1;
        }
        Ok(())
    }

    /// Takes the answers that have come.
    pub(super) fn receive_answers(&mut self, nodes: &Nodes) -> Result<()> {
        for mut open in std::mem::take(&mut self.open) {
            match open.sent.outcome() {
                Ok(Some(Outcome::Delivered)) => self.delivered_count += 1,
                // The event has no member now, or a daemon that has just started does not know it yet.
                Ok(Some(Outcome::NoEvent)) => {}
                Ok(None) if now() < open.by => self.open.push(open),
                _ if nodes.are_ending() => {}
                Ok(None) => return Err(refused(open.daemon, &open.event, &"no answer came")),
                Err(error) => return Err(refused(open.daemon, &open.event, &*error)),
            }
        }
        Ok(())
    }
}

fn refused(daemon: usize, event: &str, error: &dyn std::fmt::Display) -> Box<dyn std::error::Error> {
    format!("daemon {daemon} does not take a message to {event}: {error}").into()
}
