//! One process: a meter, and the book that says what is true of it.
//!
//! Owns each step of a node: what it does, and what must be true of what the meter wants done after it. It knows of other nodes
//! only their datagrams.
//!
//! Invariant: whatever happens to the meter happens to the book too.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, Tick};
use audience_meter::meter::news::{Counter, Datagram, Formats, Item, News, NodeId, Origin, Secret};
use audience_meter::meter::{Leaving, MemberId, Membership, Meter, Namespace, Output, Rejection};

use super::bus::Flight;
use super::clock::{Clock, Offset};
use super::done::{Done, Passed};
use super::observer::{Book, Ledger};
use super::people::Individual;
use super::setting::Setting;
use super::versions::{FIGURES, LATER};

/// How many members a node has at most, and how many walks go along them.
const MEMBERS_MAX: usize = 256;
const WALKS_MAX: usize = 4;
/// How many people without a uuid come to the nodes.
const CLIENTS: u32 = 4;
/// After how many ticks silence has been the answer to a question about a uuid.
const HELD_TICKS: u64 = 21;
/// How many turns in a row may leave something to do where a turn takes few namespaces off the counts: some nodes depart at
/// once, some departed ones are folded, and each has been in a few namespaces.
const BUSY_TURNS_MAX: usize = 150;
/// The same of one that removes all at once: questions about uuids are sent 16 in a turn, and a hundred of them may be due together.
const QUESTION_TURNS_MAX: usize = 8;
/// In worlds of chance a node has no room for one of this number of message parts.
const FULL_AT: u64 = 7;

/// How many datagrams a turn receives; what is left keeps others from being taken for silent.
const DATAGRAMS_PER_TURN: usize = 50;

/// A datagram that has arrived, and when.
pub(super) type Arrival = (u64, Flight);

/// One process.
pub struct Node {
    /// Its meter.
    pub meter: Meter,
    pub(super) book: Book,
    pub(super) ledger: Ledger,
    /// Where datagrams reach it; a process that takes its place has it too.
    pub(super) address: u64,
    /// The versions of datagrams that it writes and reads.
    pub(super) formats: Formats,
    /// Which side of a cut it is on.
    pub(super) side: bool,
    pub(super) is_paused: bool,
    /// For which message parts it has no room: those whose number, and its address, add up to a multiple of this.
    full_at: Option<u64>,
    /// Whether its members lag behind.
    pub(super) is_behind: bool,
    pub(super) offset: Offset,
    /// Datagrams that wait in its receive buffer, and since when.
    pub(super) buffer: VecDeque<Arrival>,
    /// The bytes that came from nodes that were not there, and those that they had this node send.
    pub(super) drawn_out: (u64, u64),
    busy_turns: usize,
    busy_turns_max: usize,
    /// The questions about uuids that wait for an answer, and since when.
    asked: BTreeMap<u64, Tick>,
    /// What its meter wanted done so far, if the setting keeps it.
    kept: Option<VecDeque<Output>>,
}

impl Node {
    pub(super) fn new(setting: &Setting, id: NodeId, address: u64, offset: Offset, formats: Formats) -> Self {
        let mut meter = Meter::new(
            setting.rules,
            id,
            setting.cluster.map(|rules| Membership { rules, secret: Secret([id.0, id.0]), formats }),
        );
        meter.keep_histories(setting.names.len());
        let secret = Secret([id.0, id.0 + 1]);
        meter.people(Now::default()).keep(setting.names.len(), secret);
        let is_quick = setting.cluster.is_none_or(|cluster| cluster.removals_per_turn > setting.names.len());
        Self {
            meter,
            book: Book::new(setting.rules, setting.cluster.is_none(), &setting.names),
            ledger: Ledger::default(),
            address,
            formats,
            side: false,
            is_paused: false,
            full_at: (setting.chance != 0).then_some(FULL_AT),
            is_behind: false,
            offset,
            buffer: VecDeque::new(),
            drawn_out: (0, 0),
            busy_turns: 0,
            busy_turns_max: if is_quick { QUESTION_TURNS_MAX } else { BUSY_TURNS_MAX },
            asked: BTreeMap::new(),
            kept: setting.keeps_outputs.then(VecDeque::new),
        }
    }

