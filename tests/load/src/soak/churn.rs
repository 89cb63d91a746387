//! Members who come and go as they please, and some who never become one.
//!
//! Owns the streams, and when and in which way each is to end. It is the book of what is true: whoever has a stream open
//! that was not dismissed is there. It does not know the daemons; that streams end that ought not to is noted, and whether
//! they may is for others to say.
//!
//! Invariant: `waiting` are those members who have not been told a count yet.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::slab::Slab;
use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::collections::wheel::TimerWheel;
use audience_meter::key_type;
use audience_meter::reactor::sys::{self, Signals};
use audience_meter::reactor::{Interest, Reactor, Ready, Registered, Token};

use super::random::Random;
use crate::Result;
use crate::crowd::{JOINS_PER_ADDRESS, SCRATCH_BYTES, SIGNALS};
use crate::member::{Heard, Member};

/// How many events there are all the time; each has half as many members as the one before.
pub(super) const EVENTS: usize = 8;

/// One join in so many is at an event that comes to pass and is forgotten.
const PASSING: usize = 16;

/// One join in so many at the other events is with a uuid.
const WITH_UUID: usize = 8;

/// One connection in so many is no join, but half a head.
const HALVES: usize = 20;

/// One member in so many is gone without a word: its connection is reset.
const RESETS: usize = 3;

/// How many may wait for their first count, and how many may come while a daemon is stopped, some of whom leave again:
/// its backlog takes 4,096, and whoever comes then would hold us up.
const WAITING_MAX: usize = 3000;

/// How long short and long visits are, and half a head's; the daemon waits 3 s for the other half.
const SHORT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
const LONG: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
const HALF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// How long the crowd tends to one size.
const TREND: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));

/// What has happened so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Happened {
    pub(super) joins: u64,
    pub(super) halves: u64,
    /// Members whose connection was closed.
    pub(super) leaves: u64,
    /// Members whose connection was reset.
    pub(super) resets: u64,
    /// Members whose uuid was claimed anew.
    pub(super) dismissed: u64,
    /// Members whose daemon has ended, and connections that came to nothing.
    pub(super) cut: u64,
}

/// The crowd.
pub(super) struct Churn {
    reactor: Reactor,
    signals: Registered<Signals>,
    ready: Vec<Ready>,
    scratch: Box<[u8]>,
    audience: SocketAddrV4,
    random: Random,
    /// How many are there at most.
    size: usize,
    visits: Slab<VisitId, Visit>,
    /// When each visit is over.
    ends: TimerWheel<VisitId>,
    /// How many are to be there, and until when.
    trend: (usize, Tick),
    /// When joins were made last; how many more may be made, in thousandths.
    credit: (Tick, usize),
    goes_on: bool,
    /// How many may still come, while a daemon is stopped.
    room: Option<usize>,
    waiting: usize,
    /// How many events have come to pass.
    passed: usize,
    /// By event and uuid: how often it was claimed, and its holder dismissed.
    claims: HashMap<(usize, usize), (u64, u64)>,
    lost: Option<String>,
    pub(super) heard: Heard,
    pub(super) happened: Happened,
}

key_type! {
    /// The key of a visit.
    VisitId
}

struct Visit {
    stream: Stream,
    /// Whether the connection is reset in the end.
    resets: bool,
}

enum Stream {
    Member { member: Member, uuid: Option<usize> },
    Half(Registered<TcpStream>),
}

impl Churn {
    /// Nobody yet.
    pub(super) fn new(size: usize, audience: SocketAddrV4, random: Random) -> Result<Self> {
        let reactor = Reactor::new()?;
        // A signal ends the run like any error, so that no daemon is left behind.
        let signals = Registered::new(&reactor, Signals::open()?, SIGNALS, Interest::Read)?;
        Ok(Self {
            reactor,
            signals,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            audience,
            random,
            size,
            visits: Slab::default(),
            ends: TimerWheel::default(),
            trend: (size, Tick(0)),
            credit: (Tick(0), 0),
            goes_on: false,
            room: None,
            waiting: 0,
            passed: 0,
            claims: HashMap::new(),
            lost: None,
            heard: Heard::default(),
            happened: Happened::default(),
        })
    }

