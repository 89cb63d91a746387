//! The audience, as requests act upon it: members, claims and watchers, and what is pushed to them.
//!
//! | file | owns |
//! |---|---|
//! | `addresses` | how many members of one address are counted |
//! | `asking` | how often an address may have the other nodes asked |
//! | `fan_out` | what is on its way to members, in slices |
//! | `jitter` | chance, to keep crowds apart |
//! | `makers` | how many namespaces each address has made |
//! | `persons` | which person a client is |
//! | `shares` | how much each address has of what there is for watchers |
//!
//! This file joins them to the meter and the watches. It knows neither requests nor bytes of a reply: names, keys and frames
//! go in, and numbers come out. Whether there is a slot for one more connection, its caller says.
//!
//! Invariant: a call that returns an error has no effect on the audience, but to be counted.

mod addresses;
mod asking;
pub(in crate::server) mod fan_out;
mod jitter;
mod makers;
mod persons;
mod shares;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::meter::news::{NodeId, Secret};
use crate::meter::watches::{Piece, WatcherId, Watches};
use crate::meter::{Leaving, MakerId, MemberId, Membership, Meter, NamespaceId, Output};
use crate::server::figures::tally::{NoRoom, PushKind, Tally};
use crate::server::figures::view::{Process, View};
use crate::wire::report::FORMATS;
use crate::wire::sse::{self, Frame};
use addresses::Addresses;
use asking::AskLimit;
use fan_out::{Busy, FanOut};
use jitter::Jitter;
use makers::Makers;
pub(in crate::server) use shares::Watching;
use shares::{Free, Held, Shares};

/// When a browser that found no room comes back, in milliseconds: much later than others, and not with others.
const NO_ROOM_RETRY_MS: RangeInclusive<u64> = 30_000..=60_000;

/// When a browser whose page is prepared in advance comes back, in milliseconds: soon after that page is shown.
const VISIT_RETRY_MS: RangeInclusive<u64> = 500..=1_000;

/// All members and watchers of this process, and what is on its way to them.
pub(in crate::server) struct Audience {
    pub(in crate::server) meter: Meter,
    fan_out: FanOut,
    watches: Watches,
    shares: Shares,
    /// The members of each address, if there is a limit on them.
    addresses: Option<Addresses>,
    /// The addresses that have made the namespaces, if there is a limit on those.
    makers: Option<Makers>,
    ask_limit: AskLimit,
    jitter: Jitter,
    retry_ms: RangeInclusive<u64>,
    max_conn_duration: Option<Duration>,
    /// What this process has done for its members.
    pub(in crate::server) tally: Tally,
}

/// A member that is about to join.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Joining<'a> {
    pub(in crate::server) member: MemberId,
    pub(in crate::server) namespace: &'a str,
    pub(in crate::server) uuid: Option<&'a str>,
    /// The address of its client, if that matters.
    pub(in crate::server) address: Option<IpAddr>,
    /// The program that it names itself as.
    pub(in crate::server) user_agent: &'a [u8],
    /// Whether there is a slot for its connection.
    pub(in crate::server) has_slot: bool,
    /// Whether its page is only prepared in advance, and never counts. Then it has no uuid.
    pub(in crate::server) is_visit: bool,
}

/// A message that is on its way.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Sent {
    /// The members of its namespace, at all nodes; `None` while no such namespace is known here.
    pub(in crate::server) members: Option<u64>,
    /// The number under which the meter settles it, if other nodes have to confirm it.
    pub(in crate::server) number: Option<u64>,
}

/// Which stream has a uuid.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Holder {
    /// One of this process.
    Here,
    /// None, as far as is known.
    Nowhere,
    /// The other nodes are asked, under this number.
    Asked(u64),
}

/// The other nodes were asked too often for an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct AskedTooOften;