    /// Its time.
    pub(super) fn now(&self, clock: Clock) -> Now {
        clock.now(self.offset)
    }

    /// When it asks to be woken next, by the world's clock.
    pub(super) fn due(&self) -> Option<u64> {
        self.meter.poll_timeout().map(|Tick(due)| due.saturating_sub(self.offset.ticks))
    }

    /// The oldest of the outputs that were kept, which is taken out of them.
    pub fn next_output(&mut self) -> Option<Output> {
        self.kept.as_mut()?.pop_front()
    }

    /// The member that joined last, of those that are there.
    pub fn newest_member(&self) -> Option<MemberId> {
        self.book.all().max_by_key(|(_, present)| present.serial).map(|(_, present)| present.member)
    }

    /// A member joins a namespace of the setting, and counts or is left out.
    pub fn join(&mut self, name: &'static str, uuid: Option<&'static str>, is_counted: bool, now: Now) -> Done {
        let Some(member) = self.book.free_member(MEMBERS_MAX) else { return Done::default() };
        // Some people have no uuid, and come to several nodes.
        let client = u32::try_from(member.index()).unwrap() % CLIENTS;
        let individual = uuid.map_or(Individual::Client(client), Individual::Uuid);
        self.join_as(individual, name, is_counted, now)
    }

    /// A member of this person joins a namespace of the setting, and counts or is left out.
    pub fn join_as(&mut self, individual: Individual, name: &'static str, is_counted: bool, now: Now) -> Done {
        let Some(member) = self.book.free_member(MEMBERS_MAX) else { return Done::default() };
        let uuid = individual.uuid();
        if !self.meter.capacity(now).make_for(name) {
            return self.quiet_outputs(now);
        }
        let earlier = uuid.and_then(|uuid| self.book.holder(name, uuid)).map(|present| present.member);
        self.book.enter(member, name, individual);
        let total = if is_counted {
            self.book.count(member, now.tick);
            self.meter.join(member, name, uuid, now)
        } else {
            self.meter.join_uncounted(member, name, uuid, now)
        };
        self.meter.people(now).recognize(member, individual.person());
        let mut done = self.outputs(now);
        assert_eq!(done.farewells, Vec::from_iter(earlier), "a uuid is claimed anew");
        done.farewells.iter().for_each(|&member| self.book.leave(member, now.tick));
        assert_eq!(total, self.total_of(name).filter(|&total| total > 0), "the first count is the total");
        self.book.push_first(name, total, done.claim_order, now.tick);
        done.has_changed = true;
        done
    }

    /// One of the members that are left out is counted after all.
    pub fn count(&mut self, member: MemberId, now: Now) -> Done {
        self.meter.count(member, now);
        self.book.count(member, now.tick);
        self.quiet_outputs(now)
    }

    /// A member leaves.
    pub fn leave(&mut self, member: MemberId, now: Now) -> Done {
        self.meter.leave(member, now);
        self.book.leave(member, now.tick);
        self.quiet_outputs(now)
    }

    /// A member leaves that is not there.
    pub(super) fn leave_twice(&mut self, now: Now) -> Done {
        let Some(member) = self.book.free_member(MEMBERS_MAX + 1) else { return Done::default() };
        self.leave(member, now)
    }

    /// All members leave.
    pub fn leave_all(&mut self, now: Now) -> Done {
        let members: Vec<MemberId> = self.book.all().map(|(_, present)| present.member).collect();
        for member in members {
            self.meter.leave(member, now);
            self.book.leave(member, now.tick);
        }
        self.quiet_outputs(now)
    }

    /// A page says that it leaves.
    pub fn end_claim(&mut self, name: &str, uuid: &str, now: Now) -> Done {
        let holder = self.book.holder(name, uuid).map(|present| present.member);
        self.meter.uuids(now).leave(name, uuid, Leaving::default());
        let mut done = self.outputs(now);
        assert_eq!(done.farewells, Vec::from_iter(holder), "a uuid is given up");
        done.farewells.iter().for_each(|&member| self.book.leave(member, now.tick));
        done.has_changed = true;
        done
    }

