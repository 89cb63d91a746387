//! Chance that is the same in each run: the sequence of numbers that belongs to a seed (splitmix64, by Steele, Lea and
//! Flood).

/// A sequence of numbers.
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of a place, such as a time and a road, under one seed: a run that is shortened keeps its chance at all
    /// places that are left.
    #[must_use]
    pub fn at(seed: u64, place: &[u64]) -> Self {
        place.iter().fold(Self(seed), |mut chance, part| Self(chance.draw() ^ part))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number, below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// True in `percent` of a hundred cases.
    pub fn is_hit(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.draw().to_le_bytes()[0]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_sequence_and_another_seed_another() {
        let bytes = |seed| Chance::new(seed).bytes(16);
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
        // The first number of the reference implementation.
        assert_eq!(Chance::new(0).draw(), 0xe220_a839_7b1d_cdaf);
    }
}