impl Audience {
    /// An empty audience, at this node.
    pub(in crate::server) fn new(config: &Config, node: NodeId, [secret, census_secret]: [Secret; 2]) -> Self {
        let membership = Membership { rules: config.cluster.rules, secret, formats: FORMATS };
        let mut meter = Meter::new(config.rules, node, Some(membership));
        meter.keep_histories(config.accounts.history_namespaces);
        meter.people(Now::default()).keep(config.accounts.distinct_namespaces, census_secret);
        Self {
            meter,
            fan_out: FanOut::default(),
            watches: Watches::new(config.watching.thresholds.clone(), config.rules.notify.max_delay),
            shares: Shares::default(),
            addresses: config.limits.per_address.map(Addresses::new),
            makers: config.limits.namespaces_per_address.map(Makers::new),
            ask_limit: AskLimit::default(),
            jitter: Jitter::default(),
            retry_ms: config.retry_ms.clone(),
            max_conn_duration: config.max_conn_duration,
            tally: Tally::default(),
        }
    }

    /// What figures may read: the audience, and the process around it.
    pub(in crate::server) fn view<'a>(&'a self, process: &Process<'a>, now: Now) -> View<'a> {
        process.view(&self.meter, &self.tally, self.watches.len(), now)
    }

    /// Lets a member in. Returns its first count; `None` while no member is counted.
    ///
    /// # Errors
    /// When there is no slot, or the namespace would be one too many of all or of its address. The newest is turned away.
    pub(in crate::server) fn join(&mut self, joining: Joining<'_>, now: Now) -> Result<Option<u64>, NoRoom> {
        let Joining { member, namespace, uuid, address, has_slot, is_visit, .. } = joining;
        if !has_slot {
            return Err(self.refuse(NoRoom::Members));
        }
        let made_by = address.filter(|_| self.makers.is_some() && self.meter.find(namespace).is_none());
        let may_make = |address| self.makers.as_ref().is_none_or(|makers| makers.may_make(address));
        if !made_by.is_none_or(may_make) {
            return Err(self.refuse(NoRoom::AddressNamespaces));
        }
        if !self.meter.capacity(now).make_for(namespace) {
            return Err(self.refuse(NoRoom::Namespaces));
        }
        if let Some(uuid) = uuid {
            self.release_claimant(namespace, uuid, now);
        }
        let is_counted = match (&mut self.addresses, address) {
            (Some(addresses), Some(address)) if !is_visit => addresses.enter(member, address),
            _ => true,
        };
        self.tally.record_join();
        let first_count = if is_visit {
            self.meter.visit(member, namespace, now)
        } else if is_counted {
            self.meter.join(member, namespace, uuid, now)
        } else {
            self.meter.join_uncounted(member, namespace, uuid, now)
        };
        persons::recognize(member, is_visit, (uuid, address, joining.user_agent), &mut self.meter, now);
        if let (Some(makers), Some(address)) = (&mut self.makers, made_by) {
            self.meter.capacity(now).set_maker(namespace, makers.make(address));
        }
        Ok(first_count)
    }

    fn refuse(&mut self, reason: NoRoom) -> NoRoom {
        self.tally.record_refusal(reason);
        reason
    }

    /// The page that joined with this uuid leaves.
    ///
    /// # Errors
    /// When the uuid is not held here, and this address has had the other nodes asked too often.
    pub(in crate::server) fn end_claim(
        &mut self,
        (namespace, uuid): (&str, &str),
        leaving: Leaving,
        address: Option<IpAddr>,
        now: Now,
    ) -> Result<(), AskedTooOften> {
        let claimant = self.meter.claimant(namespace, uuid);
        if claimant.is_none() {
            self.limit_asking(address, now)?;
        }
        self.meter.uuids(now).leave(namespace, uuid, leaving);
        if let Some(gone) = claimant.filter(|_| self.meter.claimant(namespace, uuid).is_none()) {
            self.release(gone, now);
        }
        Ok(())
    }

