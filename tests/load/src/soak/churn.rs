//! Members who come and go by chance, and half heads among them.
//!
//! Owns the choice: when the next visit begins, for how long, and how it ends. It is the book of what is
//! true: a member is there if it has a stream open and was not dismissed. It does not know the daemons. A stream that ends
//! too early is kept in mind, and another file judges whether it may.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::claims::Uuids;
use super::events::{CROWDED, Choice, Events, name};
use super::pace::{Pace, span_of_storm};
use super::reports::{Disturbance, Reports};
use super::sources::Sources;
use super::visits::{Of, Read, Visit, Visitor, Visits};
use crate::crowd::SCRATCH_BYTES;
use crate::host::Host;
use crate::member::Member;
use crate::poll::Poll;
use crate::protocol::Received;
use crate::{Result, now};

/// One connection of this many is no join, but half a head.
const HALVES: usize = 20;

/// One member of this many is gone without a word: its connection is reset.
const RESETS: usize = 3;

/// One member with a uuid of this many says that it leaves, as a page does.
const FAREWELLS: usize = 2;

/// How long such a member waits for the end of its stream, before it leaves as others do.
const FAREWELL_MAX: Duration = Duration::from_mins(1);

/// How long such a page waits when all is quiet, before it says so again: a daemon that does not have the uuid asks the
/// others, and takes silence for no.
const FAREWELL_AGAIN: Duration = Duration::from_secs(1);

/// How many members may wait for their first count; and how many may come while a daemon is stopped, some of whom leave
/// again. The backlog of that daemon takes 4,096, and the next connect would block.
const WAITING_MAX: usize = 3000;

/// How long short and long visits are, and those of half a head; the daemon waits 3 s for the other half.
const SHORT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
const LONG: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
const HALF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// For each member, the events of a storm that there is no room for all at once. (The storm before all leave is smaller.)
const LONG_STORM: usize = 3;

/// How long a visit of a storm is.
const GUST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(300));

/// What has happened so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Happened {
    pub(super) joins: u64,
    pub(super) halves: u64,
    /// Members whose connection was closed.
    pub(super) leaves: u64,
    /// Members whose connection was reset.
    pub(super) resets: u64,
    /// Members whose uuid was claimed anew or given up.
    pub(super) dismissed: u64,
    /// Pages that said that they leave.
    pub(super) farewells: u64,
    /// Visits of storms, each of which is an event.
    pub(super) stormed: u64,
    /// Members whose daemon has ended, and connections that failed.
    pub(super) cut: u64,
}

/// The crowd.
pub(super) struct Churn {
    poll: Poll,
    ready: Vec<usize>,
    scratch: Box<[u8]>,
    pub(super) sources: Sources,
    chance: Chance,
    /// The largest number of visits.
    size: usize,
    visits: Visits,
    pub(super) pace: Pace,
    goes_on: bool,
    /// When farewells are said again.
    again_at: Instant,
    /// How many may still come, while a daemon is stopped.
    room: Option<usize>,
    events: Events,
    uuids: Uuids,
    pub(super) reports: Reports,
    lost: Option<String>,
    pub(super) received: Received,
    pub(super) happened: Happened,
}

impl Churn {
    /// An empty crowd.
    pub(super) fn new(
        poll: Poll,
        size: usize,
        audience: SocketAddrV4,
        hosts: Vec<Host>,
        reports: Reports,
        chance: Chance,
    ) -> Self {
        Self {
            poll,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            sources: Sources::new(hosts, audience),
            chance,
            size,
            visits: Visits::default(),
            pace: Pace::new(size, now()),
            goes_on: false,
            again_at: now(),
            room: None,
            events: Events::default(),
            uuids: Uuids::default(),
            reports,
            lost: None,
            received: Received::default(),
            happened: Happened::default(),
        }
    }

    /// A storm begins of more events than there is room for.
    pub(super) fn begin_long_storm(&mut self) {
        let visits = LONG_STORM * self.size;
        self.pace.begin_storm(visits);
        self.reports.disturb(Disturbance::Crowd, now() + span_of_storm(visits));
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
        if let Some(wrong) = self.uuids.receive_answers() {
            self.lost.get_or_insert(wrong);
        }
        let moment = now();
        if self.goes_on {
            while let Some(key) = self.visits.find_due(moment) {
                self.depart(key)?;
            }
            self.pace.earn(&mut self.chance, moment);
            self.begin_visits(moment)?;
        } else if moment >= self.again_at {
            self.repeat_farewells()?;
        }
        Ok(are_all)
    }

