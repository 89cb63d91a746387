//! Request heads that have begun to arrive at a port, or are to, and are not whole.
//!
//! Owns how many there are, what is held of them, and how much that may be. It knows no connections: its caller reports what
//! begins, grows and ends.
//!
//! An honest client's head arrives whole, with the accept or soon after. A head in pieces is a slow client's or an
//! attacker's, and nothing shows which. So what all of them may cost together is bounded, and the newest is turned away,
//! never one that has waited longer.
//!
//! Invariant: `count` and `held` are the sums over the connections of the port whose session is a head.

use crate::wire::session::Session;

/// What each may hold in any case, in bytes: the first segment of a head that comes in two, 1,448 bytes, and what keeps it.
const HELD_ALWAYS: usize = 1536;

/// What all of a port may hold for one of them to hold more than that: 60 heads of the full 8 KiB at once.
///
/// So 2,000 that send all they can but the end hold 2,000 * 1,536 + 524,288 bytes = 3.4 MiB; those of `--max-heads`, 4,096,
/// hold 6.5 MiB. (If each might have 8 KiB, it would be 32 MiB.)
const HELD_SHARED: usize = 512 * 1024;

/// The heads of one port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heads {
    count: usize,
    held: usize,
}

impl Heads {
    /// One more is waited for.
    pub(super) fn begin(&mut self) {
        self.count += 1;
    }

    /// One that held `before` bytes now holds what the session says. Returns whether that is too much.
    pub(super) fn change(&mut self, before: usize, session: &Session) -> bool {
        let holds = session.held();
        self.held = self.held + holds - before;
        holds > HELD_ALWAYS && self.held > HELD_SHARED
    }

    /// The session is about to end, or to become something else. If it is a head, it is waited for no more.
    pub(super) fn end(&mut self, session: &Session) {
        if matches!(session, Session::Head(_)) {
            self.count -= 1;
            self.held -= session.held();
        }
    }

    /// Whether none is waited for, and nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.held == 0
    }

    /// How many are waited for.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that has been fed these bytes, which are no whole head.
    fn feed(heads: &mut Heads, session: &mut Session, bytes: &[u8]) -> bool {
        let before = session.held();
        session.feed(bytes);
        heads.change(before, session)
    }

    /// The beginning of a head, of this length.
    fn beginning(length: usize) -> Vec<u8> {
        let line = b"GET / HTTP/1.1\r\nX: ";
        line.iter().copied().chain(std::iter::repeat(b'x')).take(length).collect()
    }

    #[test]
    fn a_first_segment_may_always_be_held_and_a_long_head_while_few_are() {
        let mut heads = Heads::default();
        let mut sessions = Vec::new();
        let refused = (0..4096).filter(|_| {
            heads.begin();
            let mut session = Session::default();
            let is_too_much = feed(&mut heads, &mut session, &beginning(8191));
            if is_too_much {
                heads.end(&session);
            } else {
                sessions.push(session);
            }
            is_too_much
        });
        assert!(refused.count() > 4000);
        assert!((60..=64).contains(&sessions.len()), "{}", sessions.len());
        for _ in 0..4096 {
            heads.begin();
            let mut session = Session::default();
            assert!(!feed(&mut heads, &mut session, &beginning(1448)));
            sessions.push(session);
        }
        assert!(heads.held <= 4096 * HELD_ALWAYS + HELD_SHARED, "{}", heads.held);
        // A head that held little holds more.
        let last = sessions.last_mut().unwrap();
        assert!(feed(&mut heads, last, &[b'x'; 500]));
        for session in &sessions {
            heads.end(session);
        }
        assert_eq!((heads.count, heads.held), (0, 0));
    }

    #[test]
    fn what_has_trickled_in_is_held_as_well() {
        let mut heads = Heads::default();
        heads.begin();
        let mut session = Session::default();
        for byte in beginning(100) {
            feed(&mut heads, &mut session, &[byte]);
        }
        assert!(heads.held >= 100 && heads.held == session.held(), "{}", heads.held);
        // A whole head is no longer held when it is answered.
        session.feed(b"\r\n\r\n");
        heads.end(&session);
        session.drain();
        assert_eq!((heads.count, heads.held), (0, 0));
    }
}
