//! The turn: wait, dispatch, expire, push, reap. Everything that happens, happens here, in this order.
//!
//! Owns the loop and all that it turns. A turn has one time, read after the wait; what it does later than that, it does
//! at that time.
//!
//! Every loop has a budget, whatever arrives, and what does not fit is done in the next turn, which then does not wait. With
//! all budgets used up a turn takes, in ms: events 0.3, accepts 0.6, datagrams 0.4, deadlines 0.2, the meter's timeouts 0.3,
//! its burials 0.1 and its datagrams 0.3, outputs 0.4, pushes 0.4, watchers 0.2, reports 0.1, reaping 1.6; together
//! 4.9. (The one that closes the ports of a process that ends accepts twice.) Another wait costs 2 us, so small budgets cost
//! next to nothing.
//!
//! Invariant: connections are freed in `reap` alone. An event that names a connection finds it, closing or not, until the
//! end of the turn in which the event was taken; and a key is used again in a later turn at the earliest.

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::io;

use crate::collections::key::Key as _;
use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::log;
use crate::meter::news::NodeId;
use crate::meter::{MemberId, Output};
use crate::reactor::sys::{self, Signals};
use crate::reactor::{Interest, Reactor, Ready, Registered, Token};
use crate::reports::ReportFile;
use crate::server::audience::Service;
use crate::server::bus::Bus;
use crate::server::conns::Conns;
use crate::server::conns::conn::{ConnId, Port};
use crate::server::conns::origins::Clients;
use crate::server::conns::torture;
use crate::server::figures::announced::Announced;
use crate::server::ports::listeners::{FIRST_FREE_TOKEN, Listeners};
use crate::server::shutdown::drain::Drain;
use crate::server::shutdown::ending;
use crate::server::shutdown::heartbeat::Heartbeat;
use crate::wire::sse;

/// How many deadlines of connections fire in one turn. The dearest is a head that is late: some 10 us for the answer, 0.2 ms.
const DEADLINES_PER_TURN: usize = 24;

/// How many connections one turn frees. The end of a member takes some 12 us; where thousands are closed in a row, the
/// kernel takes up to 100 us for some: 1.6 ms. As many as there are events: fewer, and those that are closed already would
/// be told again and again.
pub(super) const REAPS_PER_TURN: usize = 16;

/// What the meter's outputs of one turn may cost, in microseconds.
const OUTPUT_US_PER_TURN: usize = 400;

/// What each of them costs, in microseconds: a frame and its way along the members begun; a last word, and the socket shut;
/// a datagram, for each way that it goes; a line of the log.
const COUNT_US: usize = 1;
const FAREWELL_US: usize = 14;
const SEND_US: usize = 8;
const REPORT_US: usize = 12;

/// What one read takes: more than a head may have, so that a whole one is never cut here.
const SCRATCH_BYTES: usize = 16 * 1024;

/// How long a stats client may take to say that it speaks HTTP. `nc` says nothing and waits.
const STATS_SILENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// How long the others, if there may be any, may take to answer a newcomer. On one host they do within a millisecond,
/// unless it is busy.
const ANSWER_PATIENCE: std::time::Duration = std::time::Duration::from_millis(30);

/// How long a newcomer listens at most before it opens its ports: a table of 100,000 names takes half as long.
const CATCH_UP_MAX: std::time::Duration = std::time::Duration::from_secs(1);

const SIGNALS_TOKEN: Token = Token(FIRST_FREE_TOKEN);

/// The first of the bus's tokens.
const BUS_TOKEN: Token = Token(FIRST_FREE_TOKEN + 1);

/// The daemon: one audience, all its ports.
pub struct Server {
    pub(super) reactor: Reactor,
    pub(super) signals: Registered<Signals>,
    pub(super) heartbeat: Heartbeat,
    pub(super) listeners: Listeners,
    pub(super) conns: Conns,
    pub(super) clients: Clients,
    pub(super) service: Service,
    pub(super) bus: Bus,
    /// Where it is written what events came to.
    pub(super) reports: Option<ReportFile>,
    /// Whether no datagram was left waiting in this turn.
    has_heard_all: bool,
    /// Whether the last turn has left some of what the meter wants done.
    has_outputs: bool,
    /// What is ready in this turn.
    ready: Vec<Ready>,
    /// What the last read took; nobody keeps any of it.
    pub(super) scratch: Box<[u8]>,
    /// Until when to wait for what the others count, before the ports are opened.
    opening: Option<Tick>,
    pub(super) announced: Announced,
    pub(super) started_unix_s: u64,
    /// Set by the first signal.
    pub(super) drain: Option<Drain>,
    pub(super) is_stopped: bool,
}

