//! The measured side: processes that serve one audience, as one.
//!
//! Owns them and adds up what they have spent. They are daemons, or the floor that daemons are compared with.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Result;
use super::daemon::{Counts, Daemon, Program, Sent};
use super::options::Running;
use super::pages;
use super::ports::free_port;
use super::process::Process;

/// Processes that serve one audience.
pub(super) struct Server {
    daemons: Vec<Daemon>,
    /// The floor knows no other processes, so each of them gets every message.
    is_floor: bool,
}

impl Server {
    /// Starts daemons on a port that is free.
    pub(super) fn start_daemons(program: &Program, processes: usize, counts: Counts) -> Result<Self> {
        let port = free_port()?;
        let daemons = (0..processes).map(|_| Daemon::start(program, port, counts)).collect::<Result<_>>()?;
        Ok(Self { daemons, is_floor: false })
    }

    /// Starts processes of the floor on a port that is free.
    pub(super) fn start_floor(processes: usize) -> Result<Self> {
        let port = free_port()?;
        let daemons = (0..processes).map(|_| Daemon::start_floor(port)).collect::<Result<_>>()?;
        Ok(Self { daemons, is_floor: true })
    }

    /// A daemon that is running already.
    pub(super) fn at(running: &Running) -> Self {
        Self { daemons: vec![Daemon::at(running)], is_floor: false }
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

    /// The time that all of them have spent on a CPU, in nanoseconds; `None` of processes that are not known.
    pub(super) fn cpu_ns(&self) -> Result<Option<u64>> {
        self.sum(Process::cpu_ns)
    }

    /// How often they were woken.
    pub(super) fn wake_ups(&self) -> Result<Option<u64>> {
        self.sum(Process::wake_ups)
    }

    /// Their memory that belongs to no file, in bytes.
    pub(super) fn anonymous_bytes(&self) -> Result<Option<u64>> {
        self.sum(Process::anonymous_bytes)
    }

    /// Their share of all memory that they have mapped, in bytes.
    pub(super) fn proportional_bytes(&self) -> Result<Option<u64>> {
        self.sum(Process::proportional_bytes)
    }

    /// Whether all of them wait for an event.
    pub(super) fn is_asleep(&self) -> Result<bool> {
        let mut processes = self.daemons.iter().filter_map(|daemon| daemon.process.as_ref());
        processes.try_fold(true, |all, process| Ok(all && process.is_asleep()?))
    }

    /// A wrong number of members in the stats of one of them, if there is one.
    pub(super) fn find_wrong(&self, truth: &HashMap<String, u64>) -> Result<Option<String>> {
        for (number, daemon) in self.daemons.iter().enumerate() {
            let Some(stats) = daemon.find_stats()? else { continue };
            let members = pages::members(&stats);
            if let Some((name, said, there)) = pages::find_wrong(&members, truth) {
                return Ok(Some(format!("stats {number} of {name} say {said} members, and {there} are there")));
            }
        }
        Ok(None)
    }

    /// How long the turns of a single daemon were, in microseconds: the bound of 999 of 1000, and the longest.
    pub(super) fn turns_us(&self) -> Result<(u64, u64)> {
        let turns = self.daemons[0].process_page()?.turns;
        Ok((turns.most_below_us(), turns.longest_us))
    }

    /// Whether messages can be sent.
    pub(super) fn takes_messages(&self) -> bool {
        self.daemons[0].takes_messages()
    }

    /// Sends a message to the members of a namespace. Daemons pass it on to each other; processes of the floor do not.
    pub(super) fn send_message(&self, namespace: &str, text: &str) -> Result<Vec<Sent>> {
        let receivers = if self.is_floor { self.daemons.len() } else { 1 };
        self.daemons.iter().take(receivers).map(|daemon| daemon.send_message(namespace, text)).collect()
    }

    /// Adds the last words of processes that have ended to an error.
    pub(super) fn explain(&mut self, error: Box<dyn std::error::Error>) -> Box<dyn std::error::Error> {
        self.daemons.iter_mut().fold(error, |error, daemon| daemon.explain(error))
    }

    fn sum(&self, of: fn(&Process) -> Result<u64>) -> Result<Option<u64>> {
        let processes: Option<Vec<&Process>> = self.daemons.iter().map(|daemon| daemon.process.as_ref()).collect();
        processes.map(|processes| processes.into_iter().map(of).sum()).transpose()
    }
}
