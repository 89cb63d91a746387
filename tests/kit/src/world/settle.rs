//! How worlds end: nothing happens any more, and in the end all nodes have to agree with the observer.
//!
//! Owns the times of quiet, and what may be claimed after each, by what has happened in the world before. Where a
//! claim does not hold, the reason stands beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{TICK_MS, Tick};
use audience_meter::meter::{Accounts, Ending, Namespace, NamespaceId};

use super::adversary::SMALL_TRICKS;
use super::observer::Recorded;
use super::setting::{End, Weather};
use super::{World, answers, operations, people};
use crate::Chance;

/// The node timeout.
const TIMEOUT_TICKS: u64 = 500;

/// How long all is quiet before nodes agree. Those that died just now have the node timeout to be missed, and the
/// others half as long for what was lost on the way. Where the script has delivered the datagrams, much more was lost. An
/// adversary may send a lost one again within the node timeout, which is a sign of life.
const QUIET_TICKS: u64 = TIMEOUT_TICKS + TIMEOUT_TICKS / 2;
const LONG_QUIET_TICKS: u64 = 2 * TIMEOUT_TICKS + 100;

/// How often the adversary does something meanwhile.
const ATTACK_TICKS: u64 = 25;

/// How long it is quiet after that, until nodes agree on what was lost with those that died.
const LATER_TICKS: u64 = 4 * TIMEOUT_TICKS;

/// How many datagrams a second a node may send while it is quiet: it says that it is there twice a second, and asks and answers
/// what is left to be asked.
const QUIET_DATAGRAMS_PER_S: u64 = 5;

/// How long the last change of a node may be unknown: the notify interval, and what it takes to ask for what was lost.
const UNKNOWN_TICKS_MAX: u64 = 300;

/// What is forgotten is so within the clean delay, with some time for what was lost.
const FORGETTING_TICKS: u64 = 5_000;

/// A node that departs so long after the last change, or after its report of an event, has announced it.
const KNOWN_TICKS: u64 = 250;

/// In how many ticks nodes say goodbye that end together, and how long each answers others after its end: some round trips.
const GOODBYES_TICKS: u64 = 20;

/// How long a node waits for answers at its end.
const ANSWERS_TICKS: u64 = 100;

/// The shortest clean delay for which it is claimed which node reports an event.
const CLEAN_DELAY_MIN: Duration = Duration::from_secs(20);

/// By how many milliseconds two nodes may differ about a moment: half a second, by which one has to be earlier to be taken over,
/// and one for whole seconds.
const DATES_APART_MS_MAX: i64 = 1_500;

/// What carries the datagrams after a script that delivered them itself.
const CALM: Weather = Weather { loss_percent: 0, double_percent: 0, delay_ticks_max: 5 };

/// What a world came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// How many events had members.
    pub events: usize,
    /// How many of them were reported.
    pub reported: usize,
    /// How many nodes one of the nodes has taken for gone because they fell silent, at most.
    pub lost: u64,
}

impl Outcome {
    /// What two worlds came to.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            reported: self.reported + other.reported,
            lost: self.lost.max(other.lost),
        }
    }
}

/// Ends a world as its setting says.
pub(super) fn settle(world: &mut World) -> Outcome {
    match world.setting.end {
        End::Open => {}
        End::Agree => agree(world),
        End::Forget => forget(world),
        End::Together => end_together(world),
    }
    let reports = reports(world);
    let reported = reports.values().filter(|&&count| count > 0).count();
    let lost = world.nodes.iter().map(|node| node.meter.lost_node_count()).max().unwrap_or(0);
    Outcome { events: reports.len(), reported, lost }
}

