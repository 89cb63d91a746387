//! The turn: wait, dispatch, expire, push, reap. Everything that happens, happens here, in this order.
//!
//! Owns the loop and all that it turns. A turn has one time, read after the wait; what it does later than that, it does
//! at that time. One connection's part of a turn is in `exchange`.
//!
//! Every loop has a budget, whatever arrives, and what does not fit is done in the next turn, which then does not wait. With
//! all budgets used up a turn takes 4.9 ms. In ms, the phases take:
//!
//! | phase | its budgets |
//! |---|---|
//! | dispatch | events 0.3, accepts 0.6, datagrams 0.4 |
//! | expire | deadlines 0.2, the meter's timeouts 0.3, its removals 0.1, its datagrams 0.3, reports 0.1 |
//! | push | outputs 0.4, pushes 0.4, watchers 0.2 |
//! | reap | 1.6 |
//!
//! (The turn that closes the ports of a process that ends accepts twice.) Another wait costs 2 us, so small budgets cost next
//! to nothing.
//!
//! Invariant: connections are freed in `reap` alone. An event that names a connection finds it, closing or not, until the
//! end of the turn in which the event was taken. A key is used again in a later turn at the earliest.

use std::io;
use std::time::Duration;

use super::answers::Answers;
use super::answers::answer::Settled;
use super::audience::Audience;
use super::awaiting::Awaiting;
use super::bus::Bus;
use super::conns::Conns;
use super::conns::close_reason::CloseReason;
use super::conns::conn::{ConnId, Stage};
use super::conns::lifecycle;
use super::exchange::Exchange;
use super::figures::announced::Announced;
use super::figures::tally::PushKind;
use super::figures::view::Facts;
use super::keyring::Keyring;
use super::outputs::{CarriedOut, Outputs};
use super::overview::{self, Rooms};
use super::ports::listeners::{FIRST_FREE_TOKEN, Listeners};
use super::ports::port::Port;
use super::shutdown::drain::Drain;
use super::shutdown::heartbeat::Heartbeat;
use super::shutdown::turnover::Turnover;
use crate::collections::key::Key as _;
use crate::collections::tick::{Now, Tick};
use crate::log::{self, Value::Shown};
use crate::meter::watches::Piece;
use crate::reactor::sys::Signals;
use crate::reactor::{Reactor, Ready, Registered, Token};
use crate::reports::ReportFile;

/// Most deadlines of connections that fire in one turn. The dearest is a head that is late: some 10 us for the answer, 0.2 ms.
const DEADLINES_PER_TURN: usize = 24;

/// Most connections that one turn frees. The end of a member takes some 12 us; where thousands are closed in a row, the
/// kernel takes up to 100 us for some: 1.6 ms. The number is that of events: with fewer, and the kernel would report
/// those that are closed already again and again.
const REAPS_PER_TURN: usize = 16;

/// Most pieces of long replies in one turn. One of the metrics takes 0.2 ms, and one of the stats up to 0.1 with its way through
/// the kernel: 0.4 ms. (All readers that are ready in a turn took 2 ms of it. With four, one turn of a thousand took 1 ms, and with
/// two half of that.)
const PIECES_PER_TURN: usize = 2;

/// Most updates of watchers in one turn: at up to 20 us each for looking, writing and the kernel, 0.16 ms.
const UPDATES_PER_TURN: usize = 8;

/// The bytes that one read takes: more than a head may have, so that a whole one is never cut here.
pub(super) const SCRATCH_BYTES: usize = 16 * 1024;

pub(super) const SIGNALS_TOKEN: Token = Token(FIRST_FREE_TOKEN);

pub(super) const KEYRING_TOKEN: Token = Token(FIRST_FREE_TOKEN + 1);

/// The first of the bus's tokens.
pub(super) const BUS_TOKEN: Token = Token(FIRST_FREE_TOKEN + 2);

