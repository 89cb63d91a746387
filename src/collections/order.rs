//! Values in their order, where there are few and no time is short.
//!
//! Owns the way: by a heap of std. What sorts a slice in std is 4 kB of program for each type, and this is 1 kB.
//!
//! Invariant: nothing is added and nothing is lost.

use std::collections::BinaryHeap;

/// The same values, the least first.
#[must_use]
pub fn in_order<T: Ord>(values: Vec<T>) -> Vec<T> {
    BinaryHeap::from(values).into_sorted_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_comes_first_and_equal_ones_stay() {
        assert_eq!(in_order(vec![3, 1, 2, 1]), [1, 1, 2, 3]);
        assert!(in_order::<u8>(vec![]).is_empty());
        let values: Vec<u32> = (0..1_000).map(|number| number * 7_919 % 1_000).collect();
        assert!(in_order(values).into_iter().eq(0..1_000));
    }
}