    /// Hears what there is to hear, waiting for it at most so long, and lets members come and go.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<()> {
        let deadline = self.reactor.now().tick.after(wait);
        let mut ready = std::mem::take(&mut self.ready);
        let now = self.reactor.wait(Some(deadline), &mut ready)?;
        for &Ready { token, .. } in &ready {
            if token == SIGNALS {
                let signal = self.signals.source().next().unwrap_or_default();
                return Err(format!("ended by signal {signal}").into());
            }
            self.hear(VisitId::from_index(token.0).ok_or("no visit has this token")?)?;
        }
        self.ready = ready;
        if self.goes_on {
            self.ends.expire(now.tick);
            while let Some(key) = self.ends.pop_due() {
                self.leave(key);
            }
            self.come(now)?;
        }
        Ok(())
    }

    /// Members come and go from now on, as many as there are to be coming at once.
    pub(super) fn go_on(&mut self) {
        self.goes_on = true;
        self.credit = (self.reactor.now().tick, self.size * 1000);
    }

    /// Takes note of whether a daemon is stopped, so that not too many come to it.
    pub(super) fn note_stopped(&mut self, is_one_stopped: bool) {
        self.room = is_one_stopped.then(|| self.room.unwrap_or_else(|| WAITING_MAX.saturating_sub(self.waiting)));
    }

    /// Nobody comes or goes any more.
    pub(super) fn pause(&mut self) {
        self.goes_on = false;
    }

    /// Everybody leaves, in one way or the other.
    pub(super) fn leave_all(&mut self) {
        let keys: Vec<VisitId> = self.visits.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.leave(key);
        }
    }

    /// How many are there.
    pub(super) fn members(&self) -> usize {
        self.open().count()
    }

    /// How many are at each event, by its name.
    pub(super) fn truth(&self) -> HashMap<String, u64> {
        let mut numbers: HashMap<usize, u64> = HashMap::new();
        for (member, _) in self.open() {
            *numbers.entry(member.event).or_default() += 1;
        }
        numbers.into_iter().map(|(event, number)| (name(event), number)).collect()
    }

    /// What is not as it has to be in the end, by what the streams say, if something is not.
    pub(super) fn find_wrong(&self, truth: &HashMap<String, u64>) -> Option<String> {
        let mut held = HashSet::new();
        self.open().find_map(|(member, uuid)| {
            let name = name(member.event);
            if uuid.is_some_and(|uuid| !held.insert((member.event, uuid))) {
                return Some(format!("a uuid of {name} has two members"));
            }
            let truth = truth.get(&name).copied().unwrap_or(0);
            match member.page.told {
                Some(told) if told == truth => None,
                Some(told) => Some(format!("a member of {name} was told {told} last, and {truth} are there")),
                None => Some(format!("a member of {name} has not been told how many are there")),
            }
        })
    }

    /// What has ended that was not to, unless its daemon has, since this was asked last.
    pub(super) fn take_lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    fn open(&self) -> impl Iterator<Item = (&Member, Option<usize>)> {
        self.visits.iter().filter_map(|(_, visit)| match &visit.stream {
            Stream::Member { member, uuid } => Some((member, *uuid)),
            Stream::Half(_) => None,
        })
    }

    /// As many come as are due.
    fn come(&mut self, now: Now) -> Result<()> {
        if self.trend.1 <= now.tick {
            let target = self.size / 2 + self.random.below(self.size - self.size / 2 + 1);
            self.trend = (target, now.tick.after(self.random.between(TREND.0, TREND.1)));
        }
        // A quarter of the crowd each second at most, and a burst of a tenth of a second.
        let per_second = (self.size / 4).max(20);
        let (earned_at, credit) = self.credit;
        let ticks = usize::try_from(now.tick.0 - earned_at.0)?;
        let earned = (ticks * usize::try_from(TICK_MS)?).min(100) * per_second;
        self.credit = (now.tick, (credit + earned).min(credit.max(100 * per_second)));
        while self.credit.1 >= 1000 && self.visits.len() < self.trend.0 && self.waiting < WAITING_MAX {
            if let Some(room) = &mut self.room {
                let Some(left) = room.checked_sub(1) else { break };
                *room = left;
            }
            self.credit.1 -= 1000;
            self.begin_visit(now)?;
        }
        Ok(())
    }

    fn begin_visit(&mut self, now: Now) -> Result<()> {
        let last = u8::try_from(self.happened.joins / JOINS_PER_ADDRESS % 250).unwrap_or(0) + 1;
        let resets = self.random.one_in(RESETS);
        let is_half = self.random.one_in(HALVES);
        let is_short = self.random.one_in(2);
        let (shortest, longest) = if is_half {
            HALF
        } else if is_short {
            SHORT
        } else {
            LONG
        };
        let long = self.random.between(shortest, longest);
        let key = self.visits.next_key();
        let begun = sys::connect(Ipv4Addr::new(127, 1, 0, last), self.audience)
            .map_err(Into::into)
            .and_then(|stream| if is_half { self.send_half(stream, key) } else { self.join(stream, key) });
        match begun {
            Ok(stream) => {
                self.visits.insert(Visit { stream, resets });
                self.ends.set(key, now.tick.after(long));
            }
            Err(error) if is_cut(&*error) => {
                self.happened.cut += 1;
                self.lost.get_or_insert_with(|| format!("a connection comes to nothing ({error})"));
            }
            Err(error) => return Err(format!("cannot connect to {}: {error}", self.audience).into()),
        }
        Ok(())
    }

    fn join(&mut self, stream: TcpStream, key: VisitId) -> Result<Stream> {
        let (event, uuid) = self.choose();
        let path = uuid.map_or_else(|| name(event), |uuid| format!("{}/uuid{uuid}", name(event)));
        if let Some(uuid) = uuid {
            self.claims.entry((event, uuid)).or_default().0 += 1;
        }
        self.happened.joins += 1;
        let audience = SocketAddr::V4(self.audience);
        let member = Member::ask(&self.reactor, Token(key.index()), stream, audience, event, &path)?;
        self.waiting += 1;
        Ok(Stream::Member { member, uuid })
    }

    fn send_half(&mut self, mut stream: TcpStream, key: VisitId) -> Result<Stream> {
        self.happened.halves += 1;
        stream.write_all(b"GET /soak0 HTTP/1.1\r\nAccept: text/event-stream\r\nUser-Age")?;
        stream.set_nonblocking(true)?;
        Ok(Stream::Half(Registered::new(&self.reactor, stream, Token(key.index()), Interest::Read)?))
    }

    /// At which event the next one joins, and with which uuid.
    fn choose(&mut self) -> (usize, Option<usize>) {
        if self.random.one_in(PASSING) {
            // Some meet others there.
            self.passed += usize::from(self.random.one_in(2));
            return (EVENTS + self.passed, None);
        }
        let halvings = usize::try_from(self.random.draw().trailing_zeros()).unwrap_or(0);
        let uuid = if self.random.one_in(WITH_UUID) { Some(self.random.below(1 + self.size / 64)) } else { None };
        (halvings.min(EVENTS - 1), uuid)
    }

    fn hear(&mut self, key: VisitId) -> Result<()> {
        let Some(visit) = self.visits.get_mut(key) else { return Ok(()) };
        match &mut visit.stream {
            Stream::Half(socket) => {
                let read = socket.source().read(&mut self.scratch);
                if matches!(&read, Ok(1..)) || read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                    return Ok(());
                }
                // The daemon does not wait for the other half for ever.
                self.end(key);
            }
            Stream::Member { member, uuid } => {
                let was_told = member.page.told.is_some();
                let ended = member.read(&mut self.scratch, &mut self.heard)?;
                self.waiting -= usize::from(!was_told && member.page.told.is_some());
                let (event, uuid) = (member.event, *uuid);
                if member.page.is_dismissed {
                    self.end(key);
                    self.note_dismissal(event, uuid)?;
                } else if ended.is_some() {
                    self.end(key);
                    self.happened.cut += 1;
                    self.lost.get_or_insert_with(|| format!("a stream of {} has ended", name(event)));
                }
            }
        }
        Ok(())
    }

    /// Someone was told that its uuid was claimed anew, which it has to have been.
    fn note_dismissal(&mut self, event: usize, uuid: Option<usize>) -> Result<()> {
        self.happened.dismissed += 1;
        let claim = uuid.and_then(|uuid| self.claims.get_mut(&(event, uuid)));
        let (claimed, dismissed) =
            claim.ok_or_else(|| format!("a member of {} without a uuid was dismissed", name(event)))?;
        *dismissed += 1;
        if dismissed >= claimed {
            return Err(format!("{dismissed} of the {claimed} who had a uuid of {} were dismissed", name(event)).into());
        }
        Ok(())
    }

    /// A visit is over by the visitor's will.
    fn leave(&mut self, key: VisitId) {
        let Some(visit) = self.end(key) else { return };
        let stream = match &visit.stream {
            Stream::Member { member, .. } => member.stream(),
            Stream::Half(socket) => socket.source(),
        };
        if visit.resets {
            sys::reset_on_close(stream);
        }
        if matches!(visit.stream, Stream::Member { .. }) {
            self.happened.resets += u64::from(visit.resets);
            self.happened.leaves += u64::from(!visit.resets);
        }
    }

    fn end(&mut self, key: VisitId) -> Option<Visit> {
        self.ends.cancel(key);
        let visit = self.visits.remove(key)?;
        self.waiting -=
            usize::from(matches!(&visit.stream, Stream::Member { member, .. } if member.page.told.is_none()));
        Some(visit)
    }
}

/// What the event of this number is called.
pub(super) fn name(event: usize) -> String {
    format!("soak{event}")
}

/// Whether it is an error that the end of a daemon explains.
fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
