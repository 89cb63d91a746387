//! The way over a broker: one connection to one of its servers, by which datagrams go to all nodes.
//!
//! Owns which server is used, when another one is tried, and what the log says of it. A server that is lost is no end: the
//! node serves on with what it knows, and tries again. A datagram that cannot be sent is lost, and heals like other losses.
//!
//! | file | owns |
//! |---|---|
//! | `line` | a connection to a server |
//! | `outgoing` | what waits to be written |
//! | `route` | where a broker is tried next, and when |
//!
//! A process is received over the broker by the others of its host, too. One that is not, although it is received over
//! loopback or a link, is at a server that is not linked with this one's, or at none.
//!
//! Invariant: there is one connection at most. Nothing waits for the broker.

mod line;
mod outgoing;
mod route;

use std::net::SocketAddr;
use std::time::Duration;

use super::names::ANSWER_PATIENCE;
use super::sightings::Sightings;
use super::ways::address_of;
use crate::collections::tick::{Now, Tick};
use crate::config::{Broker as Settings, ClusterConfig, CredentialsSource};
use crate::log::{self, Value::Shown};
use crate::meter::news::{Address, NodeId};
use crate::reactor::{Reactor, Token};
use crate::wire::broker::{Kind, Login, Refusal, Session};
use line::{Line, Loss};
use route::Route;

/// How long a server has to work until the next loss of it is tried again at once.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// How long a reason that is logged again is left out.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Most reasons of one outage that are known to be logged.
const REASONS_MAX: usize = 8;

/// How often it is looked which siblings are received.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The way over a broker.
pub(super) struct Broker {
    kind: Kind,
    channel: String,
    credentials: Option<CredentialsSource>,
    login: Option<Login>,
    token: Token,
    route: Route,
    line: Option<Line>,
    next_attempt: Tick,
    /// When siblings are looked for next, and how long they may take to come to the broker.
    next_look: Tick,
    node_timeout: Duration,
    /// The server that was tried last.
    address: Option<SocketAddr>,
    outage: Option<Outage>,
    /// The processes that are received over the broker.
    received: Sightings,
    /// Until when the other nodes may answer for the first time.
    answers_until: Option<Tick>,
}

/// A time without a broker.
struct Outage {
    since: Tick,
    /// What was logged, and when last.
    logged: Vec<String>,
    logged_at: Tick,
}

impl Outage {
    fn begin(now: Tick) -> Self {
        Self { since: now, logged: Vec::new(), logged_at: now }
    }
}

/// What a turn has taken in by the broker.
pub(super) struct Received {
    /// Whether there is no more.
    pub(super) is_all: bool,
    /// Whether the broker has just been reached.
    pub(super) is_new: bool,
}

impl Broker {
    /// The way that the settings ask for, if they do.
    ///
    /// # Errors
    /// Why the credentials cannot be read, as a line for a person.
    pub(super) fn new(cluster: &ClusterConfig, token: Token) -> Result<Option<Self>, String> {
        let Some(Settings { kind, servers, channel }) = cluster.broker.clone() else { return Ok(None) };
        let login = cluster.credentials.as_ref().map(CredentialsSource::read).transpose()?;
        Ok(Some(Self {
            kind,
            channel,
            credentials: cluster.credentials.clone(),
            login,
            token,
            route: Route::new(servers),
            line: None,
            next_attempt: Tick(0),
            next_look: Tick(0),
            node_timeout: cluster.rules.node_timeout,
            address: None,
            outage: None,
            received: Sightings::new(cluster.rules.node_timeout),
            answers_until: None,
        }))
    }

    /// The name of a server stands for these addresses now.
    pub(super) fn set_addresses(&mut self, name: &str, addresses: &[SocketAddr]) {
        self.route.set_addresses(name, addresses);
        if self.address.is_none() {
            // Nothing could be tried until now.
            self.next_attempt = Tick(0);
        }
    }

    /// A name of a server stands for nothing. Without any address, the broker is away.
    pub(super) fn miss_name(&mut self, now: Tick) {
        if self.route.is_empty() {
            self.outage.get_or_insert_with(|| Outage::begin(now));
        }
    }

    /// Whether no server is reached since one was missed.
    pub(super) fn is_away(&self) -> bool {
        self.outage.is_some()
    }

    /// What it speaks.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The subject or the channel.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// Since when datagrams go by it.
    pub(super) fn ready_since(&self) -> Option<Tick> {
        self.line.as_ref().and_then(Line::ready_since)
    }

    /// Whether the first datagrams of other nodes may come in a moment: it is tried for the first time, or was just reached.
    pub(super) fn is_opening(&self) -> bool {
        let is_first = self.ready_since().is_none() && self.outage.is_none();
        self.answers_until.is_some() || is_first
    }