/// Nodes that were stopped or cut off are back, and datagrams arrive by themselves.
fn resume(world: &mut World) -> u64 {
    world.is_cut = false;
    world.nodes.iter_mut().for_each(|node| node.is_paused = false);
    if world.bus.weather.is_some() {
        return if world.adversary.is_some() { LONG_QUIET_TICKS } else { QUIET_TICKS } + world.network.meeting_ticks();
    }
    world.bus.calm(world.clock.tick, CALM);
    LONG_QUIET_TICKS + world.network.meeting_ticks()
}

fn agree(world: &mut World) {
    let quiet_ticks = resume(world);
    pass_under_attack(world, quiet_ticks);
    check_truth(world);
    world.nodes.iter().for_each(|node| node.ledger.check(&world.observer.sayings));
    check_room(world);
    let sent = world.bus.sent_count;
    world.pass(LATER_TICKS);
    check_traffic(world, world.bus.sent_count - sent);
    check_connections(world);
    check_accounts(world, false);
    people::check(world);
    check_histories(world);
    operations::leave_all(world);
    world.pass(TIMEOUT_TICKS);
    check_accounts(world, true);
}

/// The adversary, if there is one, does not rest.
fn pass_under_attack(world: &mut World, ticks: u64) {
    if world.adversary.is_none() {
        return world.pass(ticks);
    }
    let mut chance = Chance::new(world.setting.chance);
    for _ in 0..ticks / ATTACK_TICKS {
        let trick = chance.below(SMALL_TRICKS as u64);
        operations::attack(world, usize::try_from(trick).unwrap());
        world.pass(ATTACK_TICKS);
    }
}

fn forget(world: &mut World) {
    resume(world);
    operations::leave_all(world);
    let cleaned = Tick(FORGETTING_TICKS).after(world.setting.rules.namespace_clean_delay);
    world.pass(cleaned.0);
    check_reports(world);
}

/// All nodes say goodbye within a moment. Each goes on until it knows which of them reports, and for a moment more.
fn end_together(world: &mut World) {
    resume(world);
    operations::leave_all(world);
    world.pass(TIMEOUT_TICKS - TIMEOUT_TICKS / 5);
    assert!(!may_claim(world) || world.observer.endings.is_empty(), "no event is over");
    let mut chance = Chance::new(world.setting.chance);
    let mut lives: Vec<_> = world.nodes.iter().map(|_| (chance.below(GOODBYES_TICKS), None)).collect();
    for tick in 0..=GOODBYES_TICKS + ANSWERS_TICKS + GOODBYES_TICKS {
        for (index, &mut (begin, ref mut end)) in lives.iter_mut().enumerate() {
            if tick == begin {
                world.step(index, super::Node::say_goodbye);
            }
            if tick >= begin && end.is_none() {
                *end = speak_last(world, index, tick >= begin + ANSWERS_TICKS).then_some(tick + GOODBYES_TICKS);
            }
            world.nodes[index].is_paused |= *end == Some(tick);
        }
        world.pass(1);
    }
    check_reports(world);
}

/// A node that has said goodbye reports the events that end, if it knows that this is up to it; returns whether it knows.
fn speak_last(world: &mut World, index: usize, is_late: bool) -> bool {
    let node = &mut world.nodes[index];
    let (now, id) = (node.now(world.clock), node.meter.node());
    let mut departure = node.meter.departure(now);
    let Some(is_reporter) = departure.decide(is_late) else { return false };
    let mut from = NamespaceId::FIRST;
    let endings = std::iter::from_fn(|| departure.next_ending(&mut from)).filter(|_| is_reporter);
    world.observer.endings.extend(endings.map(|ending| (world.clock.tick, id, ending)));
    true
}

