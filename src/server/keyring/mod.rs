//! The keys that seal datagrams, and when they change.
//!
//! Owns where the keys of each of the two scopes come from. With a key from the operator both have that one. Without, the
//! network has none, and the loopback bus has a key that the processes of one user share: another user of the host, who can
//! send to the bus, is not believed. Siblings give it to each other at their doors, so those are opened here.
//!
//! | file | owns |
//! |---|---|
//! | `watch` | when a file of keys is looked at again |
//! | `start_turn` | processes of an audience start one after another |
//! | `shared` | the key that the processes of one user share |
//!
//! Invariant: the bus has the keys that are here.

mod shared;
mod start_turn;
pub(super) mod watch;

use std::error::Error;

use super::bus::{Bus, BusKeys};
use super::ports::listeners::Listeners;
use super::siblings::{Siblings, knocks};
use crate::collections::tick::{Now, Tick};
use crate::config::identity::Identity;
use crate::config::{Config, KeyFile};
use crate::log;
use crate::meter::Meter;
use crate::meter::news::NodeId;
use crate::reactor::{Reactor, Token, local};
use shared::SharedKey;
use start_turn::StartTurn;
use watch::{KeyUse, KeyWatch};

/// What may change the keys.
pub(super) struct Keyring {
    watch: Option<KeyWatch>,
    shared: Option<SharedKey>,
    /// `None` where they cannot be seen.
    siblings: Option<Siblings>,
}

impl Keyring {
    /// Finds the keys, and names the ports as this audience's on the way: a sibling is asked at the name of its port.
    ///
    /// # Errors
    /// A key that cannot be used, a port that is another audience's, or what the kernel says.
    pub(super) fn open(
        config: &Config,
        audience_port: u16,
        node: NodeId,
        listeners: &mut Listeners,
        reactor: &Reactor,
        token: Token,
    ) -> Result<(Self, BusKeys), Box<dyn Error>> {
        let (cluster, file) = config.cluster.key.as_ref().map(KeyFile::open).transpose()?.unwrap_or_default();
        let watch = file.map(|file| KeyWatch::begin(KeyUse::Cluster, file, reactor.now()));
        let (uid, is_shared) = (local::own_uid()?, cluster.is_empty() && cfg!(feature = "keyed"));
        let identity = Identity::of(config, audience_port).to_string();
        let start_turn = is_shared.then(|| StartTurn::take(&identity, uid)).transpose()?;
        let door = listeners.meet_neighbours(config, audience_port)?;
        let found = door.zip(listeners.sibling_doors());
        if cluster.is_empty() && (found.is_none() || !is_shared) {
            log_unsealed(if is_shared { "siblings cannot be found" } else { "this build has no seals" });
        }
        let Some((door, doors)) = found else {
            let keys = BusKeys { loopback: cluster.clone(), network: cluster };
            return Ok((Self { watch, shared: None, siblings: None }, keys));
        };
        let shared = if is_shared {
            let names = doors.iter().map(|door| door.name.clone()).collect();
            let key = knocks::find_key(names, uid)?;
            log::debug("loopback_key", &[("siblings", doors.len().into()), ("is_found", key.is_some().into())]);
            Some(SharedKey::begin(key)?)
        } else {
            None
        };
        let node_timeout = config.cluster.rules.node_timeout;
        let siblings = Siblings::begin(node, uid, door, doors, node_timeout, reactor, token)?;
        log::debug("start_turn", &[("is_held", start_turn.is_some_and(|turn| turn.is_held()).into())]);
        // The turn ends with that: the next one finds a door that will be answered.
        let loopback = shared.as_ref().map_or_else(|| cluster.clone(), SharedKey::keys);
        Ok((Self { watch, shared, siblings: Some(siblings) }, BusKeys { loopback, network: cluster }))
    }

    /// When [`refresh`](Self::refresh) has something to do, if no sibling says so before.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let is_doubtful = self.shared.as_ref().is_some_and(SharedKey::is_doubtful);
        let siblings = self.siblings.as_ref().and_then(|siblings| siblings.next_deadline(is_doubtful));
        [self.watch.as_ref().map(KeyWatch::next_deadline), siblings].into_iter().flatten().min()
    }

    /// A sibling asks or answers.
    pub(super) fn mark_ready(&mut self) {
        if let Some(siblings) = &mut self.siblings {
            siblings.mark_ready();
        }
    }

    /// Whether a sibling that is missed may be found in a moment.
    pub(super) fn is_seeking(&self, bus: &mut Bus, meter: &Meter, now: Now) -> bool {
        self.siblings.as_ref().is_some_and(|siblings| siblings.is_seeking(bus, meter, now))
    }

    /// Looks where keys come from, as far as it is time, and gives the bus those that have changed. Looks for siblings that are
    /// missed, too.
    pub(super) fn refresh(
        &mut self,
        listeners: &Listeners,
        bus: &mut Bus,
        meter: &mut Meter,
        reactor: &Reactor,
        now: Now,
    ) {
        if let Some(keys) = self.watch.as_mut().and_then(|watch| watch.look(now)) {
            bus.set_keys(keys);
        }
        let Self { shared, siblings: Some(siblings), .. } = self else { return };
        let keys = siblings.exchange(shared.as_ref().and_then(SharedKey::first), bus, meter, reactor, now);
        let has_forged = bus.take_forged();
        let mut is_doubtful = false;
        if let Some(shared) = shared {
            let adopted = keys.into_iter().filter(|&key| shared.adopt(key)).count();
            if adopted > 0 {
                log::info("loopback_key_changed", &[("keys", shared.keys().len().into())]);
                bus.set_loopback_keys(shared.keys());
                // The sibling learns of this key only when it receives something that is sealed with it.
                meter.call_out(now);
            }
            shared.set_doubtful(shared.is_doubtful() || has_forged);
            is_doubtful = shared.is_doubtful();
        }
        let has_asked = siblings.look(is_doubtful, || listeners.sibling_doors(), bus, meter, reactor, now);
        if let Some(shared) = shared.as_mut().filter(|_| has_asked) {
            shared.set_doubtful(false);
        }
    }
}

/// Says why. That it is so is a trouble, which the bus raises for as long as it lasts.
fn log_unsealed(reason: &str) {
    log::info("loopback_unsealed", &[("reason", reason.into())]);
}