    /// A page asks whether it may come back.
    pub(super) fn ask_held(&mut self, name: &str, uuid: &str, now: Now) -> Done {
        let number = self.meter.mail(now).ask_held(name, uuid);
        self.asked.extend(number.map(|number| (number, now.tick)));
        self.quiet_outputs(now)
    }

    /// Announces a message to the others.
    pub fn say(&mut self, name: &str, text: &str, now: Now) -> Done {
        let others = self.meter.nodes(now).count();
        let number = self.meter.mail(now).announce(name, text);
        let done = self.quiet_outputs(now);
        let is_awaited = others > 0 && !done.parts.is_empty();
        assert_eq!(number, done.parts.last().copied().filter(|_| is_awaited), "the others have to confirm it");
        done
    }

    /// Whether a message may be announced, as far as the node knows.
    pub(super) fn has_room(&mut self, now: Now) -> bool {
        self.meter.mail(now).has_room()
    }

    /// Announces figures of this node.
    pub fn announce_counters(&mut self, counters: &[Counter], now: Now) -> Done {
        self.meter.announce_counters(counters, now);
        self.quiet_outputs(now)
    }

    /// The process is about to end.
    pub fn say_goodbye(&mut self, now: Now) -> Done {
        self.meter.departure(now).announce();
        self.quiet_outputs(now)
    }

    pub(super) fn begin_walk(&mut self, name: &'static str, skip_newest: bool) {
        if let Some(id) = self.meter.find(name).filter(|_| self.book.walk_count() < WALKS_MAX) {
            let walk = self.meter.begin_walk(id, skip_newest);
            self.book.begin_walk(walk, name, skip_newest);
        }
    }

    pub(super) fn step_walk(&mut self, pick: usize) {
        if let Some(walk) = self.book.walk(pick) {
            assert_eq!(self.meter.step_walk(walk), self.book.step_walk(walk), "whom the walk visits");
        }
    }

    pub(super) fn restart_walk(&mut self, pick: usize) {
        if let Some(walk) = self.book.walk(pick) {
            self.meter.restart_walk(walk);
            self.book.restart_walk(walk);
        }
    }

    /// The node takes a datagram in. Only a later claim of the same uuid may end a claim; if it is announced by itself by a
    /// node that is there, it must.
    pub(super) fn receive(
        &mut self,
        datagram: &Datagram<&str>,
        origin: Origin,
        now: Now,
    ) -> (Result<(), Rejection>, Done) {
        let is_alone = matches!(datagram.news, News::Claimed(_) | News::GivenUp { .. });
        let is_there = self.meter.nodes(now).any(|other| other.node == datagram.sender);
        let beaten = self.book.beaten_by(datagram, self.meter.node());
        let received = self.meter.receive(datagram, origin, now);
        let mut done = self.outputs(now);
        if is_there && is_alone && received.is_ok() {
            assert_eq!(done.farewells, beaten, "a claim ends an earlier one");
        }
        assert!(received.is_ok() || done.farewells.is_empty(), "what is rejected has no effect");
        assert!(is_there || done.farewells.is_empty(), "a node that is not there ends no claim");
        assert!(done.counts.is_empty(), "counts are pushed when it is time");
        for &member in &done.farewells {
            assert!(beaten.contains(&member), "the claim of {member} was the later one");
            self.book.leave(member, now.tick);
        }
        done.has_changed = !done.farewells.is_empty();
        (received, done)
    }

    /// The datagrams of one turn, and whether there are no more.
    pub(super) fn take_batch(&mut self) -> (Vec<Arrival>, bool) {
        let count = self.buffer.len().min(DATAGRAMS_PER_TURN);
        (self.buffer.drain(..count).collect(), self.buffer.is_empty())
    }

