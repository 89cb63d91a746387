//! A sketch of many people: an estimate of their number, in 3 KiB.
//!
//! Owns 4,096 registers of six bits (HyperLogLog). The first 12 bits of a hash pick one, and it keeps the largest rank that
//! any hash brought there: the place of the first bit that is set among the others. Two sketches of one key merge as maxima, so
//! they may be merged in any order and more than once. The standard error is 1.04 / sqrt(4,096), which is 1.63 %.
//!
//! The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6). It has no
//! bias from 0 to the largest number, and no table.
//!
//! Invariant: no register is above [`RANK_MAX`].

use crate::meter::news::census::{HASH_BITS, Mark, QUARTER_BYTES, RANK_MAX, REGISTERS};

/// How many registers three bytes hold.
const PER_QUAD: usize = 4;

const QUADS: usize = REGISTERS as usize / PER_QUAD;

/// The mark of a hash.
#[expect(clippy::cast_possible_truncation, reason = "12 bits, and a number of bits")]
pub(super) fn mark_of(hash: u64) -> Mark {
    let rest_bits = HASH_BITS - REGISTERS.trailing_zeros();
    let rest = hash & ((1 << rest_bits) - 1);
    let rank = rest.leading_zeros() - (u64::BITS - rest_bits) + 1;
    Mark { register: (hash >> rest_bits) as u16, rank: rank as u8 }
}

/// The registers, four in three bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sketch([[u8; 3]; QUADS]);

const _: () = assert!(size_of::<Sketch>() == 3 * 1024 && size_of::<Sketch>() == 4 * QUARTER_BYTES);

impl Sketch {
    /// The sketch of no people.
    pub(super) const EMPTY: Self = Self([[0; 3]; QUADS]);

    /// Records a mark; returns the rank before, if that was less.
    pub(super) fn raise(&mut self, Mark { register, rank }: Mark) -> Option<u8> {
        let rank = rank.min(RANK_MAX);
        let (place, slot) = (usize::from(register) / PER_QUAD, usize::from(register) % PER_QUAD);
        let quad = self.0.get_mut(place)?;
        let mut ranks = unpack(*quad);
        let slot = ranks.get_mut(slot)?;
        let before = *slot;
        if before >= rank {
            return None;
        }
        *slot = rank;
        *quad = pack(ranks);
        Some(before)
    }

    /// Whether recording a mark would change nothing.
    pub(super) fn has(&self, Mark { register, rank }: Mark) -> bool {
        let (place, slot) = (usize::from(register) / PER_QUAD, usize::from(register) % PER_QUAD);
        let ranks = self.0.get(place).map_or([0; PER_QUAD], |quad| unpack(*quad));
        ranks.get(slot).is_some_and(|&kept| kept >= rank)
    }

    /// All that is recorded, as numbers that are different for different registers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        (0..).zip(&self.0).map(|(place, &[a, b, c])| place << 24 | u64::from(u32::from_le_bytes([a, b, c, 0])))
    }

    /// All registers, packed.
    pub(super) fn packed(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// A quarter of the registers, packed.
    pub(super) fn quarter(&self, number: u8) -> Vec<u8> {
        let quads = self.0.chunks(QUADS / 4).nth(number.into()).unwrap_or_default();
        quads.as_flattened().to_vec()
    }

    /// Records a quarter of another sketch; returns whether anything is new.
    pub(super) fn raise_quarter(&mut self, number: u8, packed: &[u8]) -> bool {
        let quads = self.0.iter_mut().skip(usize::from(number) * QUADS / 4);
        let mut is_new = false;
        for (quad, other) in quads.zip(packed.as_chunks().0) {
            let (mut ranks, before) = (unpack(*quad), *quad);
            for (rank, other) in ranks.iter_mut().zip(unpack(*other)) {
                *rank = other.min(RANK_MAX).max(*rank);
            }
            *quad = pack(ranks);
            is_new |= *quad != before;
        }
        is_new
    }

    /// The number of people; some 4 us.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of people, to the nearest")]
    pub(super) fn estimate(&self) -> u64 {
        let mut counts = [0_u32; 64];
        for quad in &self.0 {
            for rank in unpack(*quad) {
                if let Some(count) = counts.get_mut(usize::from(rank)) {
                    *count += 1;
                }
            }
        }
        let m = f64::from(REGISTERS);
        let share = |rank: u8| f64::from(counts.get(usize::from(rank)).copied().unwrap_or(0)) / m;
        let mut z = tau(1.0 - share(RANK_MAX));
        for rank in (1..RANK_MAX).rev() {
            z = 0.5 * (z + share(rank));
        }
        z += sigma(share(0));
        (m / (2.0 * std::f64::consts::LN_2) / z).round() as u64
    }
}

fn unpack([a, b, c]: [u8; 3]) -> [u8; PER_QUAD] {
    [a & 63, a >> 6 | (b & 15) << 2, b >> 4 | (c & 3) << 4, c >> 2]
}

fn pack([a, b, c, d]: [u8; PER_QUAD]) -> [u8; 3] {
    [a | b << 6, b >> 2 | c << 4, c >> 4 | d << 2]
}

/// What the registers without a mark add, by their share of all.
fn sigma(mut share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, share);
    loop {
        share *= share;
        let before = sum;
        sum += share * weight;
        weight += weight;
        if sum <= before {
            return sum;
        }
    }
}

/// What the registers with the largest rank add, by the share of the others.
fn tau(mut share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - share);
    loop {
        share = share.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - share) * (1.0 - share) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_keep_their_largest_rank_and_leave_the_others_alone() {
        let (mut sketch, mut twin) = (Sketch::EMPTY, vec![0_u8; REGISTERS.into()]);
        let mut random = 11_u64;
        for _ in 0..40_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mark = mark_of(random >> 16);
            let known = &mut twin[usize::from(mark.register)];
            assert_eq!(sketch.raise(mark), (*known < mark.rank).then_some(*known));
            *known = mark.rank.max(*known);
        }
        let kept: Vec<u8> = sketch.0.iter().flat_map(|quad| unpack(*quad)).collect();
        assert_eq!(kept, twin);
    }

    #[test]
    fn a_hash_belongs_where_its_bits_say() {
        let mark = |hash| (mark_of(hash).register, mark_of(hash).rank);
        assert_eq!(mark(0), (0, RANK_MAX));
        assert_eq!(mark(1), (0, RANK_MAX - 1));
        assert_eq!(mark((1 << HASH_BITS) - 1), (REGISTERS - 1, 1));
        assert_eq!(mark(5 << 36 | 1 << 34), (5, 2));
    }

    #[test]
    fn the_extremes_are_numbers() {
        assert_eq!(Sketch::EMPTY.estimate(), 0);
        let mut full = Sketch::EMPTY;
        for register in 0..REGISTERS {
            full.raise(Mark { register, rank: RANK_MAX });
        }
        assert!(full.estimate() > 1 << HASH_BITS, "more than there are hashes");
        let mut one = Sketch::EMPTY;
        one.raise(Mark { register: 7, rank: RANK_MAX });
        assert_eq!(one.estimate(), 1);
    }
}
