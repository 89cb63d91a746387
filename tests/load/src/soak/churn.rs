//! Members who come and go by chance, and half heads among them.
//!
//! Owns the choice: when the next visit begins, at which event, with which uuid, for how long, and how it ends. It is the
//! book of what is true: a member is there if it has a stream open and was not dismissed. It does not know the daemons. A
//! stream that ends too early is kept in mind, and another file judges whether it may.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use audience_kit::connect_from;

use super::chance::Chance;
use super::visits::{Read, Visit, Visitor, Visits};
use crate::crowd::{SCRATCH_BYTES, last_of_source};
use crate::member::Member;
use crate::poll::Poll;
use crate::protocol::Received;
use crate::{Result, now};

/// Events that are there all the time; each has half as many members as the one before.
pub(super) const EVENTS: usize = 8;

/// One join of this many is at an event that comes to pass and is forgotten.
const PASSING: usize = 16;

/// One join of this many at the other events is with a uuid.
const WITH_UUID: usize = 8;

/// One connection of this many is no join, but half a head.
const HALVES: usize = 20;

/// One member of this many is gone without a word: its connection is reset.
const RESETS: usize = 3;

/// How many members may wait for their first count; and how many may come while a daemon is stopped, some of whom leave
/// again. The backlog of that daemon takes 4,096, and the next connect would block.
const WAITING_MAX: usize = 3000;

/// How long short and long visits are, and those of half a head; the daemon waits 3 s for the other half.
const SHORT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
const LONG: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
const HALF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// How long the crowd tends to one size.
const TREND: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));

/// The longest time for which joins are earned: a burst of a tenth of a second.
const EARNED_MAX: Duration = Duration::from_millis(100);

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
    /// Members whose daemon has ended, and connections that failed.
    pub(super) cut: u64,
}

/// How often a uuid was claimed, and its holder dismissed.
#[derive(Clone, Copy, Default)]
struct Claims {
    claimed: u64,
    dismissed: u64,
}

/// The crowd.
pub(super) struct Churn {
    poll: Poll,
    ready: Vec<usize>,
    scratch: Box<[u8]>,
    audience: SocketAddrV4,
    chance: Chance,
    /// The largest number of visits.
    size: usize,
    visits: Visits,
    /// The number of visits that the crowd tends to.
    trend: usize,
    trend_until: Instant,
    /// Joins that may be made at once, as of `earned_at`.
    credit: f64,
    earned_at: Instant,
    goes_on: bool,
    /// How many may still come, while a daemon is stopped.
    room: Option<usize>,
    /// How many events have come to pass.
    passed: usize,
    /// By event and uuid.
    claims: HashMap<(usize, usize), Claims>,
    lost: Option<String>,
    pub(super) received: Received,
    pub(super) happened: Happened,
}

impl Churn {
    /// An empty crowd.
    pub(super) fn new(size: usize, audience: SocketAddrV4, chance: Chance) -> Result<Self> {
        let moment = now();
        Ok(Self {
            poll: Poll::new()?,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            audience,
            chance,
            size,
            visits: Visits::default(),
            trend: size,
            trend_until: moment,
            credit: 0.0,
            earned_at: moment,
            goes_on: false,
            room: None,
            passed: 0,
            claims: HashMap::new(),
            lost: None,
            received: Received::default(),
            happened: Happened::default(),
        })
    }