    /// Visits begin and end from now on; the first come at once, up to the size of the crowd.
    pub(super) fn go_on(&mut self) {
        self.goes_on = true;
        self.pace.go_on(now());
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

    /// Pages whose streams have not ended say once more that they leave.
    fn repeat_farewells(&mut self) -> Result<()> {
        self.again_at = now() + FAREWELL_AGAIN;
        let waiting = self.visits.members().filter(|(_, of)| of.said_farewell);
        let waiting: Vec<_> = waiting.filter_map(|(member, of)| Some((member.event, of.uuid?))).collect();
        waiting.into_iter().try_for_each(|(event, uuid)| self.say_farewell(event, uuid))
    }

    /// All visits end, each in its own way.
    pub(super) fn leave_all(&mut self) {
        let events: HashSet<usize> = self.visits.members().map(|(member, _)| member.event).collect();
        self.reports.send_away(events.into_iter());
        for key in self.visits.keys() {
            self.leave(key);
        }
    }

    /// How many members are there.
    pub(super) fn member_count(&self) -> usize {
        self.visits.members().count()
    }

    /// How many streams are open at the event whose members have one address.
    pub(super) fn crowded_count(&self) -> u64 {
        self.visits.members().filter(|(member, _)| member.event == CROWDED).count() as u64
    }

    /// How many members are at each event, by its name. Of the crowd at one address, this many count.
    pub(super) fn truth(&self, counted_of_crowd: u64) -> HashMap<String, u64> {
        let mut numbers: HashMap<usize, u64> = HashMap::new();
        for (member, _) in self.visits.members() {
            *numbers.entry(member.event).or_default() += 1;
        }
        if let Some(crowd) = numbers.get_mut(&CROWDED) {
            *crowd = counted_of_crowd;
        }
        numbers.into_iter().map(|(event, number)| (name(event), number)).collect()
    }

    /// A member whose last count or uuid is not as it must be in the end, if there is one.
    pub(super) fn find_wrong(&self, truth: &HashMap<String, u64>) -> Option<String> {
        let mut held = HashSet::new();
        if self.uuids.open_count() > 0 {
            return Some("a page that leaves has no answer".into());
        }
        self.visits.members().find_map(|(member, of)| {
            let name = name(member.event);
            if of.said_farewell {
                return Some(format!("a page of {name} has said that it leaves, and its stream is open"));
            }
            if of.uuid.is_some_and(|uuid| !held.insert((member.event, uuid))) {
                return Some(format!("a uuid of {name} has two members"));
            }
            let (truth, last) = (truth.get(&name).copied().unwrap_or(0), member.page.last_count);
            (last != Some(truth)).then(|| {
                let same = self.visits.members().filter(|(other, _)| other.event == member.event);
                let wrong = same.filter(|(other, _)| other.page.last_count == last).count();
                let last = last.map_or("no count".to_owned(), |last| last.to_string());
                let at = member.stream().local_addr();
                format!(
                    "{wrong} members of {name}, one of them at {at:?}, have received {last} last, and {truth} are there"
                )
            })
        })
    }

    /// A stream that has ended too early since this was asked last, unless its daemon has ended.
    pub(super) fn take_lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    /// Begins the visits that are due.
    fn begin_visits(&mut self, moment: Instant) -> Result<()> {
        while self.has_room() && self.pace.take(self.visits.count()) {
            self.begin_visit(moment)?;
        }
        while self.has_room() && self.pace.take_of_storm() {
            self.happened.stormed += 1;
            let choice = self.events.storm();
            let (resets, length) = (self.chance.one_in(RESETS), self.chance.between(GUST));
            let begun = self.connect(false).and_then(|stream| self.join(stream, choice));
            self.settle_in(begun, resets, moment + length)?;
        }
        Ok(())
    }

    /// Whether a visit may begin.
    fn has_room(&self) -> bool {
        self.visits.waiting_count() < WAITING_MAX && self.room != Some(0)
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
        let (reports, uuid_count) = (&self.reports, 1 + self.size / 64);
        let choice = self.events.choose(&mut self.chance, uuid_count, |event| reports.is_over(event, moment));
        let begun = if is_half {
            self.connect(false).and_then(|stream| self.send_half(stream))
        } else {
            self.connect(choice.event == CROWDED).and_then(|stream| self.join(stream, choice))
        };
        self.settle_in(begun, resets, moment + length)
    }

    fn connect(&mut self, is_crowd: bool) -> Result<TcpStream> {
        self.room = self.room.map(|room| room.saturating_sub(1));
        Ok(self.sources.connect(&mut self.chance, is_crowd)?)
    }

    fn settle_in(&mut self, begun: Result<Visitor>, resets: bool, end: Instant) -> Result<()> {
        match begun {
            Ok(visitor) => self.visits.begin(Visit { visitor, resets, end }),
            Err(error) if is_cut(&*error) => {
                self.happened.cut += 1;
                self.lost.get_or_insert_with(|| format!("a connection has failed ({error})"));
            }
            Err(error) => return Err(format!("cannot connect to {}: {error}", self.sources.audience).into()),
        }
        Ok(())
    }

    fn join(&mut self, stream: TcpStream, choice: Choice) -> Result<Visitor> {
        let Choice { event, uuid } = choice;
        let path = uuid.map_or_else(|| name(event), |uuid| format!("{}/uuid{uuid}", name(event)));
        if let Some(uuid) = uuid {
            self.uuids.claim(event, uuid);
        }
        self.happened.joins += 1;
        let audience = SocketAddr::V4(self.sources.audience);
        let member = Member::ask(&self.poll, self.visits.next_key(), stream, audience, event, &path)?;
        self.reports.begin(event, now());
        Ok(Visitor::Member { member, of: Of { uuid, said_farewell: false } })
    }

    fn send_half(&mut self, mut stream: TcpStream) -> Result<Visitor> {
        self.happened.halves += 1;
        stream.write_all(b"GET /soak0 HTTP/1.1\r\nAccept: text/event-stream\r\nUser-Age")?;
        stream.set_nonblocking(true)?;
        self.poll.add(&stream, self.visits.next_key())?;
        Ok(Visitor::Half(stream))
    }

    /// A visit has reached its end. Some pages say so, and are left when their stream ends.
    fn depart(&mut self, key: usize) -> Result<()> {
        if let Some((event, uuid)) = self.visits.find_uuid(key)
            && self.chance.one_in(FAREWELLS)
        {
            self.visits.wait_for_farewell(key, now() + FAREWELL_MAX);
            return self.say_farewell(event, uuid);
        }
        self.leave(key);
        Ok(())
    }

    fn say_farewell(&mut self, event: usize, uuid: usize) -> Result<()> {
        self.happened.farewells += 1;
        let said = self.connect(false).and_then(|stream| Ok(self.uuids.give_up(stream, event, uuid)?));
        match said {
            Err(error) if is_cut(&*error) => {
                self.lost.get_or_insert_with(|| format!("a page cannot say that it leaves ({error})"));
                Ok(())
            }
            said => said,
        }
    }

    fn receive(&mut self, key: usize) -> Result<()> {
        match self.visits.read(key, &mut self.scratch, &mut self.received)? {
            None | Some(Read::Open) => {}
            Some(Read::Dismissed) => {
                if let Some(Visit { visitor: Visitor::Member { member, of }, .. }) = self.visits.end(key) {
                    self.happened.dismissed += 1;
                    self.reports.end(member.event, is_counted(&member), now());
                    self.uuids.dismiss(member.event, of.uuid)?;
                }
            }
            Some(Read::Ended(how)) => {
                if let Some(Visit { visitor: Visitor::Member { member, .. }, .. }) = self.visits.end(key) {
                    self.happened.cut += 1;
                    self.reports.end(member.event, is_counted(&member), now());
                    self.lost.get_or_insert_with(|| {
                        let count =
                            member.page.last_count.map_or("without a count".into(), |count| format!("at {count}"));
                        format!("a stream of {} {count} has {how}", name(member.event))
                    });
                }
            }
        }
        Ok(())
    }

    /// A visit ends by its own will.
    fn leave(&mut self, key: usize) {
        let Some(visit) = self.visits.end(key) else { return };
        let resets = visit.resets;
        if let Some(member) = visit.close() {
            self.reports.end(member.event, is_counted(&member), now());
            self.happened.resets += u64::from(resets);
            self.happened.leaves += u64::from(!resets);
        }
    }
}

/// Whether a member was counted; one without a first count may have been.
fn is_counted(member: &Member) -> bool {
    member.page.last_count.is_some()
}

/// Whether the end of a daemon explains the error.
fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