impl Server {
    /// Binds the ports.
    ///
    /// # Errors
    /// A port that cannot be bound, by name; or what the kernel says.
    pub fn bind(config: Config) -> Result<Self, Box<dyn Error>> {
        let heartbeat = Heartbeat::start(config.supervisor)?;
        let descriptors = sys::raise_descriptor_limit()?;
        let reactor = Reactor::new()?;
        let signals = Registered::new(&reactor, Signals::open()?, SIGNALS_TOKEN, Interest::Read)?;
        // std seeds its hash maps from the system's randomness; a name needs no more.
        let node = NodeId(RandomState::new().hash_one(std::process::id()));
        torture::begin(config.torture);
        let (listeners, audience_port) = Listeners::bind(&config, node, descriptors, &reactor)?;
        let bus = Bus::open(&config, audience_port, &reactor, BUS_TOKEN)?;
        let clients = Clients::new(&config);
        let reports = config.accounts.report_file.as_deref().map(ReportFile::open).transpose()?;
        let service = Service::new(config, audience_port, node)?;
        let started_unix_s = reactor.now().unix_s();
        listeners.log()?;
        bus.log_ways(&service.config, node);
        if let Some(seed) = service.config.torture {
            log::warn(format_args!("event=torture seed={seed}"));
        }
        Ok(Self {
            reactor,
            signals,
            heartbeat,
            listeners,
            conns: Conns::default(),
            clients,
            bus,
            reports,
            has_heard_all: true,
            has_outputs: false,
            service,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            opening: None,
            announced: Announced::default(),
            started_unix_s,
            drain: None,
            is_stopped: false,
        })
    }

    /// Serves until a signal says to stop.
    ///
    /// # Errors
    /// When the poller itself fails.
    pub fn run(mut self) -> io::Result<()> {
        self.catch_up()?;
        log::info(format_args!("event=ready"));
        self.heartbeat.begin();
        while !self.is_stopped {
            self.turn()?;
        }
        self.say_goodbye();
        self.write_last_reports();
        log::info(format_args!("event=stopped"));
        Ok(())
    }

    /// Hears what the others count, before anybody is told a number here. Whoever connects meanwhile waits in the queue.
    fn catch_up(&mut self) -> io::Result<()> {
        let start = self.reactor.now();
        let (patience, latest) = (start.tick.after(ANSWER_PATIENCE), start.tick.after(CATCH_UP_MAX));
        let mut turns = 0;
        let mut now = start;
        while !self.has_caught_up(patience, latest, now) {
            self.opening = Some(if now.tick < patience { patience } else { latest });
            self.turn()?;
            turns += 1;
            now = self.reactor.now();
        }
        self.opening = None;
        self.listeners.resume(&self.conns, &self.reactor, now);
        log::debug(format_args!("event=caught_up turns={turns} nodes={}", self.service.meter.nodes(now).count() + 1));
        Ok(())
    }

    /// Whether there is nobody to hear, or all that is to be heard was. Whoever is of the audience on this host is known
    /// from the start; who is on the network, never.
    fn has_caught_up(&self, patience: Tick, latest: Tick, now: Now) -> bool {
        let meter = &self.service.meter;
        let siblings = self.listeners.siblings();
        let have_answered = match siblings {
            Some(siblings) => meter.nodes(now).count() >= siblings,
            None => !meter.is_alone(),
        };
        let is_alone = siblings == Some(0);
        is_alone
            || (meter.knows_all() && (have_answered || now.tick >= patience))
            || now.tick >= latest
            || self.drain.is_some()
    }

