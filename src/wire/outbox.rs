//! What is still to be written to one peer that did not take everything at once.
//!
//! Owns at most: what was cut by a short write, a few messages, and the latest count. Counts conflate: a peer that lags
//! behind is told the newest one when it can hear again, not the backlog. Messages do not; past their bound the peer is
//! too slow. So the memory of a member is a constant, whatever the others do.
//!
//! Invariant: frames are never interleaved: what was begun is finished first.

use std::collections::VecDeque;

use super::sse::Frame;

/// How many messages may wait for one member. A burst of a few is common (score, chat); a peer that is this far behind
/// will not catch up.
pub const MESSAGES_MAX: usize = 16;

/// What is still to be written, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    current: Current,
    messages: VecDeque<Frame>,
    count: Option<Frame>,
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

    /// Gives up all that has not been begun, and ends with these bytes.
    pub fn end_with(&mut self, bytes: &[u8]) {
        self.messages.clear();
        self.count = None;
        self.messages.push_back(bytes.into());
    }

    /// The next bytes to write, as many as hang together; `None` when all is written.
    pub fn next_bytes(&mut self) -> Option<&[u8]> {
        if self.unwritten().is_empty() {
            let frame = self.messages.pop_front().or_else(|| self.count.take());
            self.current = frame.map_or(Current::Nothing, |frame| Current::Shared(frame, 0));
        }
        Some(self.unwritten()).filter(|bytes| !bytes.is_empty())
    }

    /// Takes note that this many of [`next_bytes`](Self::next_bytes) were written.
    pub fn note_written(&mut self, count: usize) {
        if let Current::Shared(_, written) | Current::Own(_, written) = &mut self.current {
            *written += count;
        }
    }

    fn unwritten(&self) -> &[u8] {
        let (bytes, written) = match &self.current {
            Current::Nothing => return &[],
            Current::Shared(frame, written) => (&**frame, *written),
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
    fn drain(outbox: &mut Outbox, step: usize) -> String {
        let mut written = Vec::new();
        while let Some(bytes) = outbox.next_bytes() {
            let count = bytes.len().min(step);
            written.extend_from_slice(&bytes[..count]);
            outbox.note_written(count);
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
            assert_eq!(drain(&mut outbox, step), ": 10\n\ndata: s=a\n\ndata: s=b\n\ndata: 12\n\n");
            assert_eq!(outbox.next_bytes(), None);
        }
    }

    #[test]
    fn what_was_begun_is_finished_before_the_farewell() {
        let mut outbox = Outbox::with_bytes(b"whole".to_vec());
        outbox.note_written(2);
        outbox.put_count(sse::count(1));
        outbox.put_message(sse::message("s=a")).unwrap();
        outbox.end_with(sse::FAREWELL);
        assert_eq!(drain(&mut outbox, 2), format!("ole{}", std::str::from_utf8(sse::FAREWELL).unwrap()));
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
