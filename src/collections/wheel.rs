//! A hierarchical timer wheel (Varghese and Lauck, 1987, scheme 7): 4 levels of 64 slots, O(1) insert and cancel.
//!
//! Owns when each key is due; a key has at most one timer. It reads no clock: the owner says how far time has come and
//! then pops what is due. The owner finds what a timer means in its own state under the same key.
//!
//! A timer lies at the level of the highest group of 6 bits in which its deadline differs from `elapsed`, in the slot
//! that this group names. So all timers of a level come before all of the next, and the earliest slot of all is the first
//! one of the lowest level that has any: one `trailing_zeros`. The top level is a ring that deadlines further away pass
//! through again, once every 2^24 ticks (46 hours), until theirs is the current round.
//!
//! A slot whose time has come is emptied bit by bit: 250,000 timers that are due within the same minute would take a turn of
//! 10 ms otherwise. Until then `elapsed` stays at its start, behind the time that the owner has said.
//!
//! Invariant: `elapsed` never reaches the start of an occupied slot without emptying it, but for the timers that are on their
//! way from the last one (`moving`). So the place of any other timer can be computed from its deadline and need not be stored.

#![expect(clippy::cast_possible_truncation, reason = "levels, slots and groups of 6 bits fit into any integer")]

use super::dense::Dense;
use super::key::{Index, Key};
use super::list::{Link, Linked, List};
use super::sections::{Reader, Writer};
use super::tick::Tick;

const LEVELS: usize = 4;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// How many timers move to their places in one go: at 20 to 50 ns each, 0.2 ms.
const MOVES: usize = 4096;

/// The deadline of a key that has no timer.
const UNARMED: u64 = u64::MAX;

/// No clock comes to this number of ticks: it would take 1,400 million years.
const TIME_MAX: u64 = 1 << 62;

/// When each key is due.
pub struct TimerWheel<K> {
    /// Timers up to and including this tick have been moved to `due`.
    elapsed: u64,
    /// How far time has come; `elapsed` is behind it only while timers are `moving`.
    now: u64,
    /// Timers of a slot whose time has come, which are moved to where they belong now.
    moving: List<K>,
    /// How many of them move in one go.
    moves: usize,
    levels: [Level<K>; LEVELS],
    /// Expired and not yet popped.
    due: List<K>,
    timers: Dense<K, Timer<K>>,
    armed: usize,
}

struct Level<K> {
    /// Bit `s` is set exactly when slot `s` has a timer.
    occupied: u64,
    slots: [List<K>; SLOTS],
    /// At most the earliest deadline in the slot: exact until that timer is cancelled. It spares the owner the wake-ups
    /// that a cascade alone would need.
    earliest: [u64; SLOTS],
}

struct Timer<K> {
    link: Link<K>,
    deadline: u64,
}

impl<K> Default for Timer<K> {
    fn default() -> Self {
        Self { link: Link::UNLINKED, deadline: UNARMED }
    }
}

impl<K> Linked<K> for Timer<K> {
    fn link(&self) -> &Link<K> {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link<K> {
        &mut self.link
    }
}

/// Where a timer lies.
enum Place {
    Due,
    Slot { level: usize, slot: usize },
}

impl<K> Default for TimerWheel<K> {
    fn default() -> Self {
        Self {
            elapsed: 0,
            now: 0,
            moving: List::EMPTY,
            moves: MOVES,
            levels: std::array::from_fn(|_| Level { occupied: 0, slots: [List::EMPTY; SLOTS], earliest: [0; SLOTS] }),
            due: List::EMPTY,
            timers: Dense::default(),
            armed: 0,
        }
    }
}

impl<K: Key> TimerWheel<K> {
    /// The memory of one timer in bytes, paid for each key up to the largest that ever had one.
    pub const TIMER_BYTES: usize = size_of::<Timer<K>>();

    /// The number of timers that are set, due ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.armed
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// When `key` is due, if it has a timer.
    #[must_use]
    pub fn deadline(&self, key: K) -> Option<Tick> {
        let timer = self.timers.get(key)?;
        (timer.deadline != UNARMED).then_some(Tick(timer.deadline))
    }

