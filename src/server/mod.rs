//! Floor 4: joins the floors. The reactor says what is ready, the sessions what was said, the meter what is due.
//!
//! | room | owns |
//! |---|---|
//! | `turn` | the order of things: wait, dispatch, expire, push, reap |
//! | `awaiting` | the connections whose message is on its way |
//! | `exchange` | one connection's part of a turn: bytes in, an answer out |
//! | `outputs` | carrying out what the meter wants done |
//! | `overview` | what the rooms show to the figures |
//! | `bus` | datagrams to and from the other nodes |
//! | `keyring` | the keys that seal datagrams, and when they change |
//! | `siblings` | the other processes of this host: their doors, and links to them |
//! | `ports` | the listeners, their policies, and how many connections fit |
//! | `conns` | the connections, from `accept` to the end |
//! | `audience` | members, claims and watchers, and what is pushed to them |
//! | `answers` | what a request is answered with |
//! | `figures` | what is counted of all this, and the metrics of all nodes |
//! | `troubles` | conditions of the cluster that make the total wrong or doubtful |
//! | `shutdown` | how a process ends |
//!
//! Inside the floor, too, imports run one way:
//!
//! ```text
//! turn -> exchange, awaiting, outputs, overview, ports, conns, audience, answers, bus, keyring, shutdown, figures
//! exchange -> awaiting, overview, conns, audience, answers, bus, figures
//! awaiting -> conns, answers
//! outputs -> audience, bus, shutdown
//! overview -> conns, audience, bus, figures, troubles
//! shutdown -> conns, bus
//! keyring -> ports, bus, siblings
//! siblings -> ports::neighbours, bus
//! conns -> answers::cursor
//! answers -> audience, figures, keyring::watch
//! audience -> figures
//! bus -> figures, troubles
//! figures -> troubles
//! ```
//!
//! Three files name no other room, so every room may name them: the values in `ports::port` and `ports::capacity`, and
//! `conns::torture`, the calls into the kernel. `figures` and `troubles` name none of them.
//!
//! This file owns the life of the process: it binds the ports, catches up with the other nodes, turns until a signal, and
//! departs.
//!
//! Invariant: nothing but `turn`'s `reap` frees a connection, and nothing outlives it.

mod answers;
mod audience;
mod awaiting;
mod bus;
mod conns;
mod exchange;
mod figures;
mod keyring;
mod outputs;
mod overview;
mod ports;
mod shutdown;
mod siblings;
mod troubles;
mod turn;

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::log;
use crate::meter::news::{NodeId, Secret};
use crate::reactor::sys::{self, Signals};
use crate::reactor::{Interest, Reactor, Registered};
use crate::reports::ReportFile;
use answers::Answers;
use audience::Audience;
use awaiting::Awaiting;
use bus::{Bus, ways};
use conns::{Conns, torture};
use figures::announced::Announced;
use figures::view::Facts;
use keyring::Keyring;
use ports::capacity::Capacity;
use ports::listeners::Listeners;
use shutdown::ending::LastTurns;
use shutdown::heartbeat::Heartbeat;
use shutdown::turnover::Turnover;
use turn::Loop;

pub use bus::lookup::{LOOK_UP, look_up};
pub use bus::names::Names;
pub use bus::ways::open_loopback;
pub use ports::sockets::{BindError, Sockets};
pub use shutdown::heartbeat::report_failure;

/// How long the other nodes, if there may be any, may take to answer a newcomer. On one host they do within a millisecond,
/// unless it is busy.
const ANSWER_PATIENCE: Duration = Duration::from_millis(30);

/// How long a newcomer listens at most before it opens its ports: a table of 100,000 names takes half as long.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// The daemon: one audience, all its ports.
pub struct Server {
    turns: Loop,
}

