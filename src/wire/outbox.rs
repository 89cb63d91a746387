//! The unwritten bytes of one peer that did not take everything at once.
//!
//! Owns at most: the rest of a short write, a few messages, and the latest count. Counts conflate: a peer that lags behind
//! gets the newest one when its socket takes bytes again, not the backlog. Messages do not; past their bound the peer is
//! too slow. So the memory of a member is a constant, whatever the other members do.
//!
//! Invariant: frames are never interleaved: a frame that was begun is finished first.

use std::collections::VecDeque;

use super::sse::Frame;
use super::transfer::Coding;

/// Most messages that wait for one member: the most that one namespace may have on their way at once. All of them may come
/// within one round trip to the member, while the kernel takes no more than a few. A peer that is further behind will not
/// catch up. They are shared: the messages that wait for a member are among the last of its namespace.
pub const MESSAGES_MAX: usize = 64;

/// Most frames in one write. Frames that wait for a round trip go out in one piece: the kernel accounts a kilobyte for each
/// write, however short, and would take only six or so.
pub const GATHER_MAX: usize = 32;

/// The unwritten bytes, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    current: Current,
    messages: VecDeque<Frame>,
    count: Option<Frame>,
    /// What ends all.
    end: Vec<u8>,
}

/// The bytes that are being written.
#[derive(Debug, Default)]
enum Current {
    #[default]
    Nothing,
    /// A frame that others are sent as well, and how much of it is written.
    Shared(Frame, usize),
    /// Bytes for this peer alone, and how much of them is written.
    Own(Vec<u8>, usize),
}

/// Too many messages wait for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

impl Outbox {
    /// Begins with a frame of which `written` bytes went out.
    #[must_use]
    pub fn with_frame(frame: Frame, written: usize) -> Self {
        Self { current: Current::Shared(frame, written), ..Self::default() }
    }

    /// Begins with bytes for this peer alone.
    #[must_use]
    pub fn with_bytes(bytes: Vec<u8>) -> Self {
        Self { current: Current::Own(bytes, 0), ..Self::default() }
    }

    /// Puts a count in line, in place of an older one that waits.
    pub fn put_count(&mut self, frame: Frame) {
        self.count = Some(frame);
    }

    /// Puts a message in line, behind those that wait.
    ///
    /// # Errors
    /// When [`MESSAGES_MAX`] are waiting.
    pub fn put_message(&mut self, frame: Frame) -> Result<(), TooSlow> {
        if self.messages.len() == MESSAGES_MAX {
            return Err(TooSlow);
        }
        self.messages.push_back(frame);
        Ok(())
    }

    /// Gives up all that has not been begun.
    pub fn give_up(&mut self) {
        self.messages.clear();
        self.count = None;
    }

    /// Ends with these bytes, behind all that waits. They are encoded already.
    pub fn end_with(&mut self, bytes: Vec<u8>) {
        self.end = bytes;
    }

    /// The unwritten pieces in order, of a body in this coding; none when all is written.
    pub fn pieces(&self, coding: Coding) -> impl Iterator<Item = &[u8]> {
        let waiting = self.messages.iter().chain(&self.count).map(move |frame| frame.bytes(coding));
        let all = std::iter::once(self.unwritten(coding)).chain(waiting).chain([&*self.end]);
        all.filter(|bytes| !bytes.is_empty()).take(GATHER_MAX)
    }

    /// Takes note that this many bytes of [`pieces`](Self::pieces) were written.
    pub fn advance(&mut self, count: usize, coding: Coding) {
        let mut count = count;
        loop {
            let left = self.unwritten(coding).len();
            if let Current::Shared(_, written) | Current::Own(_, written) = &mut self.current {
                *written += count.min(left);
            }
            count = count.saturating_sub(left);
            if count == 0 {
                return;
            }
            self.current = match self.messages.pop_front().or_else(|| self.count.take()) {
                Some(frame) => Current::Shared(frame, 0),
                None if self.end.is_empty() => return,
                None => Current::Own(std::mem::take(&mut self.end), 0),
            };
        }
    }