    /// What the server is called that is not reached; `None` while one is, or was never missed.
    pub(super) fn missed(&self) -> Option<String> {
        self.outage.as_ref().map(|_| self.server())
    }

    /// What the server is called that was tried last.
    pub(super) fn server(&self) -> String {
        let address = self.address.map_or_else(|| "no-address".to_owned(), |address| address.to_string());
        format!("{}://{address}", self.kind.name())
    }

    /// Looks which of the siblings, which are received without the broker, are not received over it, if it is time.
    pub(super) fn look_for_siblings(
        &mut self,
        siblings: impl Iterator<Item = NodeId>,
        now: Tick,
    ) -> Option<Vec<NodeId>> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now.after(LOOK_INTERVAL);
        // Right after a start or an outage nothing can be said.
        let is_new = self.ready_since().is_none_or(|since| now < since.after(self.node_timeout));
        Some(siblings.filter(|&node| !is_new && !self.received.is_received(node, now)).collect())
    }

    /// Has a datagram sent to all nodes. Returns how many others were dropped for it; `None` if no server is reached.
    pub(super) fn send(&mut self, datagram: &[u8]) -> Option<usize> {
        self.line.as_mut()?.send(datagram)
    }

    /// Takes in what has come, as much as the budget allows, and hands on each datagram with the server that it came from. `each`
    /// returns its sender, if it is of the audience.
    pub(super) fn receive(
        &mut self,
        mut budget: usize,
        datagram_weight: usize,
        now: Now,
        mut each: impl FnMut(&[u8], Address) -> Option<NodeId>,
    ) -> Received {
        let Self { line: Some(line), received, .. } = self else { return Received { is_all: true, is_new: false } };
        let from = address_of(line.address);
        let taken = line.receive(&mut budget, datagram_weight, now.tick, |datagram| {
            if let Some(sender) = each(datagram, from) {
                received.see(sender, true, now.tick);
            }
        });
        match taken {
            Ok(taken) => {
                if taken.is_new {
                    self.begin(now);
                }
                Received { is_all: taken.is_all, is_new: taken.is_new }
            }
            Err(loss) => {
                self.lose(&loss, now.tick);
                Received { is_all: true, is_new: false }
            }
        }
    }

    /// Tries the next server, if it is time, and keeps the connection that there is.
    pub(super) fn handle_timeout(&mut self, reactor: &Reactor, is_bus_empty: bool, now: Tick) {
        self.answers_until = self.answers_until.filter(|&until| now < until);
        if self.line.is_none() && now >= self.next_attempt {
            self.open(reactor, now);
        }
        let Some(line) = &mut self.line else { return };
        if line.ready_since().is_some_and(|since| now >= since.after(SETTLED_AFTER)) {
            self.route.settle();
        }
        if let Err(loss) = line.keep(is_bus_empty, now).and_then(|()| line.watch(reactor)) {
            self.lose(&loss, now);
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, now: Tick) {
        if let Some(Err(loss)) = self.line.as_mut().map(Line::flush) {
            self.lose(&loss, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_deadline(&self) -> Tick {
        let due = self.line.as_ref().map_or(self.next_attempt, Line::next_deadline);
        self.answers_until.into_iter().fold(due, Tick::min)
    }

    fn open(&mut self, reactor: &Reactor, now: Tick) {
        self.address = self.route.next();
        let Some(address) = self.address else {
            self.next_attempt = now.after(self.route.fail());
            return;
        };
        let session = Session::new(self.kind, &self.channel, self.login.as_ref());
        match Line::open(address, session, reactor, self.token, now) {
            Ok(line) => self.line = Some(line),
            Err(loss) => self.lose(&loss, now),
        }
    }

    /// A server is reached.
    fn begin(&mut self, now: Now) {
        let Some(address) = self.address else { return };
        self.answers_until = Some(now.tick.after(ANSWER_PATIENCE));
        let outage_s = self.outage.take().map_or(0, |outage| now.tick.ms_since(outage.since) / 1_000);
        log::info(
            "broker_reached",
            &[("kind", self.kind.name().into()), ("server", Shown(&address)), ("outage_s", outage_s.into())],
        );
    }

    /// A server is lost, or was not reached.
    fn lose(&mut self, loss: &Loss, now: Tick) {
        (self.line, self.answers_until) = (None, None);
        if let Loss::Refused(Refusal::MasterAt { host, port }) = loss
            && self.route.follow(host, *port)
        {
            self.next_attempt = now.after(self.route.fail());
            log::debug("broker_replica", &[("master", Shown(&format_args!("{host}:{port}")))]);
            return;
        }
        self.next_attempt = now.after(self.route.fail());
        let mut reason = loss.to_string();
        if let Loss::Refused(refusal) = loss
            && refusal.is_of_credentials()
            && let Err(problem) = self.renew_login()
        {
            reason = format!("{reason} ({problem})");
        }
        self.log_loss(reason, now);
    }

    /// Reads the credentials again, which may have been replaced at the broker and in the file. A login that worked stays if they
    /// cannot be read.
    fn renew_login(&mut self) -> Result<(), String> {
        if let Some(credentials) = &self.credentials {
            self.login = Some(credentials.read_again()?);
        }
        Ok(())
    }

    /// Logs each reason of an outage once, and one a minute.
    fn log_loss(&mut self, reason: String, now: Tick) {
        let outage = self.outage.get_or_insert_with(|| Outage::begin(now));
        let is_known = outage.logged.len() >= REASONS_MAX || outage.logged.contains(&reason);
        if is_known && now < outage.logged_at.after(LOG_INTERVAL) {
            return;
        }
        let address = self.address.map_or_else(String::new, |address| address.to_string());
        log::warn(
            "broker_lost",
            &[("kind", self.kind.name().into()), ("server", address[..].into()), ("error", reason[..].into())],
        );
        outage.logged_at = now;
        if !is_known {
            outage.logged.push(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    const INFO: &[u8] = b"INFO {\"max_payload\":1048576}\r\n";

    /// A broker of the test's own, and a process that is to reach it.
    struct Scene {
        listener: TcpListener,
        reactor: Reactor,
        broker: Broker,
        received: Vec<Vec<u8>>,
        /// How much later than the reactor's it is.
        ahead: Duration,
    }

    impl Scene {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let args = vec!["-m".into(), format!("nats://{}/c", listener.local_addr().unwrap()).into()];
            let Ok(Command::Run(config)) = parse(args, |_| None) else { panic!("it is a command line") };
            let broker = Broker::new(&config.cluster, Token(7)).unwrap().unwrap();
            Self { listener, reactor: Reactor::new().unwrap(), broker, received: Vec::new(), ahead: Duration::ZERO }
        }

        /// Turns once; returns whether the broker was just reached.
        fn turn(&mut self) -> bool {
            let start = self.reactor.now().tick;
            let mut now = self.reactor.wait(Some(start.after(Duration::from_millis(10))), &mut Vec::new()).unwrap();
            now.tick = now.tick.after(self.ahead);
            let received = self.broker.receive(16_000, 64, now, |datagram, _| {
                self.received.push(datagram.to_vec());
                None
            });
            self.broker.handle_timeout(&self.reactor, received.is_all, now.tick);
            received.is_new
        }

        /// The server's end of the next connection, once the process is logged in.
        fn reach(&mut self) -> TcpStream {
            self.turn();
            let (mut server, _) = self.listener.accept().unwrap();
            server.write_all(INFO).unwrap();
            let mut said = Vec::new();
            while !said.windows(6).any(|bytes| bytes == b"PING\r\n") {
                self.turn();
                let mut bytes = [0; 1_000];
                server.set_nonblocking(true).unwrap();
                let count = server.peek(&mut bytes).unwrap_or(0);
                said.extend_from_slice(&bytes[..count]);
                server.set_nonblocking(false).unwrap();
            }
            let _ = server.read(&mut [0; 1_000]).unwrap();
            server.write_all(b"PONG\r\n").unwrap();
            while !self.turn() {}
            server
        }
    }

    #[test]
    fn a_broker_is_reached_lost_and_reached_again() {
        let mut scene = Scene::new();
        assert!(scene.broker.is_opening() && scene.broker.send(b"early").is_none());
        let mut server = scene.reach();
        assert!(scene.broker.missed().is_none() && scene.broker.ready_since().is_some());
        assert_eq!(scene.broker.send(b"one"), Some(0));
        server.write_all(b"MSG c 1 3\r\ntwo\r\n").unwrap();
        while scene.received.is_empty() {
            scene.turn();
        }
        assert_eq!(scene.received, [b"two"]);
        let mut bytes = [0; 100];
        let count = server.read(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"PUB c 3\r\none\r\n");
        drop(server);
        while scene.broker.missed().is_none() {
            scene.turn();
        }
        assert!(scene.broker.send(b"lost").is_none() && !scene.broker.is_opening());
        scene.listener.set_nonblocking(false).unwrap();
        while scene.broker.line.is_none() {
            scene.turn();
        }
        let _server = scene.reach();
        assert!(scene.broker.missed().is_none());
    }

    #[test]
    fn a_broker_that_answers_nothing_is_lost_in_time() {
        let mut scene = Scene::new();
        let _server = scene.reach();
        scene.ahead = Duration::from_millis(2_050);
        scene.turn();
        assert!(scene.broker.missed().is_none(), "it was asked just now");
        scene.ahead = Duration::from_millis(4_500);
        scene.turn();
        assert!(scene.broker.missed().is_none());
        scene.ahead = Duration::from_millis(5_200);
        scene.turn();
        assert_eq!(scene.broker.missed(), Some(scene.broker.server()));
    }
}
