//! The names of other hosts, and the addresses that they have now: a host that is replaced has another one.
//!
//! Owns when a name is looked up: at once where it has no address, again every 30 s, and sooner while they are
//! [wanted](Names::want_all). What looks it up is in `lookup`. It does not know what the addresses are for.
//!
//! Invariant: one name is looked up at a time. The addresses of a name stay until others are found.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::lookup::Lookup;
use crate::collections::tick::Tick;
use crate::config::{Config, Peer};
use crate::log;
use crate::reactor::{Reactor, Token};

/// How often a name is looked up whose addresses are known.
const INTERVAL: Duration = Duration::from_secs(30);

/// How often one without an address is. A look-up takes a process, which takes 1 ms to start.
const INTERVAL_MIN: Duration = Duration::from_secs(2);

/// How often those are that are [wanted](Names::want_all): as often as a broker is tried that is away.
const INTERVAL_WANTED: Duration = Duration::from_secs(5);

/// How long hosts that were just found, by a name or over a broker, may take to answer a newcomer: two round trips, on machines that
/// are busy.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_millis(200);

/// The names that are followed.
pub struct Names {
    all: Vec<Followed>,
    /// What is looked up now, by its place.
    lookup: Option<(usize, Lookup)>,
    token: Token,
}

/// A name, and what is known of it.
struct Followed {
    name: Rc<str>,
    addresses: Vec<SocketAddr>,
    /// Whether the last look-up has found nothing.
    is_missing: bool,
    last: Tick,
    next: Tick,
}

impl Names {
    /// The names of the settings. The answers to look-ups come under this token.
    #[must_use]
    pub fn of(config: &Config, token: Token, now: Tick) -> Self {
        let mut names = Self { all: Vec::new(), lookup: None, token };
        config.hosts().for_each(|host| names.follow(host, now));
        names
    }

    /// Follows the name of a host from now on, unless it is an address.
    fn follow(&mut self, host: &Peer, now: Tick) {
        let is_followed = self.all.iter().any(|known| *known.name == *host.name);
        if is_followed || host.name.parse::<SocketAddr>().is_ok() {
            return;
        }
        let mut addresses = host.addresses.clone();
        addresses.sort_unstable();
        let next = if addresses.is_empty() { now } else { now.after(INTERVAL) };
        self.all.push(Followed { name: host.name.as_str().into(), addresses, is_missing: false, last: now, next });
    }

    /// Looks all names up soon: what they stand for may have changed.
    pub(super) fn want_all(&mut self) {
        for known in &mut self.all {
            known.next = known.next.min(known.last.after(INTERVAL_WANTED));
        }
    }

    /// The addresses of a name that is followed.
    #[must_use]
    pub fn addresses(&self, name: &str) -> &[SocketAddr] {
        self.all.iter().find(|known| *known.name == *name).map_or(&[], |known| &known.addresses)
    }

    /// Whether a name may be found in a moment, for the first time.
    pub(super) fn are_opening(&self) -> bool {
        self.all.iter().any(|known| known.addresses.is_empty() && !known.is_missing)
    }

    /// The names that the last look-up has not found.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Rc<str>> {
        self.all.iter().filter(|known| known.is_missing).map(|known| &known.name)
    }

    /// Goes on. Returns the name that was found now.
    pub fn advance(&mut self, reactor: &Reactor, now: Tick) -> Option<Rc<str>> {
        if self.lookup.is_none()
            && let Some(place) = (0..self.all.len()).min_by_key(|&place| self.all[place].next)
            && self.all[place].next <= now
        {
            match Lookup::start(&self.all[place].name, reactor, self.token, now) {
                Ok(lookup) => self.lookup = Some((place, lookup)),
                Err(error) => return self.settle(place, Err(error.to_string()), now),
            }
        }
        let (place, lookup) = self.lookup.as_mut()?;
        let (place, found) = (*place, lookup.advance(now)?);
        self.lookup = None;
        self.settle(place, found, now)
    }

    /// Takes down what was found of the name at this place.
    fn settle(&mut self, place: usize, found: Result<Vec<SocketAddr>, String>, now: Tick) -> Option<Rc<str>> {
        let known = self.all.get_mut(place)?;
        let (was_missing, is_new) = (known.is_missing, known.addresses.is_empty() && !known.is_missing);
        (known.last, known.is_missing) = (now, found.is_err());
        match found {
            Ok(addresses) => {
                known.next = now.after(INTERVAL);
                if known.addresses != addresses && !is_new {
                    let count = addresses.len() as u64;
                    log::info("name_moved", &[("name", known.name[..].into()), ("addresses", count.into())]);
                }
                known.addresses = addresses;
                Some(Rc::clone(&known.name))
            }
            Err(error) => {
                known.next = now.after(INTERVAL_MIN);
                if !was_missing {
                    log::warn("name_missing", &[("name", known.name[..].into()), ("error", error[..].into())]);
                }
                None
            }
        }
    }

    /// When [`advance`](Self::advance) has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        match &self.lookup {
            Some((_, lookup)) => Some(lookup.next_deadline()),
            None => self.all.iter().map(|known| known.next).min(),
        }
    }
}
