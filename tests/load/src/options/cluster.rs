//! The flags of the measurements of several daemons.

use std::fmt;

use clap::{Args, ValueEnum};

use super::{ProgramOption, at_least_one};

/// The most daemons of a cluster. Their hosts and one more have addresses in one network of 254.
const CLUSTER_MAX: usize = 250;

pub(super) const NOTES: &str = "\
By loopback all daemons are at this host, and the kernel picks the daemon of each join. By any other bus each daemon is at a
host of its own: a network namespace at a switch, so nothing but the bus is common to them. This takes root and iproute2. The
broker is started at the switch: it takes nats-server or redis-server, as Debian has them.

A broker is ended and started again, too: once at once, and once after all daemons have taken each other for departed.
Figures are those of the busiest daemon.";

/// What carries the datagrams of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bus {
    /// multicast on loopback, all daemons at one host
    Loopback,
    /// multicast between hosts
    Multicast,
    /// unicast between listed hosts
    Peers,
    /// a server of NATS
    Nats,
    /// a server of Redis
    Redis,
}

impl fmt::Display for Bus {
    /// As the flag takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// What to measure of a cluster.
#[derive(Args)]
pub(crate) struct ClusterOptions {
    /// what carries the datagrams
    #[arg(long, value_name = "bus", default_value = "loopback")]
    pub(crate) bus: Bus,
    /// number of daemons
    #[arg(short = 'w', long, value_name = "num", default_value = "4", value_parser = several)]
    pub(crate) processes: usize,
    /// number of events that are quiet
    #[arg(short = 'e', long = "concurrent-events", value_name = "num", default_value = "100000", value_parser = at_least_one)]
    pub(crate) namespaces: usize,
    /// number of joins in each round whose way to another daemon's stats is timed
    #[arg(long, value_name = "num", default_value = "100", value_parser = at_least_one)]
    pub(crate) joins: usize,
    /// seconds for which traffic and CPU are measured, each time
    #[arg(long = "hold", value_name = "seconds", default_value = "10", value_parser = at_least_one)]
    pub(crate) span_s: usize,
    /// number of rounds
    #[arg(short = 'r', long, value_name = "num", default_value = "3", value_parser = at_least_one)]
    pub(crate) rounds: usize,
    #[command(flatten)]
    pub(crate) program: ProgramOption,
}

fn several(text: &str) -> std::result::Result<usize, String> {
    match at_least_one(text)? {
        number @ 2..=CLUSTER_MAX => Ok(number),
        _ => Err(format!("give 2 to {CLUSTER_MAX}")),
    }
}
