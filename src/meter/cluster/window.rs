//! Which datagrams of a peer were received before.
//!
//! Owns the numbers of the last ones. It does not know their content.
//!
//! Invariant: a number is admitted once.

/// Which of the last datagrams were seen: an anti-replay window (RFC 4303 section 3.4.3).
///
/// A repair sends some 3,000 a second, and paths of different length reorder them by a few milliseconds.
#[derive(Debug)]
pub(super) struct Window {
    /// The largest number seen.
    highest: u64,
    /// Bit `n % WINDOW_BITS` is set when number `n` was seen, for the numbers up to `highest`.
    seen: [u64; WINDOW_WORDS],
}

const WINDOW_WORDS: usize = 16;
const WINDOW_BITS: u64 = 64 * WINDOW_WORDS as u64;

impl Default for Window {
    fn default() -> Self {
        Self { highest: 0, seen: [0; WINDOW_WORDS] }
    }
}

impl Window {
    /// Whether no later number was admitted.
    pub(super) fn is_highest(&self, number: u64) -> bool {
        number == self.highest
    }

    /// Whether the datagram of this number is new; from now on it is not.
    pub(super) fn admit(&mut self, number: u64) -> bool {
        if number == 0 || number <= self.highest.saturating_sub(WINDOW_BITS) {
            return false;
        }
        if number > self.highest {
            for skipped in self.highest + 1..=number.min(self.highest.saturating_add(WINDOW_BITS)) {
                *self.word(skipped) &= !(1 << (skipped % 64));
            }
            if number - self.highest >= WINDOW_BITS {
                self.seen = [0; WINDOW_WORDS];
            }
            self.highest = number;
        }
        let word = self.word(number);
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the length")]
    fn word(&mut self, number: u64) -> &mut u64 {
        &mut self.seen[usize::try_from(number % WINDOW_BITS / 64).unwrap_or(0) % WINDOW_WORDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_admitted_once_in_any_order_within_the_window() {
        let mut window = Window::default();
        for (number, is_new) in [(0, false), (1, true), (1, false), (5, true), (3, true), (3, false), (5, false)] {
            assert_eq!(window.admit(number), is_new, "{number}");
        }
        assert!(window.admit(1500));
        assert!(!window.admit(5), "too old for the window");
        assert!(window.admit(1500 - WINDOW_BITS + 1));
        assert!(!window.admit(1500 - WINDOW_BITS));
        assert!(window.admit(10_000_000));
        assert!(window.admit(9_999_999) && !window.admit(9_999_999));
        for number in 10_000_001..10_003_000 {
            assert!(window.admit(number) && !window.admit(number));
        }
        assert!(window.admit(u64::MAX));
        assert!(!window.admit(u64::MAX) && window.admit(u64::MAX - 1));
    }
}