    /// Finds the stream that has a uuid now.
    ///
    /// # Errors
    /// When it is not here, and this address has had the other nodes asked too often.
    pub(in crate::server) fn find_holder(
        &mut self,
        namespace: &str,
        uuid: &str,
        address: Option<IpAddr>,
        now: Now,
    ) -> Result<Holder, AskedTooOften> {
        if self.meter.claimant(namespace, uuid).is_some() {
            return Ok(Holder::Here);
        }
        self.limit_asking(address, now)?;
        Ok(self.meter.mail(now).ask_held(namespace, uuid).map_or(Holder::Nowhere, Holder::Asked))
    }

    /// Takes note that the other nodes, if there are any, are asked for an address.
    fn limit_asking(&mut self, address: Option<IpAddr>, now: Now) -> Result<(), AskedTooOften> {
        let has_others = self.meter.nodes(now).next().is_some();
        let is_too_often = address.is_some_and(|address| has_others && !self.ask_limit.admits(address, now.tick));
        if is_too_often { Err(AskedTooOften) } else { Ok(()) }
    }

    /// A connection is gone. If it was no member's, nothing happens.
    pub(in crate::server) fn leave(&mut self, member: MemberId, now: Now) {
        self.meter.leave(member, now);
        self.release(member, now);
    }

    /// A member counts no more, so another of its address may.
    pub(in crate::server) fn release(&mut self, id: MemberId, now: Now) {
        if let Some(next) = self.addresses.as_mut().and_then(|addresses| addresses.leave(id)) {
            self.meter.count(next, now);
        }
    }

    /// The member with this uuid is about to count no more. Its place is free at once: if it were free only after the
    /// farewell, the counts until then would be one short.
    fn release_claimant(&mut self, namespace: &str, uuid: &str, now: Now) {
        if let Some(claimant) = self.meter.claimant(namespace, uuid) {
            self.release(claimant, now);
        }
    }

    /// Whether no address has a member.
    pub(in crate::server) fn has_no_addresses(&self) -> bool {
        self.addresses.as_ref().is_none_or(Addresses::is_empty)
    }

    /// Pushes a message to the members here, and announces it to the other nodes.
    ///
    /// # Errors
    /// When the members here or at another node lag too far behind; then the message goes nowhere.
    pub(in crate::server) fn message(&mut self, namespace: &str, text: &str, now: Now) -> Result<Sent, Busy> {
        let id = self.meter.find(namespace);
        if id.is_some_and(|id| self.fan_out.is_behind_in(id)) || !self.meter.mail(now).has_room() {
            return Err(Busy);
        }
        let members = self.meter.mail(now).member_count(namespace);
        self.push_message(namespace, text)?;
        Ok(Sent { members, number: self.meter.mail(now).announce(namespace, text) })
    }

    /// Pushes a message to the members here, if there are any.
    ///
    /// # Errors
    /// When they lag too far behind.
    pub(in crate::server) fn push_message(&mut self, namespace: &str, text: &str) -> Result<(), Busy> {
        let Some(id) = self.meter.find(namespace) else { return Ok(()) };
        self.fan_out.push_message(&mut self.meter, id, sse::message(text))?;
        self.tally.record_message();
        Ok(())
    }

    /// A namespace is forgotten that an address had made.
    pub(in crate::server) fn forget_made(&mut self, maker: MakerId) {
        if let Some(makers) = &mut self.makers {
            makers.forget(maker);
        }
    }

    /// Pushes a count to all members of a namespace.
    pub(in crate::server) fn push_count(&mut self, namespace: NamespaceId, total: u64, skip_newest: bool) {
        self.fan_out.push_count(&mut self.meter, namespace, sse::count(total), skip_newest);
    }

    /// Makes this turn's pushes, and lets the other nodes know whether messages have to wait for them. `push` says whether
    /// there was still a connection for one.
    pub(in crate::server) fn fan_out(&mut self, now: Now, mut push: impl FnMut(MemberId, PushKind, &Frame) -> bool) {
        let Self { fan_out, meter, tally, .. } = self;
        fan_out.advance(meter, |member, kind, frame| {
            if push(member, kind, frame) {
                tally.record_push(kind);
            }
        });
        meter.mail(now).set_behind(fan_out.is_behind());
    }

