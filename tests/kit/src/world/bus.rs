//! Datagrams on their way, and what the weather does to them.
//!
//! Owns the bytes between nodes. It knows nothing of what they say, and takes the roads that it is given.
//!
//! Invariant: what happens to a datagram follows from the seed, the time and the road, and from nothing else, so a script that
//! is shortened meets the same weather.

use std::collections::BTreeMap;
use std::rc::Rc;

use audience_meter::meter::news::Origin;

use super::broker::{self, Broker};
use super::network::{Road, Way};
use super::setting::Weather;
use crate::Chance;

/// How many datagrams may be on their way while the script delivers them; beyond, the oldest are lost.
const HELD_MAX: usize = 256;

/// How many datagrams are recorded by somebody who will send them again.
const RECORDED_MAX: usize = 10_000;

/// How many of a hundred datagrams are recorded.
const RECORDED_PERCENT: u64 = 10;

/// How many recorded datagrams are sent again at a time.
const REPLAYED_AT_ONCE: usize = 20;

/// A datagram that is left to the script arrives at no time of its own.
const NEVER: u64 = u64::MAX;

/// From whom a process has a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// From its sender.
    Sender,
    /// From a process of the same host, which has passed it on.
    Sibling,
    /// From the adversary.
    Adversary,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    /// The process that it reaches.
    pub(super) to: u64,
    /// What that process knows of where it came from.
    pub(super) origin: Origin,
    pub(super) carrier: Carrier,
    pub(super) bytes: Rc<[u8]>,
}

/// What the loopback interface of a host does to datagrams.
const WITHIN: Weather = Weather { loss_percent: 0, double_percent: 0, delay_ticks_max: 0 };

/// Datagrams on their way.
pub(super) struct Bus {
    pub(super) weather: Option<Weather>,
    seed: u64,
    /// By the time of arrival and a number that puts those of one tick in order.
    in_flight: BTreeMap<(u64, u64), Flight>,
    recorded: Vec<Rc<[u8]>>,
    /// How many datagrams were sent.
    pub(super) sent_count: u64,
    /// How many bytes, by all ways.
    pub(super) sent_bytes: u64,
    /// The tick of the last datagram, and how many were sent in it.
    last: (u64, u64),
    /// The broker, if there is one.
    pub(super) broker: Option<Broker>,
    /// How many datagrams the broker has handed on.
    brokered_count: u64,
}

impl Bus {
    pub(super) fn new(weather: Option<Weather>, seed: u64, has_broker: bool) -> Self {
        Self {
            weather,
            seed,
            in_flight: BTreeMap::new(),
            recorded: Vec::new(),
            sent_count: 0,
            sent_bytes: 0,
            last: (0, 0),
            broker: has_broker.then(Broker::default),
            brokered_count: 0,
        }
    }

    /// A datagram is sent: every road gets a copy, unless it is lost on the way. What is left to the script does not
    /// come back to its sender.
    pub(super) fn send(&mut self, tick: u64, from: u64, bytes: &Rc<[u8]>, roads: &[Road]) {
        self.sent_count += 1;
        let by = |way| roads.iter().filter(|road| road.way == way).count();
        let (unicast, brokered) = (by(Way::Unicast), by(Way::Broker));
        let ways = unicast + usize::from(brokered > 0) + usize::from(unicast + brokered < roads.len());
        self.sent_bytes += (ways * bytes.len()) as u64;
        let serial = self.next_serial(tick);
        if self.weather.is_some()
            && self.recorded.len() < RECORDED_MAX
            && Chance::at(self.seed, &[tick, from, serial]).is_hit(RECORDED_PERCENT)
        {
            self.recorded.push(bytes.clone());
        }
        self.carry([tick, from, serial], bytes, roads, Carrier::Sender);
    }

    /// A process passes on what has reached it alone.
    pub(super) fn pass_on(&mut self, tick: u64, by: u64, bytes: &Rc<[u8]>, roads: &[Road]) {
        if !roads.is_empty() {
            let serial = self.next_serial(tick);
            self.carry([tick, by, serial], bytes, roads, Carrier::Sibling);
        }
    }

    /// Counts what is sent in this tick.
    fn next_serial(&mut self, tick: u64) -> u64 {
        self.last = if self.last.0 == tick { (tick, self.last.1 + 1) } else { (tick, 0) };
        self.last.1
    }

    fn carry(&mut self, [tick, from, serial]: [u64; 3], bytes: &Rc<[u8]>, roads: &[Road], carrier: Carrier) {
        for road in roads {
            let flight = Flight { to: road.to, origin: road.origin, carrier, bytes: bytes.clone() };
            let Some(weather) = self.weather else {
                if !road.is_loop && !road.is_cut {
                    self.hold(flight);
                }
                continue;
            };
            let mut chance = Chance::at(self.seed, &[tick, from, serial, road.to]);
            let weather = if road.way == Way::Within { WITHIN } else { weather };
            let copies = 1 + u64::from(chance.is_hit(weather.double_percent));
            if road.way == Way::Broker {
                self.carry_over_broker([tick, from, copies], &flight, road.is_cut, &mut chance);
                continue;
            }
            for _ in 0..copies {
                if road.is_cut || chance.is_hit(weather.loss_percent) {
                    continue;
                }
                let at = tick + chance.below(weather.delay_ticks_max + 1);
                self.in_flight.insert((at, chance.draw()), flight.clone());
            }
        }
    }

