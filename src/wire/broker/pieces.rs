//! Lines and counted bytes, whatever pieces they come in.
//!
//! Owns the bytes of what is not whole yet. What is whole within one piece is not copied. It knows no protocol.
//!
//! Invariant: what is kept is never longer than the caller's limit.

/// A line is longer than its limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The beginning of what has not come whole.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    kept: Vec<u8>,
    /// Whether what is kept was whole, and was handed out.
    is_taken: bool,
}

impl Pieces {
    /// Takes a line off the bytes, with its line feed; `None` when they end before.
    pub(super) fn line<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b [u8],
        most: usize,
    ) -> Result<Option<&'a [u8]>, TooLong> {
        self.forget_taken();
        let end = bytes.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let length = end.unwrap_or(bytes.len());
        if self.kept.len() + length > most {
            return Err(TooLong);
        }
        Ok(self.take(bytes, length, end.is_some()))
    }

    /// Takes `count` bytes; `None` when there are fewer.
    pub(super) fn exactly<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8], count: usize) -> Option<&'a [u8]> {
        self.forget_taken();
        let missing = count.saturating_sub(self.kept.len());
        self.take(bytes, missing.min(bytes.len()), missing <= bytes.len())
    }

    /// Whether nothing is kept of what has not come whole.
    pub(super) fn is_empty(&self) -> bool {
        self.is_taken || self.kept.is_empty()
    }

    /// Whether what is kept, with these bytes after it, begins so, as far as it goes.
    pub(super) fn begins(&self, bytes: &[u8], word: &[u8]) -> bool {
        let kept = if self.is_taken { &[][..] } else { &self.kept };
        kept.iter().chain(bytes).zip(word).all(|(byte, wanted)| byte.eq_ignore_ascii_case(wanted))
    }

    fn forget_taken(&mut self) {
        if core::mem::take(&mut self.is_taken) {
            self.kept.clear();
        }
    }

    fn take<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8], length: usize, is_whole: bool) -> Option<&'a [u8]> {
        let (piece, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        *bytes = rest;
        if is_whole && self.kept.is_empty() {
            return Some(piece);
        }
        self.kept.extend_from_slice(piece);
        self.is_taken = is_whole;
        is_whole.then_some(&self.kept)
    }
}

/// Skips bytes, as far as there are any; whether all are skipped.
pub(super) fn skip(bytes: &mut &[u8], left: &mut u64) -> bool {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(count..).unwrap_or_default();
    *left -= count as u64;
    *left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_counts_come_whole_from_any_pieces() {
        let bytes = b"first\nsecond\n12345third\n";
        for size in 1..=bytes.len() {
            let (mut pieces, mut found) = (Pieces::default(), Vec::new());
            for piece in bytes.chunks(size) {
                let mut rest = piece;
                loop {
                    let item = match found.len() {
                        2 => pieces.exactly(&mut rest, 5),
                        _ => pieces.line(&mut rest, 7).unwrap(),
                    };
                    let Some(item) = item else { break };
                    found.push(item.to_vec());
                }
            }
            assert_eq!(found, [&b"first\n"[..], b"second\n", b"12345", b"third\n"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_beyond_its_limit_is_refused_before_it_is_kept() {
        for size in 1..=9 {
            let mut pieces = Pieces::default();
            let mut results = b"12345678\n".chunks(size).map(|mut piece| pieces.line(&mut piece, 8).map(|_| ()));
            assert!(results.any(|result| result == Err(TooLong)), "in pieces of {size}");
        }
        assert_eq!(Pieces::default().line(&mut &b"1234567\n"[..], 8), Ok(Some(&b"1234567\n"[..])));
    }

    #[test]
    fn bytes_are_skipped_across_pieces_and_no_further() {
        let mut left = 5;
        assert!(!skip(&mut &b"123"[..], &mut left));
        let mut rest = &b"4567"[..];
        assert!(skip(&mut rest, &mut left));
        assert_eq!(rest, b"67");
    }
}
