//! Scripts: bytes as operations and their arguments.
//!
//! Owns how a byte is read. A byte is an operation by its low five bits, so that scripts can be written as letters. The bytes
//! after it are its arguments: each counts from the digit `0` on, so that small numbers are written as digits, 10 to 15 as the
//! signs from `:` to `?`, and 17 to 42 as capital letters. A space is the hand-over of a node, which changes nothing.
//!
//! Invariant: any bytes are a script.

/// The bytes that are left of a script. At its end all arguments are 0.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl Script<'_> {
    /// The next operation, as a small letter or one of the signs beside them.
    pub(super) fn operation(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first & 0x1f | 0x60)
    }

    /// An argument: any number of one byte.
    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&b'0', &[]));
        self.0 = rest;
        first.wrapping_sub(b'0')
    }

    /// An argument: a number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
