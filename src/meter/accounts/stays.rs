//! How long members stayed: histograms in powers of two, small ones in little room.
//!
//! Owns the buckets, and a table of histograms. There is one histogram for each namespace, and one for each namespace of each
//! other node, and most events are small. Up to six stays are in the key itself. While no bucket has more than 255 a histogram
//! takes 20 bytes, and then 136.
//!
//! Invariant: a bucket never falls.

use crate::collections::key::Key;
use crate::collections::key::key_type;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;

/// The number of buckets in which stays are counted.
pub const STAY_BUCKETS: usize = 16;

/// The number of stays that ended below 1 s, from there below 2 s, below 4 s and so on; the last bucket takes all of 2^14 s
/// (4.5 hours) and more.
pub type Stays = [u64; STAY_BUCKETS];

/// The bucket of a stay.
pub(in crate::meter) fn bucket_of(stay_ms: u64) -> usize {
    let seconds = stay_ms / 1000;
    // The number of bits that the stay takes: 2^n is the first that takes n + 1.
    let bits = u64::BITS - seconds.leading_zeros();
    (bits as usize).min(STAY_BUCKETS - 1)
}

/// A histogram's key; it changes with the histogram. Its two highest bits say what the others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct StaysId(u32);

key_type! {
    /// The key of a histogram in a table.
    HistogramId
}

const KIND: u32 = 0b11 << 30;

/// The key of a small histogram.
const SMALL: u32 = 0b00 << 30;

/// The key of a large one.
const LARGE: u32 = 0b01 << 30;

/// The buckets of a few stays, four bits for each from the lowest on, and above those their number.
const FEW: u32 = 0b10 << 30;
const FEW_MAX: u32 = 6;
const FEW_COUNT_SHIFT: u32 = 4 * FEW_MAX;

impl StaysId {
    /// A histogram without stays.
    pub(in crate::meter) const EMPTY: Self = Self(FEW);

    /// Whether it has a place in the table.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn has_row(self) -> bool {
        self.0 & KIND != FEW
    }

    fn with_place(place: HistogramId, kind: u32) -> Self {
        Self(place.place().get() | kind)
    }

    /// Its place in the table of its kind.
    fn place(self) -> HistogramId {
        HistogramId::new(self.0 & !KIND)
    }

    fn few(self) -> u32 {
        self.0 >> FEW_COUNT_SHIFT & 0xf
    }
}

impl Default for StaysId {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Histograms.
#[derive(Default)]
pub(in crate::meter) struct StaysTable {
    small: Slab<HistogramId, [u8; STAY_BUCKETS]>,
    large: Slab<HistogramId, Stays>,
}

impl StaysTable {
    /// What a histogram says.
    pub(in crate::meter) fn get(&self, id: StaysId) -> Stays {
        match id.0 & KIND {
            SMALL => self.small.at(id.place()).map(u64::from),
            LARGE => *self.large.at(id.place()),
            _ => {
                let mut stays = Stays::default();
                for place in 0..id.few() {
                    add_at(&mut stays, (id.0 >> (4 * place) & 0xf) as usize, 1);
                }
                stays
            }
        }
    }

    /// Adds one stay.
    pub(in crate::meter) fn add_one(&mut self, id: &mut StaysId, bucket: usize) {
        // The usual ways, without reading and writing all of it.
        let few = id.few();
        match id.0 & KIND {
            SMALL => {
                let count = self.small.at_mut(id.place()).get_mut(bucket).filter(|count| **count < u8::MAX);
                if let Some(count) = count {
                    *count += 1;
                    return;
                }
            }
            LARGE => return add_at(self.large.at_mut(id.place()), bucket, 1),
            _ if few < FEW_MAX => {
                let place = u32::try_from(bucket).unwrap_or(0) << (4 * few);
                id.0 = (id.0 | place) + (1 << FEW_COUNT_SHIFT);
                return;
            }
            _ => {}
        }
        let mut stays = self.get(*id);
        add_at(&mut stays, bucket, 1);
        self.put(id, stays);
    }

    /// Adds stays.
    pub(in crate::meter) fn add(&mut self, id: &mut StaysId, more: &Stays) {
        if *more == Stays::default() {
            return;
        }
        let mut stays = self.get(*id);
        more.iter().enumerate().for_each(|(bucket, &more)| add_at(&mut stays, bucket, more));
        self.put(id, stays);
    }

    /// Raises each bucket to at least these; returns by how much.
    pub(in crate::meter) fn raise(&mut self, id: &mut StaysId, least: &Stays) -> Stays {
        let mut raise = *least;
        for (raise, before) in raise.iter_mut().zip(self.get(*id)) {
            *raise = raise.saturating_sub(before);
        }
        self.add(id, &raise);
        raise
    }

    /// Forgets a histogram.
    pub(in crate::meter) fn remove(&mut self, id: StaysId) {
        match id.0 & KIND {
            SMALL => drop(self.small.remove(id.place())),
            LARGE => drop(self.large.remove(id.place())),
            _ => {}
        }
    }

    /// Writes what a histogram says, and not its key.
    pub(in crate::meter) fn write(&self, id: StaysId, out: &mut Writer) {
        write(&self.get(id), out);
    }

