//! Two hosts with two processes each, and what all members are shown while something breaks and heals.
//!
//! Owns the processes, their members, and the moments of a fault. It knows no fault.
//!
//! The processes have 1, 2, 4 and 8 members, so a count says which processes it covers. One member of each process is
//! observed.
//!
//! Invariant: from the fault to the end, no member is shown a count beyond those that the test names.

use std::time::{Duration, Instant};

use super::super::siblings::join_at;
use super::observer::Observer;
use super::table::{Measured, print_row};
use audience_kit::*;

/// The host that something happens to, and the other one.
pub(super) const HERE: usize = 0;
pub(super) const THERE: usize = 1;

/// The host and the number of members of each process.
const PROCESSES: [(usize, u64); 4] = [(HERE, 1), (HERE, 2), (THERE, 4), (THERE, 8)];

/// All members.
pub(super) const ALL: u64 = 15;

/// Every change is pushed, a tenth of a second after the one before it at the latest.
const ALL_CHANGES: [&str; 4] = ["--notify-min-delay", "0.1", "--notify-delta-ratio", "0"];

/// The multicast group of the hosts.
pub(super) const GROUP: &str = "239.255.13.37:3140";

/// How the hosts find each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Group,
    Peers,
}

impl Way {
    /// The option that says so.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Group => "-m",
            Self::Peers => "--cluster-peers",
        }
    }

    /// The options of the processes of a host.
    pub(super) fn options(self, host: usize) -> Vec<String> {
        let option = self.option().to_owned();
        match self {
            Self::Group => vec![option, GROUP.to_owned(), "--cluster-interface".to_owned(), address(host)],
            Self::Peers => vec![option, format!("{}:{}", address(1 - host), Node::PORT)],
        }
    }
}

/// What members of each host were shown once it was true, and for how long something else, if it was.
#[derive(Clone, Copy)]
struct Settled {
    counts: [u64; 2],
    wrong: Option<Duration>,
}

/// The options of the processes of a host.
type Options<'a> = dyn Fn(usize) -> Vec<String> + 'a;

/// The hosts, their processes and their members.
pub(super) struct Scene<'a> {
    observers: [Option<Observer>; PROCESSES.len()],
    members: [Vec<Stream>; PROCESSES.len()],
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    way: Way,
    options: Box<Options<'a>>,
    /// The least that members of each host may be shown.
    least: [u64; 2],
    /// The most that members may be shown.
    most: u64,
    fault: Instant,
    /// What the members are shown while the fault lasts.
    settled: Option<Settled>,
    end: Option<Instant>,
    /// A process that shows its members nothing while the fault lasts.
    hung: Option<usize>,
}

impl<'a> Scene<'a> {
    /// Starts all, and waits until all members are shown the total. Says why the test is left out if there cannot be hosts.
    #[track_caller]
    pub(super) fn build(way: Way) -> Option<Self> {
        Some(Self::with(Network::build()?, way, move |host| way.options(host)))
    }

    /// The same in a network that is there already, with other options for the processes of a host.
    #[track_caller]
    pub(super) fn with(network: Network, way: Way, options: impl Fn(usize) -> Vec<String> + 'a) -> Self {
        let nodes = PROCESSES.map(|(host, _)| start(&network, host, &options)).into();
        let mut scene = Self {
            observers: Default::default(),
            members: Default::default(),
            nodes,
            network,
            way,
            options: Box::new(options),
            least: [ALL, ALL],
            most: ALL,
            fault: now(),
            settled: None,
            end: None,
            hung: None,
        };
        scene.wait_nodes();
        (0..PROCESSES.len()).for_each(|process| scene.join_all(process));
        scene.wait_counts([ALL, ALL]);
        scene
    }

    #[track_caller]
    fn wait_nodes(&self) {
        super::super::hosts::wait_nodes(&self.nodes, self.nodes.len() as u64);
    }

    /// All members of a process join it; the first one is observed.
    #[track_caller]
    fn join_all(&mut self, process: usize) {
        let (stream, first) = self.join(process);
        self.observers[process] = Some(Observer::begin(stream, first));
        (1..PROCESSES[process].1).for_each(|_| self.join_one(process));
    }