    /// The node is woken. After it nothing is left for this tick, or in slices for the next turns.
    pub(super) fn wake(&mut self, now: Now, has_heard_all: bool) -> Done {
        // One report has room in each turn.
        self.meter.set_ending_room(1, Tick(0));
        self.meter.handle_timeout(now, has_heard_all);
        if self.formats == LATER && self.meter.are_counters_due(now) {
            self.meter.announce_counters(&FIGURES, now);
        }
        self.book.count_in(now.tick);
        let next = self.meter.poll_timeout();
        let is_busy = next.is_some_and(|next| next <= now.tick);
        self.busy_turns = if is_busy { self.busy_turns + 1 } else { 0 };
        assert!(self.busy_turns <= self.busy_turns_max, "the shell would spin: {next:?} is not after {:?}", now.tick);
        let done = self.outputs(now);
        assert!(done.farewells.is_empty(), "time ends no claim");
        assert!(self.asked.values().all(|since| since.0 + HELD_TICKS > now.tick.0), "silence is an answer");
        for &(name, total, skip_newest) in &done.counts {
            self.book.push(name, total, skip_newest, now.tick);
        }
        self.check(now);
        self.check_nothing_is_due(now, has_heard_all);
        done
    }

    /// The books agree.
    pub(super) fn check(&mut self, now: Now) {
        self.book.check(&mut self.meter, now);
    }

    /// Nothing is left undone that was due. What waits to be received may still change a report.
    pub(super) fn check_nothing_is_due(&mut self, now: Now, has_received_all: bool) {
        if self.busy_turns == 0 && has_received_all {
            self.book.check_nothing_is_due(now.tick);
        }
    }

    pub(super) fn total_of(&self, name: &str) -> Option<u64> {
        self.meter.namespaces().get(self.meter.find(name)?).map(Namespace::total)
    }

    /// What the node did in a step that ends no stream and pushes nothing.
    fn quiet_outputs(&mut self, now: Now) -> Done {
        let mut done = self.outputs(now);
        assert!(done.farewells.is_empty() && done.counts.is_empty(), "nothing was due to be pushed");
        done.has_changed = true;
        done
    }

    fn outputs(&mut self, now: Now) -> Done {
        let mut done = Done::default();
        while let Some(output) = self.meter.poll_output() {
            if let Some(kept) = &mut self.kept {
                kept.push_back(output.clone());
            }
            match output {
                Output::Farewell(member) | Output::Left(member) => done.farewells.push(member),
                Output::Held { number, .. } => assert!(self.asked.remove(&number).is_some(), "it was answered"),
                Output::Message { id, namespace, text } => {
                    // Now and then there is no room, and the members lag behind until the next one.
                    let is_pushed =
                        self.full_at.is_none_or(|full_at| !(id.number + self.address).is_multiple_of(full_at));
                    self.is_behind = !is_pushed;
                    self.meter.mail(now).set_behind(self.is_behind);
                    self.meter.mail(now).confirm(id, &namespace, is_pushed);
                    done.messages.push(Passed { namespace, text, is_pushed });
                }
                Output::Settled { number, unconfirmed } => done.settled.push((number, unconfirmed)),
                Output::Ended(ending) => {
                    self.book.end(&ending, now.tick);
                    done.endings.push(*ending);
                }
                Output::Count { namespace, total, skip_newest } => {
                    let of =
                        self.meter.namespaces().get(namespace).filter(|of| of.total() == total).map(Namespace::name);
                    let name = of.and_then(|name| self.book.name(name));
                    done.counts.push((name.expect("a count is a namespace's total"), total, skip_newest));
                }
                Output::Folded | Output::FoldFull | Output::Unmade(_) => {}
                Output::Send(to, datagram) => {
                    self.check_datagram(&datagram, &mut done, now);
                    done.datagrams.push((to, datagram));
                }
            }
        }
        done
    }

    /// What a node announces is true of its members.
    fn check_datagram(&mut self, datagram: &Datagram<Rc<str>>, done: &mut Done, now: Now) {
        match &datagram.news {
            News::Claimed(claim) => done.claim_order = claim.order,
            News::Message(part) => done.parts.push(part.number),
            News::Report { items, name, .. } => {
                for item in items {
                    if let Item::Count(count) = item {
                        self.book.announce(count, *name > 0, now.tick);
                    }
                }
            }
            _ => {}
        }
    }
}