    /// The broker takes a datagram, and hands it on in the order in which its sender has sent; a copy comes later.
    fn carry_over_broker(
        &mut self,
        [tick, from, copies]: [u64; 3],
        flight: &Flight,
        is_cut: bool,
        chance: &mut Chance,
    ) {
        let (Some(broker), Some(weather)) = (&mut self.broker, self.weather) else { return };
        if is_cut || !broker::is_connected(self.seed, weather, from, tick) {
            return;
        }
        let mut at = broker.arrival(from, flight.to, tick, chance.below(weather.delay_ticks_max + 1));
        for _ in 0..copies {
            if broker::is_connected(self.seed, weather, flight.to, at) {
                // What has come later is behind what has come before, in one tick too.
                self.brokered_count += 1;
                self.in_flight.insert((at, self.brokered_count), flight.clone());
            }
            at += chance.below(weather.delay_ticks_max + 1);
        }
    }

    /// The script will deliver this datagram, or another that it was doubled from.
    pub(super) fn hold(&mut self, flight: Flight) {
        let last = self.in_flight.last_key_value().map_or(0, |(&(_, order), _)| order);
        self.in_flight.insert((NEVER, last + 1), flight);
        if self.in_flight.len() > HELD_MAX {
            self.in_flight.pop_first();
        }
    }

    /// When the next datagram arrives by itself, or a connection with the broker may come or go.
    pub(super) fn next_event(&self, tick: u64) -> Option<u64> {
        let arrival = self.in_flight.first_key_value().map(|(&(at, _), _)| at).filter(|&at| at != NEVER);
        let change = self.broker.as_ref().filter(|_| self.weather.is_some()).map(|_| broker::next_change(tick));
        arrival.into_iter().chain(change).min()
    }

    /// The next datagram that has arrived by this tick.
    pub(super) fn arrived(&mut self, tick: u64) -> Option<Flight> {
        let first = self.in_flight.first_entry().filter(|first| first.key().0 <= tick)?;
        Some(first.remove())
    }

    /// One of those on their way, if there are any.
    pub(super) fn take(&mut self, pick: usize) -> Option<Flight> {
        let key = *self.in_flight.keys().nth(pick.checked_rem(self.in_flight.len())?)?;
        self.in_flight.remove(&key)
    }

    /// All that are on their way, in order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Flight> + use<> {
        std::mem::take(&mut self.in_flight).into_values()
    }

    /// From now on the weather carries datagrams; those that the script has left arrive in order.
    pub(super) fn calm(&mut self, tick: u64, weather: Weather) {
        self.weather = Some(weather);
        let at = tick + weather.delay_ticks_max;
        let order = 0..;
        self.in_flight = order.zip(self.take_all()).map(|(order, flight)| ((at, order), flight)).collect();
    }

    /// Some of what was recorded, at random.
    pub(super) fn replayed(&self, tick: u64) -> Vec<Rc<[u8]>> {
        let mut chance = Chance::at(self.seed, &[tick]);
        let count = REPLAYED_AT_ONCE.min(self.recorded.len());
        let mut pick = || usize::try_from(chance.below(self.recorded.len() as u64)).unwrap();
        (0..count).map(|_| self.recorded[pick()].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of datagrams that are sent over a broker, one in each tick: their numbers.
    fn arrivals(seed: u64, weather: Weather, count: u8) -> Vec<u8> {
        let mut bus = Bus::new(Some(weather), seed, true);
        let road = Road { to: 2, origin: Origin::Group, is_cut: false, is_loop: false, way: Way::Broker };
        for number in 0..count {
            bus.send(number.into(), 1, &Rc::from([number]), &[road]);
        }
        let mut all = Vec::new();
        for tick in 0..1_000 {
            all.extend(std::iter::from_fn(|| bus.arrived(tick)).map(|flight| flight.bytes[0]));
        }
        all
    }

    fn weather(loss_percent: u64, double_percent: u64) -> Weather {
        Weather { loss_percent, double_percent, delay_ticks_max: 15 }
    }

    #[test]
    fn a_broker_keeps_the_order_of_a_sender_and_what_it_doubles_comes_later() {
        let all = arrivals(7, weather(0, 0), 200);
        assert!(all.iter().copied().eq(0..200), "{all:?}");
        let mut doubled = arrivals(7, weather(0, 20), 200);
        assert!(doubled.len() > 220 && !doubled.is_sorted(), "{doubled:?}");
        let mut seen = std::collections::BTreeSet::new();
        doubled.retain(|&number| seen.insert(number));
        assert_eq!(doubled, all, "the first copies");
    }

    #[test]
    fn over_a_broker_datagrams_are_lost_in_a_row() {
        let (mut lost, mut gaps) = (0, 0);
        for seed in 0..40 {
            let all = arrivals(seed, weather(30, 0), 250);
            assert!(all.is_sorted(), "{all:?}");
            lost += 250 - all.len();
            gaps += all.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
        }
        assert!((2_000..4_000).contains(&lost) && lost > 10 * gaps, "{lost} of 10000 in {gaps} gaps");
    }
}