/// The rooms of the process, and where the loop stands.
pub(super) struct Loop {
    pub(super) reactor: Reactor,
    pub(super) signals: Registered<Signals>,
    pub(super) heartbeat: Heartbeat,
    pub(super) listeners: Listeners,
    pub(super) conns: Conns,
    pub(super) audience: Audience,
    pub(super) answers: Answers,
    pub(super) awaiting: Awaiting,
    pub(super) bus: Bus,
    pub(super) keyring: Keyring,
    /// The file of what events came to.
    pub(super) reports: Option<ReportFile>,
    pub(super) turnover: Turnover,
    pub(super) announced: Announced,
    pub(super) facts: Facts,
    /// Until when the ports stay closed, while the process catches up with the other nodes.
    pub(super) opening: Option<Tick>,
    /// Set by the first signal.
    pub(super) drain: Option<Drain>,
    pub(super) drain_delay: Duration,
    pub(super) is_stopped: bool,
    /// Whether the last turn has left some of what the meter wants done.
    pub(super) has_outputs: bool,
    /// Whether no datagram was left waiting in this turn.
    pub(super) is_bus_empty: bool,
    /// What is ready in this turn.
    pub(super) ready: Vec<Ready>,
    /// What the last read took; none of it is kept.
    pub(super) scratch: Box<[u8]>,
    /// What is on its way to one socket.
    pub(super) buffer: Vec<u8>,
}