    /// A connection begins to watch; it is not counted.
    ///
    /// # Errors
    /// When there is no slot, too many patterns are watched already, or its address has as much as is left for others.
    pub(in crate::server) fn watch(&mut self, watching: Watching<'_>, now: Now) -> Result<(), NoRoom> {
        let Watching { watcher, patterns, reserved_patterns, .. } = watching;
        if self.may_watch(&watching)
            && self.watches.enter(watcher, patterns, reserved_patterns, &mut self.meter, now).is_ok()
        {
            self.shares.enter(Held::new(&watching));
            return Ok(());
        }
        Err(self.refuse(NoRoom::Watchers))
    }

    /// Whether a connection could begin to watch now.
    pub(in crate::server) fn may_watch(&self, watching: &Watching<'_>) -> bool {
        let patterns = self.watches.free_pattern_count().saturating_sub(watching.reserved_patterns);
        self.shares.admit(&Held::new(watching), Free { slots: watching.free_slots, patterns })
    }

    /// A connection is gone. If it was no watcher's, nothing happens.
    pub(in crate::server) fn stop_watching(&mut self, watcher: WatcherId) {
        if self.watches.leave(watcher, &mut self.meter) {
            self.shares.leave(watcher);
        }
    }

    /// Goes on with the round of updates, as far as a turn takes it.
    pub(in crate::server) fn go_on_with_round(&mut self, now: Now) {
        self.watches.advance(&mut self.meter, now);
    }

    /// The next watcher that gets an update, which is put into `piece`.
    pub(in crate::server) fn next_update(&mut self, piece: &mut Piece) -> Option<WatcherId> {
        self.watches.next_piece(piece)
    }

    /// A watcher that was behind for too long.
    pub(in crate::server) fn pop_late_watcher(&mut self) -> Option<WatcherId> {
        self.watches.pop_late()
    }

    /// A stream has not taken all of what it was sent. A member needs nothing for that: its counts conflate.
    pub(in crate::server) fn stall(&mut self, id: WatcherId) {
        self.watches.stall(id);
    }

    /// By now it has.
    pub(in crate::server) fn resume(&mut self, id: WatcherId) {
        self.watches.resume(id);
    }

    /// After how many milliseconds a browser that loses its stream comes back.
    pub(in crate::server) fn draw_retry_ms(&mut self) -> u64 {
        self.jitter.within(&self.retry_ms)
    }

    /// After how many milliseconds a browser comes back whose page was prepared in advance.
    pub(in crate::server) fn draw_visit_retry_ms(&mut self) -> u64 {
        self.jitter.within(&VISIT_RETRY_MS)
    }

    /// After how many milliseconds a browser that found no room comes back.
    pub(in crate::server) fn draw_no_room_retry_ms(&mut self) -> u64 {
        self.jitter.within(&NO_ROOM_RETRY_MS)
    }

    /// Until when a browser's stream may last that begins now.
    pub(in crate::server) fn draw_stream_end(&mut self, now: Now) -> Option<Tick> {
        let longest = self.max_conn_duration.map(|longest| self.jitter.shorten(longest));
        longest.map(|longest| now.tick.after(longest))
    }

    /// Lets the meter decide what is due. `is_bus_drained` says that no datagram of another node was left waiting.
    pub(in crate::server) fn handle_timeout(&mut self, now: Now, is_bus_drained: bool) {
        self.meter.handle_timeout(now, is_bus_drained);
    }

    /// The file of reports had no room for one.
    pub(in crate::server) fn record_lost_report(&mut self) {
        self.tally.record_lost_report();
    }

    /// The next thing that the meter wants done.
    pub(in crate::server) fn poll_output(&mut self) -> Option<Output> {
        self.meter.poll_output()
    }

    /// Until when there is nothing to do.
    pub(in crate::server) fn poll_timeout(&self) -> Option<Tick> {
        if !self.fan_out.is_idle() {
            return Some(Tick(0));
        }
        [self.meter.poll_timeout(), self.watches.poll_timeout(&self.meter)].into_iter().flatten().min()
    }
}
