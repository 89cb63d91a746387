//! Which numbers were seen before.
//!
//! Owns the last ones. It does not know what they are the numbers of.
//!
//! Invariant: a number is admitted once.

use crate::collections::sections::{Reader, Writer};

/// Which of the last datagrams were seen: an anti-replay window (RFC 4303 section 3.4.3).
///
/// A repair sends some 4,800 a second, and paths of different length reorder them by a few milliseconds.
#[derive(Debug)]
pub(super) struct Window {
    /// The largest number seen.
    highest: u64,
    /// Bit `n % WINDOW_BITS` is set when number `n` was seen, for the numbers up to `highest`.
    seen: [u64; WINDOW_WORDS],
}

const WINDOW_WORDS: usize = 16;

/// How many datagrams in a row may have been lost: at the 4,800 a second of a repair, those of 13 seconds.
const JUMP_MAX: u64 = 1 << 16;

const WINDOW_BITS: u64 = 64 * WINDOW_WORDS as u64;

impl Default for Window {
    fn default() -> Self {
        Self { highest: 0, seen: [0; WINDOW_WORDS] }
    }
}

impl Window {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { highest, seen } = self;
        out.number(*highest);
        for &word in seen {
            out.fixed(word);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let highest = from.number();
        Self { highest, seen: [(); WINDOW_WORDS].map(|()| from.fixed()) }
    }

    /// Of a sender whose first number was this one.
    pub(super) fn starting_at(number: u64) -> Self {
        let mut window = Self { highest: number, seen: [0; WINDOW_WORDS] };
        window.admit(number);
        window
    }

    /// Whether no later number was admitted.
    pub(super) fn is_highest(&self, number: u64) -> bool {
        number == self.highest
    }

    /// The sender has proved that this is its number now: it is admitted, and none before it will be.
    pub(super) fn restart(&mut self, number: u64) {
        *self = Self { highest: number, seen: [u64::MAX; WINDOW_WORDS] };
    }

    /// Whether this number is so far ahead that only a proof can say that it is the sender's.
    pub(super) fn is_jump(&self, number: u64) -> bool {
        number > self.highest.saturating_add(JUMP_MAX)
    }

    /// Whether the datagram of this number is new; from now on it is not.
    pub(super) fn admit(&mut self, number: u64) -> bool {
        if number == 0 || number <= self.highest.saturating_sub(WINDOW_BITS) || self.is_jump(number) {
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
        assert!(window.admit(60_000));
        assert!(window.admit(59_999) && !window.admit(59_999));
        for number in 60_001..63_000 {
            assert!(window.admit(number) && !window.admit(number));
        }
    }

    #[test]
    fn a_jump_takes_a_proof_forwards_and_back() {
        let mut window = Window::default();
        assert!(window.admit(7) && !window.admit(8 + JUMP_MAX));
        assert!(window.admit(8), "the jump had no effect");
        window.restart(u64::MAX);
        assert!(!window.admit(u64::MAX) && !window.admit(u64::MAX - 1) && !window.admit(9));
        window.restart(9);
        assert!(!window.admit(9) && !window.admit(8), "what came before the proof may be a recording");
        assert!(window.admit(11) && window.admit(10) && !window.admit(10));
    }
}