    #[track_caller]
    fn join(&self, process: usize) -> (Stream, u64) {
        let node = &self.nodes[process];
        node.within(|| join_at(&node.daemon, "/ns"))
    }

    /// One more member joins a process.
    #[track_caller]
    pub(super) fn join_one(&mut self, process: usize) {
        let member = self.join(process).0;
        self.members[process].push(member);
    }

    /// One member leaves a process that has more than the observed one.
    pub(super) fn leave_one(&mut self, process: usize) {
        drop(self.members[process].pop().unwrap());
    }

    /// Ends a process without a goodbye, and its streams with it.
    #[track_caller]
    pub(super) fn kill(&mut self, process: usize) {
        self.nodes[process].daemon.signal("KILL");
        self.nodes[process].daemon.wait_exit();
        self.observers[process] = None;
        self.members[process].clear();
    }

    /// Some members come back to another process before it is known that theirs is gone. Until then they are counted twice.
    #[track_caller]
    pub(super) fn come_back(&mut self, count: u64, process: usize) {
        self.most = ALL + count;
        (0..count).for_each(|_| self.join_one(process));
    }

    /// Waits until one process less is known at all others.
    #[track_caller]
    pub(super) fn wait_gone(&self, process: usize) {
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != process);
        for (_, node) in others {
            wait_until("that the process is gone", || node.nodes() == PROCESSES.len() as u64 - 1);
        }
    }

    /// Another process takes the place of one that has ended, and its members come back.
    #[track_caller]
    pub(super) fn replace(&mut self, process: usize) {
        self.nodes[process] = start(&self.network, PROCESSES[process].0, &*self.options);
        self.wait_nodes();
        self.join_all(process);
    }

    /// A process hangs: its members are shown nothing until it goes on.
    pub(super) fn stop(&mut self, process: usize) {
        self.nodes[process].daemon.signal("STOP");
        self.hung = Some(process);
    }

    /// It goes on.
    pub(super) fn go_on(&mut self) {
        self.nodes[self.hung.unwrap()].daemon.signal("CONT");
        self.hung = None;
    }

    /// The fault begins, by this act.
    pub(super) fn begin_fault(&mut self, act: impl FnOnce(&mut Self)) {
        self.fault = now();
        self.settled = None;
        act(self);
    }

    /// The fault ends, by this act.
    pub(super) fn end_fault(&mut self, act: impl FnOnce(&mut Self)) {
        self.end = Some(now());
        act(self);
    }

    /// Waits until the members of this host and of the other one are shown these counts, which are true of what can be reached.
    #[track_caller]
    pub(super) fn settle(&mut self, counts: [u64; 2]) {
        self.wait_counts(counts);
        self.least = [HERE, THERE].map(|host| self.least[host].min(counts[host]));
        self.most = counts.into_iter().fold(self.most, u64::max);
        let wrong = self.last_change(self.fault, |host| counts[host]);
        self.settled.get_or_insert(Settled { counts, wrong });
    }

    #[track_caller]
    pub(super) fn wait_counts(&self, counts: [u64; 2]) {
        let shown = || self.observed().map(|(host, observer)| (observer.last(), counts[host])).collect::<Vec<_>>();
        let deadline = Deadline::after(SOON);
        while shown().iter().any(|(shown, wanted)| shown != wanted) {
            assert!(deadline.left().is_some(), "shown and wanted, by process: {:?}\n{}", shown(), self.answers());
            pass(ms(5));
        }
    }

    /// Waits until a process of a host reports a trouble.
    #[track_caller]
    pub(super) fn wait_trouble(&self, host: usize, kind: &str) {
        let reports = |node: &Node| {
            let page = node.ask("/cluster");
            page["troubles"].as_array().unwrap().iter().any(|trouble| trouble["kind"] == kind)
        };
        wait_until(kind, || self.of_host(host).any(reports));
    }

    /// Waits until both processes of a host say that what they send does not leave by this way.
    #[track_caller]
    pub(super) fn wait_unsent(&self, host: usize, way: &str) {
        let is_at = |place: &String| place.starts_with(way);
        wait_until("that it says so", || self.of_host(host).all(|node| unsent(node).iter().any(is_at)));
    }

    /// Waits until all that is sent leaves all processes. None of them has dropped a datagram.
    #[track_caller]
    pub(super) fn wait_sent(&self) {
        wait_until("that all is well", || self.nodes.iter().all(|node| unsent(node).is_empty()));
        for node in &self.nodes {
            assert_eq!(node.ask("/cluster")["datagrams"]["dropped"], serde_json::json!({}), "a copy is no drop");
        }
    }

    /// Waits until both processes of a host have logged an event that often.
    #[track_caller]
    pub(super) fn wait_log(&self, host: usize, event: &str, times: usize) {
        let count = |node: &Node| node.daemon.log().iter().filter(|line| line.contains(event)).count();
        wait_until(event, || self.of_host(host).all(|node| count(node) == times));
    }

    fn of_host(&self, host: usize) -> impl Iterator<Item = &Node> {
        self.nodes.iter().zip(PROCESSES).filter(move |(_, (of, _))| *of == host).map(|(node, _)| node)
    }

    /// Nothing else is shown for this long.
    #[track_caller]
    pub(super) fn stay(&self, counts: [u64; 2], time: Duration) {
        let from = now();
        pass(time);
        for (host, observer) in self.observed() {
            let shown = observer.shown(from);
            assert!(shown.iter().all(|&(_, count)| count == counts[host]), "host {host}: {shown:?}");
        }
    }

    /// The observed members of the processes that do not hang, with their hosts.
    fn observed(&self) -> impl Iterator<Item = (usize, &Observer)> {
        let hosts = PROCESSES.iter().map(|(host, _)| *host);
        let all = hosts.zip(&self.observers).enumerate().filter(|(process, _)| Some(*process) != self.hung);
        all.filter_map(|(_, (host, observer))| Some((host, observer.as_ref()?)))
    }

    /// What all processes say, for a test that failed.
    fn answers(&self) -> String {
        let nodes = self.nodes.iter().enumerate().filter(|(process, _)| Some(*process) != self.hung);
        nodes.map(|(_, node)| node.answers() + "\n").collect()
    }

    /// Waits until the total is whole again, and makes a row of it all: what happened, and the trouble that was reported.
    #[track_caller]
    pub(super) fn finish(self, fault: &'static str, report: Option<&'static str>) {
        self.wait_counts([ALL, ALL]);
        let Settled { counts, wrong } = self.settled.unwrap();
        for (host, observer) in self.observed() {
            let shown = observer.shown(self.fault);
            let may_be = self.least[host]..=self.most;
            assert!(shown.iter().all(|(_, count)| may_be.contains(count)), "{fault}, host {host}: {shown:?}");
        }
        let healed = self.end.and_then(|end| self.last_change(end, |_| ALL));
        print_row(&Measured { fault, way: self.way, counts, most: self.most, wrong, healed, report });
    }

    /// How long after a moment all members were shown these counts; nothing if they were shown no other.
    fn last_change(&self, from: Instant, wanted: impl Fn(usize) -> u64) -> Option<Duration> {
        let change = |(host, observer): (usize, &Observer)| {
            let shown = observer.shown(from);
            let wrong = shown.iter().rposition(|&(_, count)| count != wanted(host))?;
            Some(shown.get(wrong + 1).unwrap_or_else(|| panic!("{shown:?} at host {host}")).0 - from)
        };
        self.observed().filter_map(change).max()
    }
}

/// What does not leave a process: by which way, and why.
fn unsent(node: &Node) -> Vec<String> {
    let page = node.ask("/cluster");
    let troubles = page["troubles"].as_array().unwrap().iter().filter(|trouble| trouble["kind"] == "unsent");
    troubles.map(|trouble| trouble["address"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn start(network: &Network, host: usize, options: &Options) -> Node {
    let options = options(host);
    let options = ALL_CHANGES.into_iter().chain(options.iter().map(String::as_str)).collect::<Vec<_>>();
    Node::start(network, host, &options)
}