    /// A histogram that says what was written.
    pub(in crate::meter) fn read(&mut self, from: &mut Reader<'_>) -> StaysId {
        let mut id = StaysId::EMPTY;
        self.add(&mut id, &read(from));
        id
    }

    /// The number of histograms that have a place.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    /// Replaces a histogram by one in which no bucket is less.
    fn put(&mut self, id: &mut StaysId, stays: Stays) {
        if id.0 & KIND == LARGE {
            *self.large.at_mut(id.place()) = stays;
        } else if stays.iter().any(|&count| count > u64::from(u8::MAX)) {
            self.remove(*id);
            *id = StaysId::with_place(self.large.insert(stays), LARGE);
        } else if id.0 & KIND == SMALL {
            *self.small.at_mut(id.place()) = stays.map(|count| u8::try_from(count).unwrap_or(u8::MAX));
        } else if stays.iter().sum::<u64>() > u64::from(FEW_MAX) {
            let small = stays.map(|count| u8::try_from(count).unwrap_or(u8::MAX));
            *id = StaysId::with_place(self.small.insert(small), SMALL);
        } else {
            *id = StaysId::EMPTY;
            for (bucket, &count) in stays.iter().enumerate() {
                (0..count).for_each(|_| self.add_one(id, bucket));
            }
        }
    }
}

/// Writes stays: the buckets that are not empty, as bits, and what is in them.
pub(in crate::meter) fn write(stays: &Stays, out: &mut Writer) {
    let buckets = (0..).zip(stays).fold(0, |mask, (bucket, &count)| mask | u64::from(count > 0) << bucket);
    out.number(buckets);
    stays.iter().filter(|&&count| count > 0).for_each(|&count| out.number(count));
}

/// The stays that were written.
pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Stays {
    let (mut stays, buckets) = (Stays::default(), from.number());
    from.check(buckets < 1 << STAY_BUCKETS, "more buckets of stays than there are");
    for (bucket, count) in stays.iter_mut().enumerate() {
        if buckets & 1 << bucket != 0 {
            *count = from.number();
        }
    }
    stays
}

fn add_at(stays: &mut Stays, bucket: usize, more: u64) {
    if let Some(count) = stays.get_mut(bucket) {
        *count = count.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_takes_what_is_below_its_power_of_two() {
        for (ms, bucket) in [
            (0, 0),
            (999, 0),
            (1_000, 1),
            (1_999, 1),
            (2_000, 2),
            (3_999, 2),
            (4_000, 3),
            (8_191_999, 13),
            (8_192_000, 14),
            (16_383_999, 14),
            (16_384_000, 15),
            (u64::MAX, 15),
        ] {
            assert_eq!(bucket_of(ms), bucket, "{ms} ms");
        }
    }

    #[test]
    fn histograms_grow_out_of_their_places_and_lose_nothing() {
        let mut table = StaysTable::default();
        let mut ids = [StaysId::EMPTY; 4];
        let mut twins = [Stays::default(); 4];
        for step in 0..20_000_u64 {
            // One stays small, one grows, one is given much at once, and one is given few, several at a time.
            let (which, bucket) = ((step % 4) as usize, (step * 7 % 16) as usize);
            let more = [u64::from(step < 600), 1, 1_000_000, step % 3][which];
            if more == 1 {
                table.add_one(&mut ids[which], bucket);
            } else {
                let mut stays = Stays::default();
                stays[bucket] = more;
                table.add(&mut ids[which], &stays);
            }
            twins[which][bucket] += more;
            assert_eq!(ids.map(|id| table.get(id)), twins, "after {step} steps");
        }
        let many = [0, 0, 0, 300, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for _ in 0..300 {
            table.add_one(&mut ids[0], 3);
            twins[0][3] += 1;
        }
        assert_eq!(table.get(ids[0]), twins[0]);
        assert_eq!(table.raise(&mut ids[0], &many), Stays::default(), "there are more already");
        assert_eq!(table.len(), 4);
        for id in ids {
            table.remove(id);
        }
        assert_eq!(table.len(), 0);
        table.remove(StaysId::EMPTY);
    }

    #[test]
    fn a_few_stays_take_no_place() {
        let mut table = StaysTable::default();
        let mut id = StaysId::EMPTY;
        for bucket in [15, 0, 15, 3, 0, 8] {
            table.add_one(&mut id, bucket);
            assert_eq!(table.len(), 0);
        }
        let six = table.get(id);
        assert_eq!((six[15], six[0], six[3], six[8], six.iter().sum::<u64>()), (2, 2, 1, 1, 6));
        table.add_one(&mut id, 1);
        assert_eq!((table.len(), table.get(id)[1], table.get(id)[15]), (1, 1, 2));
    }

    #[test]
    fn a_raise_is_the_larger_of_each() {
        let mut table = StaysTable::default();
        let mut id = StaysId::EMPTY;
        let (mut first, mut second) = (Stays::default(), Stays::default());
        (first[0], first[15], second[0], second[1]) = (5, 7, 3, 9);
        assert_eq!(table.raise(&mut id, &first), first);
        let raise = table.raise(&mut id, &second);
        assert_eq!((raise[0], raise[1], raise[15]), (0, 9, 0));
        let all = table.get(id);
        assert_eq!((all[0], all[1], all[15]), (5, 9, 7));
        assert_eq!(table.raise(&mut id, &first), Stays::default());
    }
}
