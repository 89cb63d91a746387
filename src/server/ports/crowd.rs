//! When the audience port has too many heads that are not whole.
//!
//! Owns the decision whether silent connections wait in the kernel. Past the limit of heads, a connection that comes without
//! a whole one is turned away. Most connections come a moment before their heads, so then the kernel is asked to hand over
//! both together. (It is not asked always: a silent connection would cost it a second's memory, and be answered a second
//! late.)
//!
//! A connection that comes with a whole head is answered all the same: it is not known to be better than others, but it costs
//! next to nothing.
//!
//! Invariant: the decision changes at two different numbers, a quarter apart, so a crowd at the limit does not flip it.

/// The heads that the audience port waits for.
#[derive(Debug)]
pub(super) struct Crowd {
    heads_max: usize,
    is_silence_deferred: bool,
}

impl Crowd {
    /// Waits for `heads_max` heads at most.
    pub(super) fn new(heads_max: usize) -> Self {
        Self { heads_max, is_silence_deferred: false }
    }

    /// Whether silence is deferred from now on, if that is new.
    pub(super) fn change(&mut self, head_count: usize) -> Option<bool> {
        let slack = if self.is_silence_deferred { self.heads_max / 4 } else { 0 };
        let is_wanted = head_count >= self.heads_max - slack;
        let is_new = is_wanted != self.is_silence_deferred;
        self.is_silence_deferred = is_wanted;
        is_new.then_some(is_wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_deferred_at_the_limit_and_until_a_quarter_of_the_heads_has_gone() {
        let mut crowd = Crowd::new(100);
        let changes = [0, 99, 100, 101, 76, 75, 74, 99, 100].map(|heads| crowd.change(heads));
        let expected = [None, None, Some(true), None, None, None, Some(false), None, Some(true)];
        assert_eq!(changes, expected);
    }
}
