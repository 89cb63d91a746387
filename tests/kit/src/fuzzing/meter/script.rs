//! Scripts: bytes as operations and their arguments.
//!
//! Owns how a byte is read. It is an operation by its low five bits, so that scripts can be written as letters, and the
//! bytes that follow it are its arguments, by their low four bits, so that those can be written as digits
//! and, for 10 to 15, as the signs from `:` to `?`. A space is an operation that does nothing.
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

    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// An argument: a number below `limit`, which is at most 16.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte() & 0xf) % limit
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub(super) fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        from[self.below(N)]
    }
}
