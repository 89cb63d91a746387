//! The connections of processes with a broker.
//!
//! Owns when a process is connected, and in which order the broker hands on. What the weather loses elsewhere is time here:
//! while a connection is away, all is lost in a row that comes or goes by it. The broker keeps the order of each sender. What
//! the weather doubles comes again later, and out of order.
//!
//! A process whose connection comes back gives a sign of life at once, as the daemon does.
//!
//! Invariant: when a connection is away follows from the seed and the time alone.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::setting::Weather;
use crate::Chance;

/// How long a connection is there or away, at least, in ticks: half as long as it is from heartbeat to heartbeat. A loss in a row
/// is then one heartbeat, or a few where losses are frequent.
const SPAN_TICKS: u64 = 25;

/// The place of chance at which connections are drawn.
const CONNECTIONS: u64 = 0xb;

/// A broker.
#[derive(Default)]
pub(super) struct Broker {
    /// When the last datagram of a sender reaches a receiver.
    last: BTreeMap<(u64, u64), u64>,
    /// The processes that were not connected at the last look.
    away: BTreeSet<u64>,
}

impl Broker {
    /// When a datagram reaches its receiver that takes this long by itself: not before those that its sender has sent earlier.
    pub(super) fn arrival(&mut self, from: u64, to: u64, tick: u64, delay: u64) -> u64 {
        let last = self.last.entry((from, to)).or_default();
        *last = (tick + delay).max(*last);
        *last
    }
}

/// Whether the connection of a process is there. A datagram needs two, so each is away half as often as datagrams are lost.
pub(super) fn is_connected(seed: u64, weather: Weather, address: u64, tick: u64) -> bool {
    let mut chance = Chance::at(seed, &[CONNECTIONS, address, tick / SPAN_TICKS]);
    2 * chance.below(100) >= weather.loss_percent
}

/// When connections may come or go next.
pub(super) fn next_change(tick: u64) -> u64 {
    (tick / SPAN_TICKS + 1) * SPAN_TICKS
}

/// Has processes give a sign of life whose connection is there again.
pub(super) fn reconnect(world: &mut World) {
    let (Some(weather), tick, seed) = (world.bus.weather, world.clock.tick, world.setting.chance) else { return };
    let Some(broker) = &mut world.bus.broker else { return };
    let mut away = BTreeSet::new();
    for node in &mut world.nodes {
        if world.is_cut && node.side || !is_connected(seed, weather, node.address, tick) {
            away.insert(node.address);
        } else if broker.away.contains(&node.address) && !node.is_paused {
            let now = node.now(world.clock);
            node.meter.call_out(now);
        }
    }
    broker.away = away;
}