    /// Sets the timer of `key`, in place of the one it had.
    ///
    /// A deadline that is not after the time of the last [`expire`](Self::expire) is moved to the tick after it: what
    /// fires again and again never does so twice at one time.
    pub fn set(&mut self, key: K, deadline: Tick) {
        let deadline = deadline.0.clamp(self.now + 1, UNARMED - 1);
        if self.timers.reach(key).deadline == deadline {
            return;
        }
        self.cancel(key);
        self.timers.at_mut(key).deadline = deadline;
        self.armed += 1;
        self.place(key);
    }

    /// Takes the timer of `key` away, if it has one.
    pub fn cancel(&mut self, key: K) {
        let Some(timer) = self.timers.get(key) else {
            return;
        };
        if timer.deadline == UNARMED {
            return;
        }
        // Between two others, a list's ends are not touched, whichever list it is.
        let is_at_an_end = self.moving.head() == Some(key) || self.moving.tail() == Some(key);
        match self.place_of(timer.deadline) {
            _ if is_at_an_end => self.moving.remove(&mut self.timers, key),
            Place::Due => self.due.remove(&mut self.timers, key),
            Place::Slot { level, slot } => {
                let level = &mut self.levels[level];
                level.slots[slot].remove(&mut self.timers, key);
                if level.slots[slot].is_empty() {
                    level.occupied &= !(1 << slot);
                }
            }
        }
        self.timers.at_mut(key).deadline = UNARMED;
        self.armed -= 1;
    }

    /// Frees the memory of the timers around a key, none of which is set: the table of the keys has no value there any more.
    pub fn free_around(&mut self, key: K) {
        self.timers.free_around(key);
    }

    /// Moves time on to `now`; what is due by then can be popped. If that is very much, the rest is due after the next call.
    pub fn expire(&mut self, now: Tick) {
        // Before the first call no time was known: a timer may be many rounds away.
        let mut moves_left = if self.now == 0 { usize::MAX } else { self.moves };
        self.now = self.now.max(now.0);
        loop {
            while let Some(key) = self.moving.head() {
                if moves_left == 0 {
                    return;
                }
                moves_left -= 1;
                self.moving.remove(&mut self.timers, key);
                self.place(key);
            }
            let next = self.earliest_slot().map(|(level, slot)| (level, slot, self.slot_start(level, slot)));
            let Some((level, slot, start)) = next.filter(|&(_, _, start)| start <= now.0) else { break };
            self.elapsed = start;
            self.levels[level].occupied &= !(1 << slot);
            let list = std::mem::take(&mut self.levels[level].slots[slot]);
            if level == 0 {
                // A slot of the lowest level is one tick: all of it is due, however much it is.
                self.due.append(&mut self.timers, list);
            } else {
                self.moving = list;
            }
        }
        self.elapsed = self.now;
    }

    /// Takes a key whose timer expired. Its timer is gone; it may be set again.
    pub fn pop_due(&mut self) -> Option<K> {
        let key = self.due.pop_front(&mut self.timers)?;
        self.timers.at_mut(key).deadline = UNARMED;
        self.armed -= 1;
        Some(key)
    }