impl Server {
    /// Binds the ports.
    ///
    /// # Errors
    /// A port that cannot be bound, by name; or what the kernel says.
    pub fn bind(config: &mut Config) -> Result<Self, Box<dyn Error>> {
        let (heartbeat, handed_on) = Heartbeat::start(config)?;
        let config = &*config;
        let descriptors = sys::raise_descriptor_limit()?;
        let reactor = Reactor::new()?;
        let signals = Registered::new(&reactor, Signals::open()?, turn::SIGNALS_TOKEN, Interest::Read)?;
        // std seeds its hash maps from the system's randomness, and a keyed hash (SipHash) shows nothing of its key.
        let randomness = RandomState::new();
        let draw = |number: u64| randomness.hash_one(number);
        let (node, secrets) = (NodeId(draw(0)), [(1, 2), (3, 4)].map(|(low, high)| Secret([draw(low), draw(high)])));
        torture::begin(config.torture);
        let capacity = Capacity::new(descriptors, &config.limits)?;
        let sockets = match &handed_on {
            Some(handed_on) => Sockets::take_over(config, &handed_on.sockets)?,
            None => Sockets::bind(config, config.port)?,
        };
        let audience_port = sockets.audience_port()?;
        let loopback = handed_on.as_ref().and_then(|handed_on| handed_on.loopback);
        let may_clash = handed_on.is_none_or(|handed_on| !handed_on.has_served);
        let mut listeners = Listeners::new(config, sockets, may_clash, &reactor)?;
        let (keyring, keys) =
            Keyring::open(config, audience_port, node, &mut listeners, &reactor, turn::KEYRING_TOKEN)?;
        let loopback = match loopback {
            Some(descriptor) => ways::take_over_loopback(descriptor)?,
            None => open_loopback(config, audience_port)?,
        };
        let bus = Bus::open(config, audience_port, node, keys, loopback, &reactor, turn::BUS_TOKEN)?;
        let reports = config.accounts.report_file.as_deref();
        let reports = reports.map(|path| ReportFile::open(path, heartbeat.is_worker())).transpose()?;
        let answers = Answers::new(config, audience_port, &overview::METRICS, reactor.now())?;
        let facts = Facts {
            descriptors_max: capacity.descriptors,
            audience_port,
            node_timeout: config.cluster.rules.node_timeout,
            started_unix_s: reactor.now().unix_s(),
            process: listeners.seat().number.into(),
            target: listeners.seat().target,
            supervision: heartbeat.figures(),
        };
        listeners.log(&capacity)?;
        bus.log_ways();
        if let Some(seed) = config.torture {
            log::warn("torture", &[("seed", seed.into())]);
        }
        let turns = Loop {
            reactor,
            signals,
            heartbeat,
            listeners,
            conns: Conns::new(config, capacity),
            audience: Audience::new(config, node, secrets),
            answers,
            awaiting: Awaiting::default(),
            bus,
            keyring,
            reports,
            turnover: Turnover::default(),
            announced: Announced::default(),
            facts,
            opening: None,
            drain: None,
            drain_delay: config.drain_delay,
            is_stopped: false,
            has_outputs: false,
            is_bus_empty: true,
            ready: Vec::new(),
            scratch: vec![0; turn::SCRATCH_BYTES].into(),
            buffer: Vec::with_capacity(4096),
        };
        Ok(Self { turns })
    }

    /// Turns until a signal says to stop.
    ///
    /// # Errors
    /// When the poller itself fails.
    pub fn run(mut self) -> io::Result<()> {
        self.catch_up()?;
        log::info("ready", &[]);
        let turns = &mut self.turns;
        turns.heartbeat.begin();
        while !turns.is_stopped {
            turns.turn()?;
        }
        let Loop { reactor, signals, conns, audience, bus, reports, turnover, .. } = turns;
        conns.end_all();
        let (signals, meter, reports) = (signals.source(), &mut audience.meter, reports.as_mut());
        LastTurns { reactor, signals, meter, bus, reports, turnover }.end(conns.place_count())?;
        log::info("stopped", &[]);
        Ok(())
    }

    /// Receives what the other nodes count, before any client gets a number here. Connections that come meanwhile wait in the
    /// queue.
    fn catch_up(&mut self) -> io::Result<()> {
        let start = self.turns.reactor.now();
        let (patience, latest) = (start.tick.after(ANSWER_PATIENCE), start.tick.after(CATCH_UP_MAX));
        let mut turn_count = 0_u64;
        let mut now = start;
        while !self.has_caught_up(patience, latest, now) {
            self.turns.opening = Some(if now.tick < patience { patience } else { latest });
            self.turns.turn()?;
            turn_count += 1;
            now = self.turns.reactor.now();
        }
        self.turns.opening = None;
        self.turns.resume_listeners(now);
        let node_count = self.turns.audience.meter.nodes(now).count() + 1;
        log::debug("caught_up", &[("turns", turn_count.into()), ("nodes", node_count.into())]);
        Ok(())
    }

    /// Whether startup may end: there is no other node, all their state has arrived, with the figures of siblings, or it takes too long. The processes of
    /// the audience on this host are known from the start; those on the network never are.
    fn has_caught_up(&mut self, patience: Tick, latest: Tick, now: Now) -> bool {
        let Loop { keyring, bus, audience, listeners, drain, .. } = &mut self.turns;
        let meter = &audience.meter;
        let is_seeking = keyring.is_seeking(bus, meter, now);
        let is_opening = bus.is_opening();
        let sibling_count = listeners.sibling_count();
        let have_answered = match sibling_count {
            Some(siblings) => meter.nodes(now).count() >= siblings,
            None => meter.nodes(now).next().is_some(),
        };
        let is_alone = sibling_count == Some(0);
        // A scrape may come at once, and is answered for all processes here.
        let mut figures = meter.nodes(now).zip(meter.counters());
        let near = &*bus.near();
        let knows_figures = figures.all(|(node, (_, own))| !own.is_empty() || !near.is_received(node.node, now));
        is_alone
            || (meter.knows_all()
                && knows_figures
                && !is_opening
                && (have_answered || (now.tick >= patience && !is_seeking)))
            || now.tick >= latest
            || drain.is_some()
    }
}
