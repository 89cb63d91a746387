//! Where a broker is tried next, and when.
//!
//! Owns the order of the servers, and the wait between two rounds. The servers are one linked cluster, so one is as good as
//! the next. A round tries each address once. The waits grow, and each is drawn from its whole length, so nodes that have
//! lost a broker together do not come back together.
//!
//! Invariant: an address is tried twice a second at most once a round has failed five times.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::Peer;

/// The longest wait after the first round that has failed; each further one may be twice as long.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait of all.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The addresses of a broker.
pub(super) struct Route {
    servers: Vec<Peer>,
    /// The place of the address that is tried next.
    next: usize,
    /// How many were tried in this round.
    tried_count: usize,
    /// The rounds that have failed in a row.
    failed_rounds: u32,
    /// The master of a replica that was tried.
    master: Option<SocketAddr>,
    hasher: RandomState,
    draws: u64,
}

impl Route {
    pub(super) fn new(servers: Vec<Peer>) -> Self {
        Self { servers, next: 0, tried_count: 0, failed_rounds: 0, master: None, hasher: RandomState::new(), draws: 0 }
    }

    /// The name of a server stands for these addresses now.
    pub(super) fn set_addresses(&mut self, name: &str, addresses: &[SocketAddr]) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.name == name) {
            server.addresses = addresses.to_vec();
        }
    }

    /// Whether no address is known.
    pub(super) fn is_empty(&self) -> bool {
        self.addresses().next().is_none()
    }

    /// The address to try now.
    pub(super) fn next(&mut self) -> Option<SocketAddr> {
        let next = self.master.take().or_else(|| self.addresses().nth(self.next));
        next.or_else(|| {
            self.next = 0;
            self.addresses().next()
        })
    }

    /// The address that was tried last has failed. Returns how long to wait before the next one.
    pub(super) fn fail(&mut self) -> Duration {
        let count = self.addresses().count().max(1);
        self.next = (self.next + 1) % count;
        self.tried_count += 1;
        if self.tried_count < count {
            return self.draw(WAIT_MIN);
        }
        self.tried_count = 0;
        self.failed_rounds += 1;
        self.draw(WAIT_MIN.saturating_mul(1 << (self.failed_rounds - 1).min(16)).min(WAIT_MAX))
    }

    /// The address that was tried last is a replica's, and its master is used. Returns whether the master can be tried.
    pub(super) fn follow(&mut self, host: &str, port: u16) -> bool {
        let known = |server: &&Peer| server.name.rsplit_once(':').is_some_and(|(name, _)| name == host);
        let of_name = self.servers.iter().find(known).and_then(|server| server.addresses.first().map(SocketAddr::ip));
        let ip = host.parse::<IpAddr>().ok().or(of_name);
        self.master = ip.map(|ip| SocketAddr::new(ip, port));
        self.master.is_some()
    }

    /// The address that was tried last works, and has for a while.
    pub(super) fn settle(&mut self) {
        (self.tried_count, self.failed_rounds) = (0, 0);
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().flat_map(|server| &server.addresses).copied()
    }

    /// A part of the longest wait, each as likely as the others.
    fn draw(&mut self, longest: Duration) -> Duration {
        self.draws += 1;
        let permille = u32::try_from(self.hasher.hash_one(self.draws) % 1_001).unwrap_or(0);
        longest * permille / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(addresses: &[&str]) -> Route {
        let server = |text: &&str| Peer { name: (*text).to_owned(), addresses: vec![text.parse().unwrap()] };
        Route::new(addresses.iter().map(server).collect())
    }

    #[test]
    fn each_address_is_tried_once_in_a_round_and_the_waits_grow() {
        let mut route = route(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let mut longest = Vec::new();
        for _ in 0..12 {
            for host in 1..=3 {
                assert_eq!(route.next(), Some(SocketAddr::from(([10, 0, 0, host], 1))));
                let wait = route.fail();
                assert!(wait <= if host < 3 { WAIT_MIN } else { WAIT_MAX }, "{wait:?}");
                longest.extend((host == 3).then_some(wait));
            }
        }
        assert!(longest[0] <= WAIT_MIN && longest[6..].iter().any(|&wait| wait > WAIT_MIN), "{longest:?}");
        route.settle();
        assert_eq!((route.tried_count, route.failed_rounds), (0, 0));
    }

    #[test]
    fn a_master_is_tried_before_the_next_server_and_once() {
        let mut route = route(&["10.0.0.1:1", "10.0.0.2:1"]);
        assert!(route.follow("10.0.0.9", 7));
        assert_eq!(route.next(), Some("10.0.0.9:7".parse().unwrap()));
        route.fail();
        assert_eq!(route.next(), Some("10.0.0.2:1".parse().unwrap()));
        assert!(!route.follow("a-name", 7), "no name is looked up here");
        route.servers[0].name = "a-name:1".to_owned();
        assert!(route.follow("a-name", 7));
        assert_eq!(route.next(), Some("10.0.0.1:7".parse().unwrap()));
    }

    #[test]
    fn without_addresses_nothing_is_tried() {
        let mut route = Route::new(Vec::new());
        assert_eq!(route.next(), None);
        assert!(route.fail() <= WAIT_MIN);
    }
}