    /// When to call [`expire`](Self::expire) next: never later than the earliest deadline, and earlier only when the
    /// earliest of a slot was cancelled.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        if !self.due.is_empty() || !self.moving.is_empty() {
            return Some(Tick(self.elapsed));
        }
        let (level, slot) = self.earliest_slot()?;
        let (earliest, start) = (self.levels[level].earliest[slot], self.slot_start(level, slot));
        // In the top level a slot may hold deadlines of later rounds only, which say nothing about the slots after it.
        let this_round = level + 1 < LEVELS || (earliest ^ start) >> (SLOT_BITS * LEVELS as u32) == 0;
        Some(Tick(if this_round { earliest } else { start }))
    }

    /// The keys that have a timer, in their order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.timers.iter().filter(|(_, timer)| timer.deadline != UNARMED).map(|(key, _)| key)
    }

    /// Writes how far time has come, and when each key is due.
    pub fn write(&self, out: &mut Writer) {
        let Self { elapsed, now, moving: _, moves: _, levels: _, due: _, timers, armed } = self;
        out.number(*elapsed);
        out.number(*now);
        out.count(*armed);
        for (key, timer) in timers.iter().filter(|(_, timer)| timer.deadline != UNARMED) {
            out.key(key);
            out.number(timer.deadline);
        }
    }

    /// The wheel that was written. What was due and not popped yet is due still.
    pub fn read(from: &mut Reader<'_>) -> Self {
        let (elapsed, now) = (from.number(), from.number());
        from.check(elapsed <= now && now < TIME_MAX, "a time that no clock has come to");
        let (mut wheel, mut list) = (Self { elapsed, now, ..Self::default() }, from.list());
        while from.has_next(&mut list) {
            let (key, deadline) = (from.key(), from.number());
            let timer = wheel.timers.reach(key);
            if !from.check(timer.deadline == UNARMED && deadline != UNARMED, "two timers of one key") {
                break;
            }
            timer.deadline = deadline;
            wheel.armed += 1;
            wheel.place(key);
        }
        wheel
    }

    /// Puts a timer, which is in no list, where its deadline belongs.
    fn place(&mut self, key: K) {
        let deadline = self.timers.at(key).deadline;
        match self.place_of(deadline) {
            Place::Due => self.due.push_back(&mut self.timers, key),
            Place::Slot { level, slot } => {
                let level = &mut self.levels[level];
                let bit = 1 << slot;
                level.earliest[slot] =
                    if level.occupied & bit == 0 { deadline } else { level.earliest[slot].min(deadline) };
                level.occupied |= bit;
                level.slots[slot].push_back(&mut self.timers, key);
            }
        }
    }

    fn place_of(&self, deadline: u64) -> Place {
        if deadline <= self.elapsed {
            return Place::Due;
        }
        let highest_bit = (deadline ^ self.elapsed).ilog2();
        let level = ((highest_bit / SLOT_BITS) as usize).min(LEVELS - 1);
        Place::Slot { level, slot: group(deadline, level) }
    }

    /// The occupied slot that starts first.
    fn earliest_slot(&self) -> Option<(usize, usize)> {
        let (level, Level { occupied, .. }) = self.levels.iter().enumerate().find(|(_, level)| level.occupied != 0)?;
        // Only the top level, a ring, has slots at or before the current one: they are a round away.
        let past_current = group(self.elapsed, level) + 1;
        let ahead = occupied.rotate_right(past_current as u32).trailing_zeros() as usize;
        Some((level, (past_current + ahead) % SLOTS))
    }

    /// The first tick of a slot, as seen from `elapsed`: 1 to 64 slots ahead.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = SLOT_BITS as usize * level;
        let ahead = (slot + SLOTS - group(self.elapsed, level) - 1) % SLOTS + 1;
        ((self.elapsed >> shift) + ahead as u64) << shift
    }
}

/// The 6 bits of `ticks` that name a slot at `level`.
fn group(ticks: u64, level: usize) -> usize {
    (ticks >> (SLOT_BITS as usize * level)) as usize % SLOTS
}

