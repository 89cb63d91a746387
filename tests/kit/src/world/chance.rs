//! Chance by a seed: the same seed gives the same numbers, on every machine.
//!
//! Owns the generator. It knows nothing of what the numbers decide.

/// A splitmix64 generator (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of one place: a run that is shortened keeps its chance at all places that are left.
    pub fn at(seed: u64, place: &[u64]) -> Self {
        place.iter().fold(Self(seed), |mut chance, part| Self(chance.draw() ^ part))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// True in `percent` of a hundred cases.
    pub fn is_hit(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