    /// Receives what has come, and waits for it at most `wait`; then has visits end and begin. Returns whether each stream
    /// that had something to read was read from.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<bool> {
        let mut ready = std::mem::take(&mut self.ready);
        let are_all = self.poll.wait(wait, &mut ready)?;
        for &key in &ready {
            self.receive(key)?;
        }
        self.ready = ready;
        if self.goes_on {
            let moment = now();
            while let Some(key) = self.visits.find_due(moment) {
                self.leave(key);
            }
            self.begin_visits(moment)?;
        }
        Ok(are_all)
    }

    /// Visits begin and end from now on; the first come at once, up to the size of the crowd.
    pub(super) fn go_on(&mut self) {
        self.goes_on = true;
        self.earned_at = now();
        self.credit = as_float(self.size);
    }

    /// Bounds the number of joins while a daemon is stopped.
    pub(super) fn set_stopped(&mut self, is_one_stopped: bool) {
        let room = || WAITING_MAX.saturating_sub(self.visits.waiting_count());
        self.room = is_one_stopped.then(|| self.room.unwrap_or_else(room));
    }

    /// No visit begins or ends any more.
    pub(super) fn pause(&mut self) {
        self.goes_on = false;
    }

    /// All visits end, each in its own way.
    pub(super) fn leave_all(&mut self) {
        for key in self.visits.keys() {
            self.leave(key);
        }
    }

    /// How many members are there.
    pub(super) fn member_count(&self) -> usize {
        self.visits.members().count()
    }

    /// How many members are at each event, by its name.
    pub(super) fn truth(&self) -> HashMap<String, u64> {
        let mut numbers: HashMap<usize, u64> = HashMap::new();
        for (member, _) in self.visits.members() {
            *numbers.entry(member.event).or_default() += 1;
        }
        numbers.into_iter().map(|(event, number)| (name(event), number)).collect()
    }

    /// A member whose last count or uuid is not as it must be in the end, if there is one.
    pub(super) fn find_wrong(&self, truth: &HashMap<String, u64>) -> Option<String> {
        let mut held = HashSet::new();
        self.visits.members().find_map(|(member, uuid)| {
            let name = name(member.event);
            if uuid.is_some_and(|uuid| !held.insert((member.event, uuid))) {
                return Some(format!("a uuid of {name} has two members"));
            }
            let truth = truth.get(&name).copied().unwrap_or(0);
            match member.page.last_count {
                Some(count) if count == truth => None,
                Some(count) => Some(format!("a member of {name} has received {count} last, and {truth} are there")),
                None => Some(format!("a member of {name} has received no count")),
            }
        })
    }

    /// A stream that has ended too early since this was asked last, unless its daemon has ended.
    pub(super) fn take_lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    /// Begins the visits that are due: a quarter of the crowd each second at most.
    fn begin_visits(&mut self, moment: Instant) -> Result<()> {
        if self.trend_until <= moment {
            self.trend = self.size / 2 + self.chance.below(self.size - self.size / 2 + 1);
            self.trend_until = moment + self.chance.between(TREND);
        }
        let per_second = as_float((self.size / 4).max(20));
        let burst = EARNED_MAX.as_secs_f64() * per_second;
        let earned = (moment - self.earned_at).min(EARNED_MAX).as_secs_f64() * per_second;
        self.earned_at = moment;
        self.credit = (self.credit + earned).min(self.credit.max(burst));
        while self.credit >= 1.0
            && self.visits.count() < self.trend
            && self.visits.waiting_count() < WAITING_MAX
            && self.room != Some(0)
        {
            self.room = self.room.map(|room| room - 1);
            self.credit -= 1.0;
            self.begin_visit(moment)?;
        }
        Ok(())
    }

    fn begin_visit(&mut self, moment: Instant) -> Result<()> {
        let resets = self.chance.one_in(RESETS);
        let is_half = self.chance.one_in(HALVES);
        let is_short = self.chance.one_in(2);
        let length = self.chance.between(match (is_half, is_short) {
            (true, _) => HALF,
            (false, true) => SHORT,
            (false, false) => LONG,
        });
        let source = Ipv4Addr::new(127, 1, 0, last_of_source(self.happened.joins));
        let begun = connect_from(source, self.audience)
            .map_err(Into::into)
            .and_then(|stream| if is_half { self.send_half(stream) } else { self.join(stream) });
        match begun {
            Ok(visitor) => self.visits.begin(Visit { visitor, resets, end: moment + length }),
            Err(error) if is_cut(&*error) => {
                self.happened.cut += 1;
                self.lost.get_or_insert_with(|| format!("a connection has failed ({error})"));
            }
            Err(error) => return Err(format!("cannot connect to {}: {error}", self.audience).into()),
        }
        Ok(())
    }

    fn join(&mut self, stream: TcpStream) -> Result<Visitor> {
        let (event, uuid) = self.choose();
        let path = uuid.map_or_else(|| name(event), |uuid| format!("{}/uuid{uuid}", name(event)));
        if let Some(uuid) = uuid {
            self.claims.entry((event, uuid)).or_default().claimed += 1;
        }
        self.happened.joins += 1;
        let audience = SocketAddr::V4(self.audience);
        let member = Member::ask(&self.poll, self.visits.next_key(), stream, audience, event, &path)?;
        Ok(Visitor::Member { member, uuid })
    }

    fn send_half(&mut self, mut stream: TcpStream) -> Result<Visitor> {
        self.happened.halves += 1;
        stream.write_all(b"GET /soak0 HTTP/1.1\r\nAccept: text/event-stream\r\nUser-Age")?;
        stream.set_nonblocking(true)?;
        self.poll.add(&stream, self.visits.next_key())?;
        Ok(Visitor::Half(stream))
    }

    /// The event of the next join, and its uuid.
    fn choose(&mut self) -> (usize, Option<usize>) {
        if self.chance.one_in(PASSING) {
            // Some meet others there.
            self.passed += usize::from(self.chance.one_in(2));
            return (EVENTS + self.passed, None);
        }
        let event = self.chance.heads().min(EVENTS - 1);
        let uuid = if self.chance.one_in(WITH_UUID) { Some(self.chance.below(1 + self.size / 64)) } else { None };
        (event, uuid)
    }

    fn receive(&mut self, key: usize) -> Result<()> {
        match self.visits.read(key, &mut self.scratch, &mut self.received)? {
            None | Some(Read::Open) => {}
            Some(Read::Dismissed) => {
                if let Some(Visit { visitor: Visitor::Member { member, uuid }, .. }) = self.visits.end(key) {
                    self.count_dismissal(member.event, uuid)?;
                }
            }
            Some(Read::Ended(how)) => {
                if let Some(Visit { visitor: Visitor::Member { member, .. }, .. }) = self.visits.end(key) {
                    self.happened.cut += 1;
                    self.lost.get_or_insert_with(|| format!("a stream of {} has {how}", name(member.event)));
                }
            }
        }
        Ok(())
    }

    /// A member was dismissed, so its uuid must have been claimed anew.
    fn count_dismissal(&mut self, event: usize, uuid: Option<usize>) -> Result<()> {
        self.happened.dismissed += 1;
        let claims = uuid.and_then(|uuid| self.claims.get_mut(&(event, uuid)));
        let claims = claims.ok_or_else(|| format!("a member of {} without a uuid was dismissed", name(event)))?;
        claims.dismissed += 1;
        let Claims { claimed, dismissed } = *claims;
        if dismissed >= claimed {
            return Err(
                format!("{dismissed} of {claimed} members with a uuid of {} were dismissed", name(event)).into()
            );
        }
        Ok(())
    }

    /// A visit ends by its own will.
    fn leave(&mut self, key: usize) {
        let Some(visit) = self.visits.end(key) else { return };
        let resets = visit.resets;
        if visit.close() {
            self.happened.resets += u64::from(resets);
            self.happened.leaves += u64::from(!resets);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a crowd is far below 2^53")]
fn as_float(number: usize) -> f64 {
    number as f64
}

/// The name of an event.
pub(super) fn name(event: usize) -> String {
    format!("soak{event}")
}

/// Whether the end of a daemon explains the error.
fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