    fn turn(&mut self) -> io::Result<()> {
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
        if self.has_outputs || !self.service.pushes.is_idle() || self.conns.has_closing() {
            return Some(Tick(0));
        }
        let (streams, ports) = (self.conns.streams(), self.listeners.len());
        let drain = self.drain.as_ref().map(|drain| drain.next_deadline(streams, ports));
        let deadlines = [
            self.conns.next_deadline(),
            self.service.meter.poll_timeout(),
            self.service.watches.poll_timeout(&self.service.meter),
            self.listeners.next_deadline(),
            self.heartbeat.next_deadline(),
            self.reports.as_ref().and_then(ReportFile::next_deadline),
            drain,
            self.opening,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn dispatch(&mut self, ready: &[Ready], now: Now) {
        // What was not told to be ready has nothing to say, unless there was no room to tell.
        let mut is_bus_ready = self.reactor.may_have_more();
        for &ready in ready {
            if ready.token == SIGNALS_TOKEN {
                self.on_signal(now);
            } else if self.has_outputs {
                // What makes for more to do waits until all is done. Level mode brings it back.
                is_bus_ready |= ready.token.0 >= BUS_TOKEN.0;
            } else if ready.token.0 >= BUS_TOKEN.0 {
                is_bus_ready = true;
            } else if let Some(index) = Listeners::index_of(ready.token) {
                self.on_listener(index, self.listeners.accepts_per_turn(index), now);
            } else if let Some(id) = ConnId::from_index(ready.token.0) {
                self.on_conn(id, ready.is_writable, now);
            }
        }
        self.has_heard_all = !is_bus_ready || (!self.has_outputs && self.bus.receive(&mut self.service.meter, now));
    }

    /// Fires deadlines, then lets the meter decide what is told.
    fn expire(&mut self, now: Now) {
        self.conns.expire(now.tick);
        for _ in 0..DEADLINES_PER_TURN {
            let Some(id) = self.conns.pop_due() else { break };
            self.on_deadline(id, now);
        }
        if !self.has_outputs {
            self.go_on_draining(now);
            self.announce_counters(now);
            self.service.meter.handle_timeout(now, self.has_heard_all);
        }
        if let Some(reports) = &mut self.reports {
            reports.write(now.tick);
        }
        if !self.heartbeat.beat(now.tick) {
            log::warn(format_args!("event=supervisor_gone"));
            self.is_stopped = true;
        }
    }

    /// Does what the meter wants done, as much as fits into a turn.
    fn push(&mut self, now: Now) {
        let mut farewells = Vec::new();
        let mut left_us = OUTPUT_US_PER_TURN;
        self.has_outputs = loop {
            if left_us == 0 {
                break true;
            }
            let Some(output) = self.service.meter.poll_output() else { break false };
            let cost_us = match output {
                Output::Count { .. } | Output::Message { .. } => COUNT_US,
                Output::Farewell(_) => FAREWELL_US,
                Output::Send(_) => SEND_US * self.bus.ways(),
                Output::Ended(_) => REPORT_US,
            };
            left_us = left_us.saturating_sub(cost_us);
            farewells.extend(self.carry_out(output).map(ConnId::from));
        };
        let Service { meter, pushes, tally, .. } = &mut self.service;
        let (conns, reactor) = (&mut self.conns, &self.reactor);
        pushes.fan_out(meter, |member, kind, frame| {
            let id = ConnId::from(member);
            let Some(conn) = conns.get_open(id) else { return };
            tally.record_push(kind, frame.len());
            let pushed = conn.push(kind, frame).and_then(|()| conn.watch(reactor, Conns::token(id)));
            if let Err(reason) = pushed {
                conns.close(id, reason);
            }
        });
        self.tell_watchers(now);
        for id in farewells {
            // It counts no more. (Who joins here with its uuid has released it already; elsewhere nobody can.)
            self.service.release(id, now);
            self.finish(id, Some(sse::FAREWELL), now);
        }
    }

    /// Begins what an output asks for; returns whom to send away once others have been told what they are to be told.
    fn carry_out(&mut self, output: Output) -> Option<MemberId> {
        let Service { meter, pushes, tally, .. } = &mut self.service;
        match output {
            Output::Count { namespace, total, skip_newest } => {
                pushes.tell_count(meter, namespace, sse::count(total), skip_newest);
            }
            Output::Message { namespace, text } => {
                let told = meter.find(&namespace).map(|id| pushes.tell_message(meter, id, sse::message(&text)));
                match told {
                    Some(Ok(())) => tally.record_message(),
                    Some(Err(_)) => log::warn(format_args!("event=message_dropped reason=busy")),
                    None => {}
                }
            }
            Output::Farewell(member) => return Some(member),
            Output::Send(datagram) => self.bus.send(&datagram),
            Output::Ended(ending) => ending::write_down(&ending, self.reports.as_mut()),
        }
        None
    }

    /// Frees what was closed, and takes it off the count.
    fn reap(&mut self, now: Now) {
        for _ in 0..REAPS_PER_TURN {
            let Some((id, conn)) = self.conns.pop_closing() else { break };
            self.clients.forget(id);
            self.service.leave(id, now);
            if let Some(reason) = conn.closing {
                log::debug(format_args!("event=close port={} conn={id} reason={reason:?}", conn.port));
            }
        }
        let is_nobody_left = self.conns.len() == 0;
        debug_assert!(
            !is_nobody_left || (self.clients.is_empty() && self.service.knows_no_address()),
            "nobody is left over"
        );
        if self.opening.is_none() {
            self.listeners.resume(&self.conns, &self.reactor, now);
        }
        self.is_stopped |= self.is_drained(now);
    }

    /// Takes in who waits at a listener, at most `budget`; returns how many.
    pub(super) fn on_listener(&mut self, index: usize, budget: usize, now: Now) -> usize {
        for taken in 0..budget {
            let waiting = self.listeners.accept(index, &self.conns, &self.reactor, now);
            let Some((stream, port)) = waiting else { return taken };
            let Ok(peer) = self.clients.peer(&stream, port) else { continue };
            let Ok(id) = self.conns.insert(&self.reactor, stream, port) else { continue };
            self.clients.begin(id, peer);
            let patience = if port == Port::Stats { STATS_SILENCE } else { self.service.config.head_timeout };
            self.conns.set_deadline(id, Some(now.tick.after(patience)));
            // A browser's head is usually here already.
            self.on_conn(id, false, now);
            self.conns.limit_heads(id, self.listeners.heads_max(port));
        }
        budget
    }
}