/// Every node says how many there truly are, counted and not, and no uuid has two members.
fn check_truth(world: &World) {
    let mut truth: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut claimed = BTreeSet::new();
    for (name, present) in world.nodes.iter().flat_map(|node| node.book.all()) {
        let (counted, uncounted) = truth.entry(name).or_default();
        *(if present.is_left_out() { uncounted } else { counted }) += 1;
        let is_alone = present.uuid.is_none_or(|uuid| claimed.insert((name, uuid)));
        assert!(is_alone, "{:?} of {name} survives twice", present.uuid);
    }
    for (index, node) in world.nodes.iter().enumerate() {
        let namespaces = node.meter.namespaces().iter().map(|(_, namespace)| namespace);
        let told = namespaces.map(|namespace| (namespace.name(), (namespace.total(), namespace.uncounted())));
        let told: BTreeMap<&str, (u64, u64)> = told.filter(|&(_, told)| told != (0, 0)).collect();
        assert_eq!(told, truth, "node {index} of {}", world.nodes.len());
    }
}

/// Every message is settled, and every node knows whether another is behind.
fn check_room(world: &mut World) {
    answers::check(world, u64::MAX);
    let behind: Vec<bool> = world.nodes.iter().map(|node| node.is_behind).collect();
    for index in 0..world.nodes.len() {
        let now = world.now(index);
        let others_have_room = behind.iter().enumerate().all(|(other, is_behind)| other == index || !is_behind);
        assert_eq!(world.nodes[index].has_room(now), others_have_room, "node {index}, behind are {behind:?}");
    }
}

/// While nothing happens, a node says that it is there, and asks and answers what is left to be asked.
fn check_traffic(world: &World, sent: u64) {
    let seconds = LATER_TICKS * TICK_MS / 1_000;
    let per_node = sent / world.nodes.len() as u64;
    assert!(per_node < QUIET_DATAGRAMS_PER_S * seconds, "{per_node} datagrams in {seconds} s of quiet");
}

/// What the members of all nodes came to in a namespace: of those that are there, and of all.
fn recorded(world: &World, name: &str) -> (Recorded, Recorded) {
    let living = world.nodes.iter().map(|node| node.book.recorded(name, node.now(world.clock).tick));
    let living = living.fold(Recorded::default(), |sum, of| sum.with(&of));
    // All their members have left, so the time is of no account.
    let gone = world.observer.departed.iter().map(|book| book.recorded(name, Tick::default()));
    (living, gone.fold(living, |sum, of| sum.with(&of)))
}

/// The events that ever had members, of which the nodes may still be asked.
pub(super) fn events(world: &World) -> Vec<&'static str> {
    let names = world.setting.names.iter().copied();
    names.filter(|name| recorded(world, name).1.connections > 0).collect()
}

/// Whether no event may be forgotten yet, and all that the sums come to is what members did. Where there is little room, a
/// node forgets what another remembers.
pub(super) fn may_add_up(world: &World) -> bool {
    let passed = Duration::from_millis(world.clock.passed() * TICK_MS);
    let has_room = world.setting.rules.namespaces_max >= world.setting.names.len();
    has_room && !world.observer.has_strangers && world.setting.rules.namespace_clean_delay > passed
}

/// How many connections a node knows of. One that remembers an event only for members that were not counted knows of none, like
/// one that has never heard of it: such members leave no trace where they were.
pub(super) fn connections(node: &super::Node, name: &str) -> u64 {
    node.meter.find(name).and_then(|id| node.meter.namespaces().get(id)).map_or(0, Namespace::connections)
}

/// Every node knows of as many connections, and of none that never were.
fn check_connections(world: &World) {
    for name in events(world).into_iter().filter(|_| may_add_up(world)) {
        let joined = recorded(world, name).1.connections;
        let told: BTreeSet<u64> = world.nodes.iter().map(|node| connections(node, name)).collect();
        assert_eq!(told.len(), 1, "connections of {name}: {told:?}, truly {joined}");
        let told = told.first().copied().unwrap_or(0);
        let is_lost = world.observer.has_departures() && told < joined;
        assert!(told == joined || is_lost, "connections of {name}: {told} of {joined}");
    }
}

