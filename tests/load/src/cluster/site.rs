//! Where the daemons of a cluster are, and what carries their datagrams.
//!
//! Owns the hosts and the broker, which last for all rounds, and the options of each daemon.

use std::net::{Ipv4Addr, SocketAddr};

use audience_kit::{Broker, Program as BrokerProgram};

use super::switch::{self, Switch};
use crate::host::Host;
use crate::options::Bus;
use crate::ports::free_port;
use crate::{Result, progress};

/// The audience port at a host of its own.
const PORT: u16 = 3000;

/// The group of the hosts.
const GROUP: &str = "239.255.13.37:314";

/// The hosts, and what is between them.
pub(super) struct Site {
    bus: Bus,
    /// How many daemons have a host.
    daemon_count: usize,
    switch: Option<Switch>,
    pub(super) broker: Option<Broker>,
}

/// Where one daemon is.
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) audience: SocketAddr,
    pub(super) options: Vec<String>,
}

/// # Errors
/// The bus takes a broker, which is not installed; the line says how to install it.
pub(super) fn check(bus: Bus) -> Result<()> {
    Ok(broker_of(bus).map_or(Ok(()), BrokerProgram::find)?)
}

fn broker_of(bus: Bus) -> Option<BrokerProgram> {
    match bus {
        Bus::Loopback | Bus::Multicast | Bus::Peers => None,
        Bus::Nats => Some(BrokerProgram::Nats),
        Bus::Redis => Some(BrokerProgram::Redis),
    }
}

impl Site {
    /// Makes room for this number of daemons and one more, and starts the broker.
    ///
    /// # Errors
    /// There can be no hosts.
    pub(super) fn build(bus: Bus, daemon_count: usize) -> Result<Self> {
        progress("hosts");
        let switch = if bus == Bus::Loopback { None } else { Some(Switch::build(daemon_count + 1)?) };
        let broker = broker_of(bus).map(|program| Broker::start_on(switch::ADDRESS, program));
        Ok(Self { bus, daemon_count, switch, broker })
    }

    /// Whether each daemon has a host to itself.
    pub(super) fn is_apart(&self) -> bool {
        self.switch.is_some()
    }

    /// The places of the daemons of a round, and of one more.
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        let Some(switch) = &self.switch else {
            let audience = (Ipv4Addr::LOCALHOST, free_port()?).into();
            let place = || Place { host: Host::default(), audience, options: Vec::new() };
            return Ok((0..=self.daemon_count).map(|_| place()).collect());
        };
        let place = |(number, host): (usize, &Host)| {
            let ip = Switch::address(number)?;
            Ok(Place { host: host.clone(), audience: (ip, PORT).into(), options: self.options(ip)? })
        };
        switch.hosts.iter().enumerate().map(place).collect()
    }

    /// The options by which the daemon at an address finds the others.
    fn options(&self, ip: Ipv4Addr) -> Result<Vec<String>> {
        let options = match (self.bus, &self.broker) {
            (_, Some(broker)) => vec!["-m".to_owned(), broker.url()],
            (Bus::Peers, _) => {
                let peer = |number| Switch::address(number).map(|ip| format!("{ip}:{PORT}"));
                let peers = (0..self.daemon_count).map(peer).collect::<Result<Vec<_>>>()?;
                vec!["--cluster-peers".to_owned(), peers.join(",")]
            }
            _ => ["-m", GROUP, "--cluster-interface", &ip.to_string()].map(str::to_owned).into(),
        };
        Ok(options)
    }
}
