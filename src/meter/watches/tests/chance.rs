//! Everything at random, and in pieces as small as can be.

use super::*;

/// Numbers as good as drawn, the same for the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

impl World {
    /// Something happens: a member joins or leaves, a watcher enters or leaves, or it does not take its pieces.
    fn happen(&mut self, random: &mut Random) {
        const NAMES: [&str; 8] = ["a", "ab", "abc", "abd", "b", "b=1", "ba", "c"];
        const PATTERNS: [&str; 10] = ["a", "ab", "abd", "zzz", "*", "a*", "ab*", "abc*", "b*", "zz*"];
        let key = u32::try_from(random.below(12)).unwrap();
        match random.below(7) {
            0..=3 if self.there.insert(key) => self.join(key, random.of(&NAMES)),
            0..=3 => {
                self.there.remove(&key);
                self.leave(key);
            }
            4 if self.clients.contains_key(&key) => self.go(key),
            4 | 5 if !self.clients.contains_key(&key) => {
                let mut patterns: Vec<&str> = (0..=random.below(4)).map(|_| random.of(&PATTERNS)).collect();
                patterns.sort_unstable();
                patterns.dedup();
                self.enter(key, &patterns);
            }
            _ if self.clients.contains_key(&key) => {
                let takes = Some(random.below(2)).filter(|_| random.below(2) == 0);
                self.let_take(key, takes);
            }
            _ => {}
        }
    }

    /// All watchers take their pieces, and in the end each knows all totals that it watches.
    fn end(&mut self) {
        let all: Vec<u32> = self.clients.keys().copied().collect();
        for id in all {
            self.let_take(id, None);
        }
        self.pass(Duration::from_secs(3));
        self.check();
    }
}

#[test]
fn whatever_happens_every_watcher_knows_its_totals_in_the_end() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut world = World::new();
        for _ in 0..200 {
            match random.below(10) {
                0..=5 => world.happen(&mut random),
                6 => world.pass(CLEAN_DELAY),
                7 => world.pass(Duration::from_secs(1)),
                _ => world.pass(Duration::from_millis(50)),
            }
        }
        world.end();
    }
}

/// The same, while nothing is ever done in one go.
#[test]
fn every_watcher_knows_its_totals_though_all_happens_in_the_middle_of_a_slice() {
    for seed in 0..1_000 {
        let mut random = Random::new(seed);
        let mut world = World::new();
        world.is_cut = true;
        let (names, lines) = (1 + random.below(3), 1 + random.below(2));
        world.watches.budgets = Budgets { names, lines, looks: 2 + random.below(8), bytes: 1 + random.below(60) };
        for step in 0..400 {
            match random.below(16) {
                0..=3 => world.happen(&mut random),
                4 if step % 3 == 0 => world.pass(Duration::from_secs(1)),
                5 => world.now.tick.0 += 101,
                6 => world.now.tick.0 += 301,
                _ => world.turn(1 + random.below(2)),
            }
        }
        world.end();
    }
}