impl Loop {
    /// Takes one turn.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        let deadline = self.next_deadline();
        let mut ready = std::mem::take(&mut self.ready);
        let now = self.reactor.wait(deadline, &mut ready)?;
        self.dispatch(&ready, now);
        self.ready = ready;
        self.expire(now);
        self.push(now);
        self.reap(now);
        Ok(())
    }

    /// Until when there is nothing to do but wait.
    fn next_deadline(&self) -> Option<Tick> {
        if self.has_outputs || self.conns.has_closing() {
            return Some(Tick(0));
        }
        let (streams, listeners) = (self.conns.books().stream_count(), self.listeners.len());
        let deadlines = [
            self.conns.next_deadline(),
            self.audience.poll_timeout(),
            self.listeners.next_deadline(),
            self.keyring.next_deadline(),
            self.bus.next_deadline(),
            self.heartbeat.next_deadline(),
            self.reports.as_ref().and_then(ReportFile::next_deadline),
            self.turnover.next_deadline(self.audience.meter.evicted_count()),
            self.drain.as_ref().map(|drain| drain.next_deadline(streams, listeners)),
            self.opening,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn dispatch(&mut self, ready: &[Ready], now: Now) {
        // A source that was not reported ready has nothing to read, unless there was no room for the report.
        let mut is_bus_ready = self.reactor.may_have_more();
        let mut pieces_left = PIECES_PER_TURN;
        for &ready in ready {
            if ready.token == SIGNALS_TOKEN {
                self.on_signal(now);
            } else if ready.token == KEYRING_TOKEN {
                self.keyring.mark_ready();
            } else if self.has_outputs {
                // What makes for more to do waits until all is done. Level mode brings it back.
                is_bus_ready |= ready.token.0 >= BUS_TOKEN.0;
            } else if ready.token.0 >= BUS_TOKEN.0 {
                is_bus_ready = true;
            } else if let Some(index) = Listeners::index_of(ready.token) {
                self.on_listener(index, now);
            } else if let Some(id) = ConnId::from_index(ready.token.0)
                && let Some(mut exchange) = self.exchange(id, now)
            {
                let is_piece = ready.is_writable && exchange.has_rest();
                if !is_piece || pieces_left > 0 {
                    pieces_left -= usize::from(is_piece);
                    exchange.on_ready(ready.is_writable);
                }
            }
        }
        self.is_bus_empty = !is_bus_ready || (!self.has_outputs && self.bus.receive(&mut self.audience.meter, now));
    }

    /// Fires deadlines, then lets the meter decide what is due.
    fn expire(&mut self, now: Now) {
        self.conns.expire(now.tick);
        for _ in 0..DEADLINES_PER_TURN {
            let Some(id) = self.conns.pop_due() else { break };
            let may_read = !self.has_outputs;
            if let Some(mut exchange) = self.exchange(id, now) {
                exchange.on_deadline(may_read);
            }
        }
        if !self.has_outputs {
            self.go_on_draining(now);
            self.announce_counters(now);
            if let Some(reports) = &self.reports {
                self.audience.meter.set_ending_room(reports.room(), reports.room_at());
            }
            self.audience.handle_timeout(now, self.is_bus_empty);
        }
        let Self { keyring, listeners, bus, audience, reactor, .. } = self;
        keyring.refresh(listeners, bus, &mut audience.meter, reactor, now);
        bus.spread(|| listeners.group_size(), &audience.meter, now);
        self.bus.handle_timeout(&self.reactor, self.is_bus_empty, now);
        if let Some(reports) = &mut self.reports {
            reports.write(now.tick);
        }
        self.turnover.handle_timeout(self.audience.meter.evicted_count(), now.tick);
        self.turnover.give_memory_back(self.audience.meter.namespaces().len());
        let goes_on = self.heartbeat.beat(now.tick, || overview::served(&self.audience.meter, now));
        self.facts.supervision = self.heartbeat.figures();
        if !goes_on {
            log::warn("supervisor_gone", &[]);
            self.is_stopped = true;
        }
    }

    /// Does what the meter wants done, as much as fits into a turn.
    fn push(&mut self, now: Now) {
        let Self { audience, bus, reports, turnover, .. } = self;
        let carried_out = Outputs { audience, bus, reports: reports.as_mut(), turnover }.carry_out(now);
        let CarriedOut { farewells, settled, has_more } = carried_out;
        // A page that joins after it has waited is announced.
        self.has_outputs = has_more || !settled.is_empty();
        self.settle(settled, now);
        let Self { audience, conns, reactor, .. } = self;
        audience.fan_out(now, |member, kind, frame| {
            let Some((conn, books)) = conns.open(member.into()) else { return false };
            match kind {
                PushKind::Count => lifecycle::push_count(conn, books, reactor, frame),
                PushKind::Message => lifecycle::push_message(conn, books, reactor, frame),
            }
            true
        });
        self.update_watchers(now);
        for (member, last_word) in farewells {
            // It counts no more. (A member that joins here with its uuid has released it already; at another node none can.)
            self.audience.release(member, now);
            self.finish(member.into(), Some(last_word), now);
        }
    }

    /// Answers those that have waited for other nodes, unless they have gone.
    fn settle(&mut self, settled: Vec<Settled>, now: Now) {
        for settled in settled {
            let Some((id, awaited)) = self.awaiting.take(settled) else { continue };
            if let Some(mut exchange) = self.exchange(id, now) {
                exchange.settle(&awaited, settled);
            }
        }
    }

    /// Frees what was closed, and takes it off the count.
    fn reap(&mut self, now: Now) {
        for _ in 0..REAPS_PER_TURN {
            let Some(conn) = self.conns.pop_closing() else { break };
            self.audience.leave(conn.id().into(), now);
            self.audience.stop_watching(conn.id().into());
            if conn.stage() == Stage::Await {
                self.awaiting.forget(conn.id());
            }
            if let Some(reason) = conn.closing() {
                log::debug(
                    "close",
                    &[
                        ("port", Shown(&conn.port())),
                        ("conn", Shown(&conn.id())),
                        ("reason", Shown(&format_args!("{reason:?}"))),
                    ],
                );
            }
        }
        let is_last = self.conns.len() == 0;
        debug_assert!(!is_last || self.audience.has_no_addresses(), "the last connection leaves no address behind");
        if self.opening.is_none() {
            self.resume_listeners(now);
        }
        let listeners = self.listeners.len();
        let is_over = self.drain.as_ref().is_some_and(|drain| drain.is_over(listeners, &self.conns, now));
        self.is_stopped |= is_over && self.awaiting.is_empty();
    }

    /// Takes paused listeners up again for which there is room.
    pub(super) fn resume_listeners(&mut self, now: Now) {
        let Self { listeners, conns, reactor, .. } = self;
        listeners.defer_silence(conns.books().head_count(Port::Audience));
        listeners.resume(|port| conns.books().may_accept(port), reactor, now);
    }

    fn on_signal(&mut self, now: Now) {
        while let Some(signal) = self.signals.source().next() {
            log::info("signal", &[("number", signal.cast_unsigned().into()), ("again", self.drain.is_some().into())]);
            // An operator that signals all processes signals a worker twice, the second time through its supervisor. When
            // that one is signalled twice, it hangs up.
            self.is_stopped |= self.drain.is_some() && !self.heartbeat.is_worker();
            self.begin_drain(now);
        }
    }

    /// Takes in the connections that wait at a listener, within a turn's budget. Returns whether there are no more.
    fn on_listener(&mut self, index: usize, now: Now) -> bool {
        for _ in 0..self.listeners.accepts_per_turn(index) {
            let Self { listeners, conns, reactor, .. } = self;
            let may_accept = |port| conns.books().may_accept(port);
            let Some((stream, peer, port)) = listeners.accept(index, may_accept, reactor, now) else { return true };
            let peer = conns.books().origins.wanted(peer, port);
            let Ok(id) = conns.insert(reactor, stream, port, peer, now.tick) else { continue };
            // A browser's head is usually here already.
            let Some(mut exchange) = self.exchange(id, now) else { continue };
            exchange.on_accepted();
        }
        false
    }

    /// Goes on with the updates of watchers, as much as fits into a turn.
    fn update_watchers(&mut self, now: Now) {
        self.audience.go_on_with_round(now);
        let mut piece = Piece::default();
        for _ in 0..UPDATES_PER_TURN {
            let Some(id) = self.audience.next_update(&mut piece) else { break };
            let takes_more = self.exchange(id.into(), now).is_some_and(|mut exchange| exchange.update(&piece));
            if !takes_more {
                self.audience.stall(id);
            }
        }
        while let Some(id) = self.audience.pop_late_watcher() {
            log::debug("watcher_late", &[("conn", Shown(&id))]);
            self.conns.close(id.into(), CloseReason::TooSlow);
        }
    }

    /// Announces this node's counters, if it is time.
    fn announce_counters(&mut self, now: Now) {
        let Self { conns, bus, reactor, facts, audience, announced, .. } = self;
        let rooms = Rooms { books: conns.books(), bus, reactor, facts: *facts, is_draining: self.drain.is_some() };
        rooms.announce_counters(audience, announced, now);
    }

    /// Begins to end: no more connections come in, and those that are there are let go.
    fn begin_drain(&mut self, now: Now) {
        if self.drain.is_some() {
            return;
        }
        self.listeners.deafen(true);
        self.heartbeat.hasten(now.tick);
        self.drain = Some(Drain::begin(self.drain_delay, now.tick));
        log::info("draining", &[("members", self.conns.books().stream_count().into())]);
    }

    /// Does what is due of a drain, as much as fits into a turn.
    fn go_on_draining(&mut self, now: Now) {
        let Some(drain) = &mut self.drain else { return };
        let closes_ports = drain.closes_ports(self.listeners.len(), now);
        drain.begin_sweep(self.listeners.len(), &self.conns, now);
        if closes_ports {
            self.close_ports(now);
        }
        let Some(drain) = &mut self.drain else { return };
        for id in drain.let_go(&mut self.conns, REAPS_PER_TURN, now) {
            self.finish(id, None, now);
        }
    }

    /// Closes the ports, once no connection waits there any more.
    fn close_ports(&mut self, now: Now) {
        self.listeners.deafen(false);
        let mut is_empty = true;
        for index in 0..self.listeners.len() {
            is_empty &= self.on_listener(index, now);
        }
        if is_empty {
            self.listeners.close(&self.reactor);
        }
    }

    /// Ends a connection politely.
    fn finish(&mut self, id: ConnId, last_block: Option<&[u8]>, now: Now) {
        if let Some(mut exchange) = self.exchange(id, now) {
            exchange.finish(last_block);
        }
    }

    /// An open connection, with all that it takes to answer it.
    fn exchange(&mut self, id: ConnId, now: Now) -> Option<Exchange<'_>> {
        let Self { conns, audience, answers, awaiting, announced, bus, reactor, facts, scratch, buffer, .. } = self;
        let (conn, books) = conns.open(id)?;
        let is_draining = self.drain.is_some();
        Some(Exchange {
            conn,
            books,
            audience,
            answers,
            awaiting,
            announced,
            bus,
            reactor,
            facts,
            scratch,
            buffer,
            is_draining,
            now,
        })
    }
}
