//! Who visits the audience: open streams of members, and half heads that never become one.
//!
//! Owns the streams, and when each visit ends. It does not choose: who comes and goes is the crowd's affair (`churn`).
//!
//! Invariants: every visit has one entry among `ends`; `waiting_count` is the number of members without a count.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::Instant;

use audience_kit::reset_on_close;
use slab::Slab;

use crate::Result;
use crate::member::{Ended, Member};
use crate::protocol::Received;

/// All visits.
#[derive(Default)]
pub(super) struct Visits {
    all: Slab<Visit>,
    ends: BTreeSet<(Instant, usize)>,
    waiting_count: usize,
}

/// One visit.
pub(super) struct Visit {
    pub(super) visitor: Visitor,
    /// The connection is reset in the end.
    pub(super) resets: bool,
    pub(super) end: Instant,
}

/// The stream of a visit.
pub(super) enum Visitor {
    Member { member: Member, of: Of },
    Half(TcpStream),
}

/// What a member is.
#[derive(Clone, Copy)]
pub(super) struct Of {
    pub(super) uuid: Option<usize>,
    /// Its page has said that it leaves, and its stream has not ended yet.
    pub(super) said_farewell: bool,
}

/// What a read has come to.
pub(super) enum Read {
    /// The stream goes on.
    Open,
    /// The member was dismissed.
    Dismissed,
    /// The stream has ended, with its daemon or because half a head took too long; and how.
    Ended(Ended),
}

impl Visits {
    /// The key of the next visit.
    pub(super) fn next_key(&self) -> usize {
        self.all.vacant_key()
    }

    pub(super) fn begin(&mut self, visit: Visit) {
        self.waiting_count += usize::from(visit.is_waiting());
        let end = visit.end;
        let key = self.all.insert(visit);
        self.ends.insert((end, key));
    }

    /// Takes a visit out; `None` if it is over already.
    pub(super) fn end(&mut self, key: usize) -> Option<Visit> {
        let visit = self.all.try_remove(key)?;
        self.ends.remove(&(visit.end, key));
        self.waiting_count -= usize::from(visit.is_waiting());
        Some(visit)
    }

    /// A visit that has reached its end.
    pub(super) fn find_due(&self, now: Instant) -> Option<usize> {
        self.ends.first().filter(|(end, _)| *end <= now).map(|&(_, key)| key)
    }

    /// Reads once from the stream of a visit; `None` if it is over already.
    pub(super) fn read(&mut self, key: usize, scratch: &mut [u8], received: &mut Received) -> Result<Option<Read>> {
        let Some(visit) = self.all.get_mut(key) else { return Ok(None) };
        let was_waiting = visit.is_waiting();
        let read = match &mut visit.visitor {
            Visitor::Half(stream) => match stream.read(scratch) {
                Ok(0) => Read::Ended(Ended::Closed),
                Ok(_) => Read::Open,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Read::Open,
                Err(error) => Read::Ended(Ended::Broken(error)),
            },
            Visitor::Member { member, .. } => {
                let ended = member.read(scratch, received)?;
                match ended {
                    _ if member.page.is_dismissed => Read::Dismissed,
                    Some(ended) => Read::Ended(ended),
                    None => Read::Open,
                }
            }
        };
        self.waiting_count -= usize::from(was_waiting && !visit.is_waiting());
        Ok(Some(read))
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// How many members have not received a count yet.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    pub(super) fn keys(&self) -> Vec<usize> {
        self.all.iter().map(|(key, _)| key).collect()
    }

    /// The event and the uuid of a member that has one, and has not said that it leaves.
    pub(super) fn find_uuid(&self, key: usize) -> Option<(usize, usize)> {
        match &self.all.get(key)?.visitor {
            Visitor::Member { member, of: Of { uuid: Some(uuid), said_farewell: false, .. } } => {
                Some((member.event, *uuid))
            }
            _ => None,
        }
    }

    /// The page of a member has said that it leaves: the visit ends then, at the latest.
    pub(super) fn wait_for_farewell(&mut self, key: usize, end: Instant) {
        let Some(visit) = self.all.get_mut(key) else { return };
        self.ends.remove(&(visit.end, key));
        self.ends.insert((end, key));
        visit.end = end;
        if let Visitor::Member { of, .. } = &mut visit.visitor {
            of.said_farewell = true;
        }
    }

    /// The members, and what they are.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Member, Of)> {
        self.all.iter().filter_map(|(_, visit)| match &visit.visitor {
            Visitor::Member { member, of } => Some((member, *of)),
            Visitor::Half(_) => None,
        })
    }
}

impl Visit {
    fn is_waiting(&self) -> bool {
        matches!(&self.visitor, Visitor::Member { member, .. } if member.page.last_count.is_none())
    }

    /// Has the connection close in the way that was chosen, when it is dropped. Returns a member.
    pub(super) fn close(self) -> Option<Member> {
        let stream = match &self.visitor {
            Visitor::Member { member, .. } => member.stream(),
            Visitor::Half(stream) => stream,
        };
        if self.resets {
            reset_on_close(stream);
        }
        match self.visitor {
            Visitor::Member { member, .. } => Some(member),
            Visitor::Half(_) => None,
        }
    }
}