const _: () = assert!(size_of::<Timer<Index>>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::key_type;
    use std::collections::BTreeMap;
    use std::hash::{BuildHasher, Hasher};

    key_type! {
        /// A key of the wheel under test.
        TestId
    }

    fn id(number: u32) -> TestId {
        TestId::new(number)
    }

    /// What the wheel should be: a map, searched from end to end.
    #[derive(Default)]
    struct Naive {
        now: u64,
        deadlines: BTreeMap<TestId, u64>,
    }

    impl Naive {
        fn set(&mut self, key: TestId, deadline: u64) {
            self.deadlines.insert(key, deadline.max(self.now + 1));
        }
        fn expire(&mut self, now: u64) -> Vec<TestId> {
            self.now = now;
            let due = self.deadlines.iter().filter(|&(_, &at)| at <= now).map(|(&key, _)| key).collect();
            self.deadlines.retain(|_, at| *at > now);
            due
        }
    }

    fn pop_all(wheel: &mut TimerWheel<TestId>) -> Vec<TestId> {
        let mut due: Vec<TestId> = std::iter::from_fn(|| wheel.pop_due()).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn a_timer_is_due_at_its_tick_and_not_before() {
        for start in [0, 1, 63, 64, 4095, 4096, (1 << 24) - 1, 1 << 24, (1 << 40) + 12345] {
            for delay in [1, 2, 63, 64, 65, 4095, 4096, 4097, 262_143, 262_144, (1 << 24) - 1, 1 << 24, 1 << 30] {
                let mut wheel = TimerWheel::default();
                wheel.expire(Tick(start));
                wheel.set(id(7), Tick(start + delay));
                wheel.expire(Tick(start + delay - 1));
                assert_eq!(wheel.pop_due(), None, "start {start} delay {delay}");
                wheel.expire(Tick(start + delay));
                assert_eq!(wheel.pop_due(), Some(id(7)), "start {start} delay {delay}");
                assert!(wheel.is_empty());
                assert_eq!(wheel.next_deadline(), None);
            }
        }
    }

    #[test]
    fn the_next_deadline_is_exact_without_cancels() {
        let mut wheel = TimerWheel::default();
        for (key, deadline) in [(0, 5_000), (1, 4_999), (2, 300_000), (3, 70)] {
            wheel.set(id(key), Tick(deadline));
        }
        for (deadline, key) in [(70, 3), (4_999, 1), (5_000, 0), (300_000, 2)] {
            assert_eq!(wheel.next_deadline(), Some(Tick(deadline)));
            wheel.expire(Tick(deadline));
            assert_eq!(pop_all(&mut wheel), [id(key)]);
        }
    }

    #[test]
    fn what_is_set_in_the_past_fires_at_the_next_tick() {
        let mut wheel = TimerWheel::default();
        wheel.expire(Tick(100));
        wheel.set(id(1), Tick(3));
        assert_eq!(wheel.deadline(id(1)), Some(Tick(101)));
        wheel.expire(Tick(100));
        assert_eq!(wheel.pop_due(), None);
        wheel.expire(Tick(101));
        assert_eq!(wheel.pop_due(), Some(id(1)));
        assert_eq!(wheel.deadline(id(1)), None);
    }

    #[test]
    fn a_due_timer_can_still_be_cancelled_and_moved() {
        let mut wheel = TimerWheel::default();
        wheel.set(id(1), Tick(10));
        wheel.set(id(2), Tick(10));
        wheel.set(id(3), Tick(10));
        wheel.expire(Tick(10));
        assert_eq!(wheel.next_deadline(), Some(Tick(10)));
        wheel.cancel(id(2));
        wheel.set(id(3), Tick(11));
        assert_eq!(pop_all(&mut wheel), [id(1)]);
        wheel.expire(Tick(11));
        assert_eq!(pop_all(&mut wheel), [id(3)]);
        wheel.cancel(id(1));
        wheel.cancel(id(99));
    }

    /// Moves time on until nothing is left to do at this moment.
    fn expire_all(wheel: &mut TimerWheel<TestId>, now: u64) {
        wheel.expire(Tick(now));
        while !wheel.moving.is_empty() {
            assert_eq!(wheel.next_deadline().map(|next| next.0 <= now), Some(true), "there is more to do");
            wheel.expire(Tick(now));
        }
    }

    /// The wheel as it is read by another program.
    fn rewritten(wheel: &TimerWheel<TestId>) -> TimerWheel<TestId> {
        let bytes = |wheel: &TimerWheel<TestId>| {
            let mut out = Writer::default();
            wheel.write(&mut out);
            out.into_bytes()
        };
        let written = bytes(wheel);
        let mut reader = Reader::new(&written, 0, "wheel");
        let again = TimerWheel { moves: wheel.moves, ..TimerWheel::read(&mut reader) };
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(bytes(&again), written);
        again
    }

    #[test]
    fn very_many_timers_are_moved_bit_by_bit_and_none_is_lost() {
        const COUNT: u32 = 3 * 4096 + 100;
        let mut wheel = TimerWheel::default();
        wheel.expire(Tick(1));
        // All of them within one slot of the third level, and some at its first tick.
        for number in 0..COUNT {
            wheel.set(id(number), Tick(4096 + u64::from(number) % 4_000));
        }
        wheel.expire(Tick(5_000));
        assert!(!wheel.moving.is_empty() && wheel.next_deadline() == Some(Tick(4096)));
        // One on its way is cancelled, at the front, at the end and in between, and one is moved.
        for number in [4096, 5_000, COUNT - 1] {
            wheel.cancel(id(number));
        }
        wheel.set(id(6_000), Tick(4_100));
        assert_eq!((wheel.deadline(id(6_000)), wheel.len()), (Some(Tick(5_001)), COUNT as usize - 3));
        expire_all(&mut wheel, 5_000);
        let is_there = |number: &u32| ![4096, 5_000, COUNT - 1, 6_000].contains(number);
        let due = (0..COUNT).filter(|number| 4096 + number % 4_000 <= 5_000).filter(is_there);
        assert_eq!(pop_all(&mut wheel), due.map(id).collect::<Vec<_>>());
        expire_all(&mut wheel, 5_001);
        assert!(pop_all(&mut wheel).contains(&id(6_000)));
        expire_all(&mut wheel, 9_000);
        pop_all(&mut wheel);
        assert!(wheel.is_empty() && wheel.next_deadline().is_none());
    }

    #[test]
    fn behaves_as_its_naive_twin() {
        for seed in 0..200_u64 {
            let mut draws = 0_u64;
            let hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
            let mut random = |below: u64| {
                draws += 1;
                let mut state = hasher.build_hasher();
                state.write_u64(seed);
                state.write_u64(draws);
                state.finish() % below
            };
            let (mut wheel, mut naive) = (TimerWheel::default(), Naive::default());
            wheel.moves = if seed % 2 == 0 { MOVES } else { 3 };
            let mut now = random(1 << 50);
            wheel.expire(Tick(now));
            naive.expire(now);
            for step in 0..400 {
                let key = id(u32::try_from(random(40)).unwrap());
                match random(4) {
                    0 => {
                        wheel.cancel(key);
                        naive.deadlines.remove(&key);
                    }
                    1 => {
                        let bits = random(27);
                        now += random(1 << bits);
                        wheel.expire(Tick(now));
                        if step % 3 == 0 {
                            wheel = rewritten(&wheel);
                        }
                        // In between a timer may go, or be set anew.
                        let key = id(u32::try_from(random(40)).unwrap());
                        let expected = naive.expire(now);
                        if !expected.contains(&key) {
                            let deadline = now + random(1 << 12);
                            wheel.set(key, Tick(deadline));
                            naive.set(key, deadline);
                        }
                        expire_all(&mut wheel, now);
                        assert_eq!(pop_all(&mut wheel), expected, "seed {seed} step {step}");
                    }
                    _ => {
                        let bits = random(28);
                        let deadline = now + random(1 << bits);
                        wheel.set(key, Tick(deadline));
                        naive.set(key, deadline);
                    }
                }
                assert_eq!(wheel.len(), naive.deadlines.len());
                assert_eq!(wheel.deadline(key).map(|tick| tick.0), naive.deadlines.get(&key).copied());
                let (next, earliest) = (wheel.next_deadline(), naive.deadlines.values().min().copied());
                assert_eq!(next.is_none(), earliest.is_none(), "seed {seed} step {step}");
                if step % 29 == 0 {
                    wheel = rewritten(&wheel);
                }
                if let (Some(next), Some(earliest)) = (next, earliest) {
                    assert!(next.0 <= earliest && next.0 > now, "seed {seed} step {step}: {next:?} {earliest} {now}");
                }
            }
        }
    }
}