/// What the nodes say that an event has come to. They agree on all but the time that members have been there that are still
/// there, and on what was the most, if a node that had seen it has not taken it with it.
fn check_accounts(world: &World, have_all_left: bool) {
    for name in events(world).into_iter().filter(|_| may_add_up(world)) {
        // Perhaps no node is left that has heard of its members.
        let is_unknown = world.nodes.iter().all(|node| connections(node, name) == 0);
        if world.observer.has_departures() && is_unknown {
            continue;
        }
        check_dates(world, name);
        let (least, truth) = recorded(world, name);
        let told: Vec<Accounts> = world.nodes.iter().map(|node| accounts_of(world, node, name)).collect();
        let context = format!("{name}: {told:?}, truly {truth:?}");
        for accounts in &told {
            check_sums(accounts, &told[0], (&least, &truth), &context);
            check_time(world, accounts, (&least, &truth), have_all_left, &context);
            if have_all_left {
                assert_eq!(accounts.member_ms, told[0].member_ms, "{context}");
            }
            if !world.observer.has_departures() {
                assert_eq!((accounts.connections, accounts.stays), (truth.connections, truth.stays), "{context}");
                assert_eq!(accounts.peak.members, told[0].peak.members, "{context}");
            }
        }
    }
}

/// The nodes agree on when an event began and had the most members, whatever their wall clocks show. What only a departed node
/// knew may be known to one that never had members there, and does not announce it.
fn check_dates(world: &World, name: &str) {
    let delay_ms = (world.setting.weather.unwrap_or(CALM).delay_ticks_max + 2) * TICK_MS;
    let dates: Vec<[i64; 2]> = world.nodes.iter().map(|node| dates_of(world, node, name)).collect();
    let announced = |node: &super::Node| node.book.recorded(name, node.now(world.clock).tick).connections > 0;
    for (date, is_peak) in [(0, false), (1, true)] {
        let announcers = world.nodes.iter().zip(&dates).filter(|(node, _)| announced(node) || is_peak);
        let Some(first) = announcers.map(|(_, dates)| dates[date]).min() else { continue };
        let is_late = |dates: &[i64; 2]| dates[date] > first + DATES_APART_MS_MAX + delay_ms.cast_signed();
        assert!(!dates.iter().any(is_late), "{name}: {dates:?}, and announced is {first}");
    }
}

/// When an event began, and when it had the most members, in milliseconds of the world.
fn dates_of(world: &World, node: &super::Node, name: &str) -> [i64; 2] {
    let now = node.now(world.clock);
    let id = node.meter.find(name).unwrap_or_else(|| panic!("{name} is forgotten"));
    let created_unix_s = node.meter.namespaces().get(id).map_or(0, |namespace| namespace.created_unix_s(now));
    let of_world = |unix_s: u64| i64::try_from(unix_s * 1_000).unwrap() - node.offset.unix_ms;
    [created_unix_s, node.meter.accounts(id, now).peak.at_unix_s].map(of_world)
}

/// The nodes agree, on no less than the living have counted, and on no more than there ever was.
fn check_sums(accounts: &Accounts, first: &Accounts, (least, truth): (&Recorded, &Recorded), context: &str) {
    assert_eq!((accounts.connections, accounts.stays), (first.connections, first.stays), "{context}");
    assert!(accounts.stays.iter().zip(least.stays).all(|(&told, least)| told >= least), "{context}");
    assert!(accounts.stays.iter().zip(truth.stays).all(|(&told, most)| told <= most), "{context}");
}

/// For how long members were there.
fn check_time(world: &World, accounts: &Accounts, between: (&Recorded, &Recorded), have_all_left: bool, context: &str) {
    let (least, truth) = between;
    let ticks = accounts.member_ms / TICK_MS;
    if have_all_left {
        assert!(ticks >= least.member_ticks, "{context}");
        // Of a node that died it may not have been heard that a member had left, but that the node was alive.
        assert!(ticks <= truth.member_ticks + truth.connections * UNKNOWN_TICKS_MAX, "{context}");
    } else if let Some(weather) = world.setting.weather.filter(|_| !world.observer.has_paused) {
        // What a stopped node received first when it went on was late, and so is what a script holds back.
        assert!(ticks + truth.connections * (weather.delay_ticks_max + 1) >= least.member_ticks, "{context}");
    }
    if !world.observer.has_departures() {
        assert!(!have_all_left || ticks == truth.member_ticks, "{context}");
        assert!(ticks <= truth.member_ticks, "{context}");
    }
}

