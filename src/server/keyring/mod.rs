//! The keys that seal datagrams, and when they change.
//!
//! Owns where the keys of each of the two scopes come from. With a key from the operator both have that one. Without, the
//! network has none, and the loopback bus has a key that the processes of one user share: another user of the host, who can
//! send to the bus, is not believed.
//!
//! | file | owns |
//! |---|---|
//! | `watch` | when the file of the cluster's keys is looked at again |
//! | `start_turn` | processes of an audience start one after another |
//! | `shared` | the key that the processes of one user share |
//!
//! Invariant: the bus has the keys that are here.

mod shared;
mod start_turn;
mod watch;

use std::error::Error;

use super::bus::{Bus, BusKeys};
use super::ports::listeners::Listeners;
use crate::collections::tick::{Now, Tick};
use crate::config::identity::Identity;
use crate::config::{Config, KeyFile};
use crate::log;
use crate::meter::Meter;
use crate::reactor::{Reactor, Token, local};
use shared::SharedKey;
use start_turn::StartTurn;
use watch::KeyWatch;

/// What may change the keys.
pub(super) struct Keyring {
    watch: Option<KeyWatch>,
    shared: Option<SharedKey>,
}

impl Keyring {
    /// Finds the keys, and names the ports as this audience's on the way: a sibling is asked at the name of its port.
    ///
    /// # Errors
    /// A key that cannot be used, a port that is another audience's, or what the kernel says.
    pub(super) fn open(
        config: &Config,
        audience_port: u16,
        listeners: &mut Listeners,
        reactor: &Reactor,
        token: Token,
    ) -> Result<(Self, BusKeys), Box<dyn Error>> {
        let (cluster, file) = config.cluster.key.as_ref().map(KeyFile::open).transpose()?.unwrap_or_default();
        let watch = file.map(|file| KeyWatch::begin(file, reactor.now()));
        if !cluster.is_empty() || cfg!(not(feature = "keyed")) {
            listeners.meet_neighbours(config, audience_port, false)?;
            if cluster.is_empty() {
                log_unsealed("this build has no seals");
            }
            return Ok((Self { watch, shared: None }, BusKeys { loopback: cluster.clone(), network: cluster }));
        }
        let uid = local::own_uid()?;
        let start_turn = StartTurn::take(&Identity::of(config, audience_port).to_string(), uid)?;
        let door = listeners.meet_neighbours(config, audience_port, true)?;
        let shared = if let (Some(door), Some(siblings)) = (door, listeners.sibling_doors()) {
            Some(SharedKey::begin(door, siblings, uid, reactor, token)?)
        } else {
            log_unsealed("siblings cannot be found");
            None
        };
        log::debug(format_args!("event=start_turn is_held={}", start_turn.is_held()));
        // The next one finds a door that will be answered.
        drop(start_turn);
        let loopback = shared.as_ref().map(SharedKey::keys).unwrap_or_default();
        Ok((Self { watch, shared }, BusKeys { loopback, network: cluster }))
    }

    /// When [`refresh`](Self::refresh) has something to do, if no sibling says so before.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let deadlines =
            [self.watch.as_ref().map(KeyWatch::next_deadline), self.shared.as_ref().and_then(SharedKey::next_deadline)];
        deadlines.into_iter().flatten().min()
    }

    /// A sibling asks or answers.
    pub(super) fn mark_ready(&mut self) {
        if let Some(shared) = &mut self.shared {
            shared.mark_ready();
        }
    }

    /// Looks where keys come from, as far as it is time, and gives the bus those that have changed.
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
        let Some(shared) = &mut self.shared else { return };
        if shared.exchange(reactor, now) {
            log::info(format_args!("event=loopback_key_changed keys={}", shared.keys().len()));
            bus.set_loopback_keys(shared.keys());
            // The sibling learns of this key only when it receives something that is sealed with it.
            meter.call_out(now);
        }
        if bus.take_forged() {
            shared.doubt();
        }
        if shared.may_ask(now) {
            shared.ask(listeners.sibling_doors().unwrap_or_default(), reactor, now);
        }
    }
}

/// Says why. That it is so is a trouble, which the bus raises for as long as it lasts.
fn log_unsealed(reason: &str) {
    log::info(format_args!("event=loopback_unsealed reason={reason:?}"));
}