    fn unwritten(&self, coding: Coding) -> &[u8] {
        let (bytes, written) = match &self.current {
            Current::Nothing => return &[],
            Current::Shared(frame, written) => (frame.bytes(coding), *written),
            Current::Own(bytes, written) => (bytes.as_slice(), *written),
        };
        bytes.get(written..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sse;

    /// Writes at most `step` bytes at a time until nothing is left.
    fn drain(outbox: &mut Outbox, step: usize, coding: Coding) -> String {
        let mut written = Vec::new();
        loop {
            let bytes: Vec<u8> = outbox.pieces(coding).collect::<Vec<_>>().concat();
            if bytes.is_empty() {
                break;
            }
            let count = bytes.len().min(step);
            written.extend_from_slice(&bytes[..count]);
            outbox.advance(count, coding);
        }
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn counts_conflate_and_messages_do_not() {
        for step in [1, 3, 1000] {
            let mut outbox = Outbox::with_frame(sse::count(10), 4);
            outbox.put_count(sse::count(11));
            outbox.put_message(sse::message("s=a")).unwrap();
            outbox.put_count(sse::count(12));
            outbox.put_message(sse::message("s=b")).unwrap();
            let drained = drain(&mut outbox, step, Coding::Identity);
            assert_eq!(drained, ": 10\n\ndata: s=a\n\ndata: s=b\n\ndata: 12\n\n");
            assert_eq!(outbox.pieces(Coding::Identity).count(), 0);
        }
    }

    #[test]
    fn what_was_begun_is_finished_before_the_end() {
        for step in [1, 2, 1000] {
            let mut outbox = Outbox::with_bytes(b"whole".to_vec());
            outbox.advance(2, Coding::Chunked);
            outbox.put_count(sse::count(1));
            outbox.put_message(sse::message("s=a")).unwrap();
            outbox.end_with(b"the end".to_vec());
            let mut cut = Outbox::with_bytes(b"whole".to_vec());
            cut.advance(2, Coding::Chunked);
            cut.put_message(sse::message("s=a")).unwrap();
            cut.give_up();
            cut.end_with(b"the end".to_vec());
            let drained = drain(&mut outbox, step, Coding::Chunked);
            assert_eq!(drained, "oleb\r\ndata: s=a\n\n\r\n9\r\ndata: 1\n\n\r\nthe end");
            assert_eq!(drain(&mut cut, step, Coding::Chunked), "olethe end");
        }
    }

    #[test]
    fn what_waits_goes_out_together_and_counts_still_conflate() {
        let coding = Coding::Identity;
        let mut outbox = Outbox::with_frame(sse::count(10), 4);
        outbox.put_message(sse::message("s=a")).unwrap();
        outbox.put_count(sse::count(11));
        let pieces: Vec<&[u8]> = outbox.pieces(coding).collect();
        assert_eq!(pieces, [&b": 10\n\n"[..], b"data: s=a\n\n", b"data: 11\n\n"]);
        // All of the message, and the first byte of the count, which is then sent whole.
        outbox.advance(6 + 11 + 1, coding);
        outbox.put_count(sse::count(12));
        assert_eq!(drain(&mut outbox, 1000, coding), "ata: 11\n\ndata: 12\n\n");
        for _ in 0..MESSAGES_MAX {
            outbox.put_message(sse::message("s=a")).unwrap();
        }
        assert_eq!(outbox.pieces(coding).count(), GATHER_MAX);
    }

    #[test]
    fn too_many_messages_are_too_slow() {
        let mut outbox = Outbox::default();
        for _ in 0..MESSAGES_MAX {
            assert_eq!(outbox.put_message(sse::message("s=a")), Ok(()));
        }
        assert_eq!(outbox.put_message(sse::message("s=a")), Err(TooSlow));
    }
}