pub(super) fn accounts_of(world: &World, node: &super::Node, name: &str) -> Accounts {
    let id = node.meter.find(name).unwrap_or_else(|| panic!("{name} is forgotten"));
    node.meter.accounts(id, node.now(world.clock))
}

/// Whatever a node has received, in whatever order: members that came to an event and those that left it make those that are
/// there.
fn check_histories(world: &mut World) {
    for node in &mut world.nodes {
        let now = node.now(world.clock);
        for &name in &world.setting.names {
            let Some(mut cursor) = node.meter.read_history(name, now) else { continue };
            let (mut members, mut last) = (0, 0);
            while let Some((minute, row)) = node.meter.next_history_row(&mut cursor, now) {
                assert!(minute.is_multiple_of(60) && (last == 0 || minute == last + 60), "{minute} after {last}");
                last = minute;
                let (min, max) = (f64::from(row.min), f64::from(row.max));
                assert!((min..=max).contains(&f64::from(row.average)), "{row:?} of {name}");
                assert!((row.min..=row.max).contains(&members), "{members} before {row:?} of {name}");
                members = members + row.joins - row.leaves;
                assert!((row.min..=row.max).contains(&members), "{members} after {row:?} of {name}");
            }
            assert_eq!(u64::from(members), node.total_of(name).unwrap_or(0), "of {name}");
        }
    }
}

/// How often each event was reported.
fn reports(world: &World) -> BTreeMap<&'static str, usize> {
    let count = |name| world.observer.endings.iter().filter(|(_, _, ending)| &*ending.namespace == name).count();
    events(world).into_iter().map(|name| (name, count(name))).collect()
}

/// Whether it may be claimed which node reports an event: none was stopped, cut off or invented, the events were remembered for
/// long enough, and no node has departed that had not announced its last change to some other.
fn may_claim(world: &World) -> bool {
    let observer = &world.observer;
    let is_calm = !(observer.has_paused || observer.has_cut || observer.has_strangers);
    let is_long = world.setting.rules.namespace_clean_delay >= CLEAN_DELAY_MIN;
    let is_clear = is_calm && is_long && world.setting.weather.is_some();
    is_clear && observer.departures.iter().all(|&(at, _)| at >= observer.changed_at + KNOWN_TICKS)
}

/// An event is reported by one node, and truly. Of a reporter that dies before it has announced that, another takes the place.
fn check_reports(world: &World) {
    if !may_claim(world) {
        return;
    }
    let observer = &world.observer;
    let is_unknown = |at: u64, by| observer.departures.iter().any(|&(end, node)| node == by && end <= at + KNOWN_TICKS);
    for (name, count) in reports(world) {
        let of_event = observer.endings.iter().filter(|(.., ending)| &*ending.namespace == name);
        let unknown = of_event.filter(|&&(at, by, _)| is_unknown(at, by)).count();
        assert!(count == 1 || (count == 2 && unknown == 1), "{count} of {name}: {:?}", observer.endings);
    }
    observer.endings.iter().for_each(|(.., ending)| check_ending(world, ending));
}

/// What was reported is what was recorded.
fn check_ending(world: &World, Ending { namespace, accounts, .. }: &Ending) {
    let truth = recorded(world, namespace).1;
    let told = (accounts.connections, accounts.member_ms / TICK_MS, accounts.stays);
    assert_eq!(told, (truth.connections, truth.member_ticks, truth.stays), "{namespace}: {accounts:?}");
}
