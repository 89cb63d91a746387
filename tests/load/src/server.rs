//! What is measured: processes that serve one audience, as one.
//!
//! Owns them and adds up what they have spent. They are daemons, or the floor that daemons are compared with.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::Result;
use super::daemon::{Daemon, Notified, Telling, free_port};
use super::options::Running;
use super::process::Process;

/// What kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The daemon that was built with this program.
    Daemon,
    /// The floor.
    Floor,
}

/// Processes that serve one audience.
pub(super) struct Server {
    daemons: Vec<Daemon>,
    kind: Kind,
}

impl Server {
    /// Starts so many on a port that is free.
    pub(super) fn start(kind: Kind, processes: usize, telling: Telling) -> Result<Self> {
        let port = free_port()?;
        let start = |_| match kind {
            Kind::Daemon => Daemon::start(port, telling),
            Kind::Floor => Daemon::start_floor(port),
        };
        Ok(Self { daemons: (0..processes).map(start).collect::<Result<_>>()?, kind })
    }

    /// A daemon that is running already.
    pub(super) fn at(running: &Running) -> Self {
        Self { daemons: vec![Daemon::at(running)], kind: Kind::Daemon }
    }

    /// Where members join.
    pub(super) fn audience(&self) -> SocketAddr {
        self.daemons[0].audience
    }

    /// A stream that watches all events.
    pub(super) fn watch_all(&self) -> Result<TcpStream> {
        self.daemons[0].watch_all()
    }

    /// The least time between two counts.
    pub(super) fn min_delay(&self) -> Duration {
        self.daemons[0].min_delay
    }

    /// Whether what it spends can be read.
    pub(super) fn is_open_to_view(&self) -> bool {
        self.daemons.iter().all(|daemon| daemon.process.is_some())
    }

    /// The time that all of them have spent on a CPU, in nanoseconds.
    pub(super) fn cpu_ns(&self) -> Result<Option<u64>> {
        self.sum(Process::cpu_ns)
    }

    /// How often they were woken.
    pub(super) fn wake_ups(&self) -> Result<Option<u64>> {
        self.sum(Process::wake_ups)
    }

    /// Their memory that is no file's, in bytes.
    pub(super) fn anonymous_bytes(&self) -> Result<Option<u64>> {
        self.sum(Process::anonymous_bytes)
    }

    /// Their share of all memory that they have mapped, in bytes.
    pub(super) fn proportional_bytes(&self) -> Result<Option<u64>> {
        self.sum(Process::proportional_bytes)
    }

    /// Whether all wait for something to happen.
    pub(super) fn is_asleep(&self) -> Result<bool> {
        let mut processes = self.daemons.iter().filter_map(|daemon| daemon.process.as_ref());
        processes.try_fold(true, |all, process| Ok(all && process.is_asleep()?))
    }

    /// What one of them says of the members of each namespace that is not the truth, if one does.
    pub(super) fn find_wrong(&self, truth: &HashMap<String, u64>) -> Result<Option<String>> {
        for (number, daemon) in self.daemons.iter().enumerate() {
            let Some(members) = daemon.members()? else { continue };
            let wrong = truth.iter().find_map(|(name, &truth)| {
                let said = members.get(name).copied().unwrap_or(0);
                (said != truth).then(|| format!("stats {number} of {name} say {said} members, and {truth} are there"))
            });
            if wrong.is_some() {
                return Ok(wrong);
            }
        }
        Ok(None)
    }

    /// How long the turns of a single daemon were, in microseconds: below how much 999 of 1000 stayed, and the longest.
    pub(super) fn turns_us(&self) -> Result<(u64, u64)> {
        let figures = self.daemons[0].figures("/process")?;
        let longest = figures.pointer("/turns/longest_us").and_then(Value::as_u64);
        let longest = longest.ok_or("the stats do not say how long turns take")?;
        let buckets = figures.pointer("/turns/histogram").and_then(Value::as_array);
        let buckets: Vec<(Option<u64>, u64)> = buckets
            .into_iter()
            .flatten()
            .filter_map(|bucket| Some((bucket.get("below_us")?.as_u64(), bucket.get("turns")?.as_u64()?)))
            .collect();
        let most = buckets.iter().map(|&(_, turns)| turns).sum::<u64>() / 1000 * 999;
        let mut turns_below = 0;
        let covers_most = |&(_, turns): &(Option<u64>, u64)| {
            turns_below += turns;
            turns_below >= most
        };
        let bound = buckets.into_iter().find(covers_most).and_then(|(below_us, _)| below_us);
        Ok((bound.unwrap_or(longest), longest))
    }

    /// Whether messages can be sent.
    pub(super) fn takes_messages(&self) -> bool {
        self.daemons[0].takes_messages()
    }

    /// Hands a message to the members of a namespace over. Daemons pass it on; of a floor, each process is told.
    pub(super) fn notify(&self, namespace: &str, text: &str) -> Result<Vec<Notified>> {
        let told = if self.kind == Kind::Floor { self.daemons.len() } else { 1 };
        self.daemons.iter().take(told).map(|daemon| daemon.notify(namespace, text)).collect()
    }

    /// Adds to an error what the processes that have ended have to say to it.
    pub(super) fn explain(&mut self, error: Box<dyn std::error::Error>) -> Box<dyn std::error::Error> {
        self.daemons.iter_mut().fold(error, |error, daemon| daemon.explain(error))
    }

    fn sum(&self, of: fn(&Process) -> Result<u64>) -> Result<Option<u64>> {
        if !self.is_open_to_view() {
            return Ok(None);
        }
        self.daemons.iter().filter_map(|daemon| daemon.process.as_ref()).map(of).sum::<Result<u64>>().map(Some)
    }
}
