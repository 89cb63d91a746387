//! What waits to be written to a broker.
//!
//! Owns the bytes of whole frames, and how far the first one is written. When there is no more room, all that waits is
//! dropped: what is newer says more, and the nodes repair what they miss.
//!
//! Invariant: what is written is whole frames in a row, and no more than [`WAITING_MAX`] bytes and one frame wait.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

use crate::server::conns::torture;

/// Most bytes that wait: what a node with 10,000 changes announces at once.
const WAITING_MAX: usize = 256 * 1024;

/// Most parts in which a turn writes what waits.
const WRITES_MAX: usize = 8;

/// Frames on their way.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// The length of each frame.
    lengths: VecDeque<usize>,
    /// How much of the first frame is written.
    written: usize,
}

impl Outgoing {
    /// Appends a frame, or bytes that belong together. Returns how many frames were dropped for it.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        if length == 0 {
            return 0;
        }
        let dropped = if start > WAITING_MAX { self.drop_waiting(start) } else { 0 };
        self.lengths.push_back(length);
        dropped
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// What the sink says.
    pub(super) fn flush(&mut self, mut sink: impl Write) -> io::Result<()> {
        let mut count = self.written;
        let mut outcome = Ok(());
        for _ in 0..WRITES_MAX {
            let Some(left) = self.bytes.get(count..).filter(|left| !left.is_empty()) else { break };
            match torture::write(&mut sink, left) {
                Ok(written) => count += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.forget(count);
        outcome
    }

    /// This number of bytes is written.
    fn forget(&mut self, count: usize) {
        let mut whole = 0;
        while let Some(&length) = self.lengths.front().filter(|&&length| whole + length <= count) {
            whole += length;
            self.lengths.pop_front();
        }
        self.bytes.drain(..whole);
        self.written = count - whole;
    }

    /// Drops all frames but one of which a part is written, up to the place where a new one begins.
    fn drop_waiting(&mut self, end: usize) -> usize {
        let kept = usize::from(self.written > 0).min(self.lengths.len());
        let begin: usize = self.lengths.iter().take(kept).sum();
        self.bytes.drain(begin..end);
        self.lengths.drain(kept..).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that takes this number of bytes.
    struct Sink(Vec<u8>, usize);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.1);
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.1 -= count;
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frame(byte: u8) -> impl Fn(&mut Vec<u8>) {
        move |out| out.extend([byte; 1_000])
    }

    #[test]
    fn frames_leave_in_their_order_however_they_are_cut() {
        let mut outgoing = Outgoing::default();
        let mut sink = Sink(Vec::new(), 0);
        for byte in 0..9 {
            assert_eq!(outgoing.push(frame(byte)), 0);
        }
        assert_eq!(outgoing.push(|_| {}), 0);
        while !outgoing.is_empty() {
            sink.1 = 700;
            outgoing.flush(&mut sink).unwrap();
        }
        assert_eq!(sink.0, (0..9).flat_map(|byte| [byte; 1_000]).collect::<Vec<u8>>());
        assert!(outgoing.bytes.is_empty() && outgoing.written == 0);
    }

    #[test]
    fn the_newest_frames_win_and_a_cut_one_is_finished() {
        let mut outgoing = Outgoing::default();
        let mut sink = Sink(Vec::new(), 0);
        outgoing.push(frame(1));
        sink.1 = 300;
        outgoing.flush(&mut sink).unwrap();
        let (mut dropped, mut pushed) = (0, 0);
        while dropped == 0 {
            dropped = outgoing.push(frame(2));
            pushed += 1;
            assert!(outgoing.bytes.len() <= WAITING_MAX + 2_000);
        }
        assert_eq!(dropped, pushed - 1, "all but the cut one and the newest");
        outgoing.push(frame(3));
        sink.1 = 10_000;
        outgoing.flush(&mut sink).unwrap();
        assert_eq!(sink.0, [[1; 1_000], [2; 1_000], [3; 1_000]].concat());
    }
}
