//! The life of a connection on the reading side: `Head -> Stream -> Drain`, or `Head -> Await -> Drain`.
//!
//! Owns what has arrived of a head that is not whole yet, and how much a peer may still send once its bytes are dropped. It
//! does not know what a request means: it hands the request up, and the caller says what the connection becomes.
//!
//! Invariant: the same bytes, cut into any pieces, give the same steps; and a connection whose head comes in one piece
//! allocates nothing here.

use super::http::{HEAD_MAX, HeadScanner, Refusal, Request};

/// What a peer may send after its head, in bytes. A 2011 client POSTs with an empty body; a form or a beacon fits well.
/// Past it the peer is not listening to us but working on us.
pub const SURPLUS_MAX: u32 = 64 * 1024;

/// Where a connection is in its life.
#[derive(Debug)]
pub enum Session {
    /// The request head is awaited; what there is of it, if it came in pieces.
    Head(Option<Box<Partial>>),
    /// The peer is a member: it listens, and whatever it says is dropped.
    Stream {
        /// Bytes dropped so far.
        surplus: u32,
    },
    /// The peer has asked, and its answer comes later; whatever it says is dropped.
    Await {
        /// Bytes dropped so far.
        surplus: u32,
    },
    /// The last bytes are on their way to the peer, or are waiting for it to close; what it says is dropped.
    Drain {
        /// Bytes dropped so far.
        surplus: u32,
    },
}

/// The beginning of a head.
#[derive(Debug, Default)]
pub struct Partial {
    bytes: Vec<u8>,
    scanner: HeadScanner,
    /// What this took in memory when more was last waited for.
    held: usize,
}

impl Partial {
    /// More is waited for.
    fn wait(&mut self) {
        self.held = size_of::<Self>() + self.bytes.capacity();
    }
}

/// What the bytes that were fed have come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing that needs doing.
    Wait,
    /// A whole request. Only [`Session::stream`], [`Session::await_answer`] or [`Session::drain`] may follow.
    Request {
        /// The request.
        request: Request<'a>,
        /// How many bytes followed it already, to be passed on to what comes next.
        surplus: u32,
    },
    /// No request. Only [`Session::drain`] may follow.
    Refuse {
        /// Why.
        refusal: Refusal,
        /// Whether it says that its method is `HEAD`.
        is_head: bool,
    },
    /// The peer has said more than [`SURPLUS_MAX`] after its head.
    TooMuch,
}

impl Default for Session {
    fn default() -> Self {
        Self::Head(None)
    }
}

impl Session {
    /// Takes bytes that have arrived.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> Step<'a> {
        match self {
            Self::Head(partial) => feed_head(partial, bytes),
            Self::Stream { surplus } | Self::Await { surplus } | Self::Drain { surplus } => {
                *surplus = surplus.saturating_add(length(bytes));
                if *surplus > SURPLUS_MAX { Step::TooMuch } else { Step::Wait }
            }
        }
    }

    /// The request was a join.
    pub fn stream(&mut self, surplus: u32) {
        debug_assert!(matches!(self, Self::Head(_)), "a stream follows a head");
        *self = Self::Stream { surplus };
    }

    /// The request is answered later.
    pub fn await_answer(&mut self, surplus: u32) {
        debug_assert!(matches!(self, Self::Head(_)), "an answer follows a head");
        *self = Self::Await { surplus };
    }

    /// The connection has been given its last bytes.
    pub fn drain(&mut self) {
        let surplus = match *self {
            Self::Head(_) => 0,
            Self::Stream { surplus } | Self::Await { surplus } | Self::Drain { surplus } => surplus,
        };
        *self = Self::Drain { surplus };
    }

    /// Whether no byte has arrived yet.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        matches!(self, Self::Head(None))
    }

    /// Whether what has arrived of a head says that its method is `HEAD`.
    #[must_use]
    pub fn is_head(&self) -> bool {
        matches!(self, Self::Head(Some(partial)) if says_head(&partial.bytes))
    }

    /// How many bytes of memory the beginning of a head took when its rest was last waited for.
    #[must_use]
    pub fn held(&self) -> usize {
        match self {
            Self::Head(Some(partial)) => partial.held,
            _ => 0,
        }
    }
}

fn feed_head<'a>(partial: &'a mut Option<Box<Partial>>, bytes: &'a [u8]) -> Step<'a> {
    let Some(partial) = partial else {
        // Most heads come whole and alone, and are good: then this was all. Any other is judged in order, first where it
        // ends, then what it says.
        if bytes.ends_with(b"\r\n\r\n")
            && let Ok((request, end)) = Request::parse_first(bytes.get(..HEAD_MAX).unwrap_or(bytes))
        {
            return Step::Request { request, surplus: length(bytes.get(end..).unwrap_or_default()) };
        }
        let mut scanner = HeadScanner::default();
        return match scanner.scan(bytes) {
            Ok(None) => {
                if !bytes.is_empty() {
                    let begun = partial.insert(Box::new(Partial { bytes: bytes.to_vec(), scanner, held: 0 }));
                    begun.wait();
                }
                Step::Wait
            }
            found => finish(found, bytes, 0),
        };
    };
    let room = HEAD_MAX.saturating_sub(partial.bytes.len());
    let (wanted, left_over) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
    partial.bytes.extend_from_slice(wanted);
    match partial.scanner.scan(&partial.bytes) {
        Ok(None) => {
            partial.wait();
            Step::Wait
        }
        found => finish(found, &partial.bytes, length(left_over)),
    }
}

/// The step that a finished scan of `bytes` comes to, when `left_over` more have been read than they are.
fn finish(found: Result<Option<std::ops::Range<usize>>, Refusal>, bytes: &[u8], left_over: u32) -> Step<'_> {
    let range = match found {
        Ok(range) => range.unwrap_or_default(),
        Err(refusal) => return Step::Refuse { refusal, is_head: says_head(bytes) },
    };
    let surplus = length(bytes.get(range.end..).unwrap_or_default()).saturating_add(left_over);
    match Request::parse(bytes.get(range).unwrap_or_default()) {
        Ok(request) => Step::Request { request, surplus },
        Err(refusal) => Step::Refuse { refusal, is_head: says_head(bytes) },
    }
}

/// Whether the method is `HEAD`, however wrong the rest: its answer has no content (RFC 9110 section 9.3.2).
fn says_head(mut bytes: &[u8]) -> bool {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes.starts_with(b"HEAD ")
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

const _: () = assert!(size_of::<Session>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: &[u8] =
        b"\r\nPOST /a HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn a_whole_head_allocates_nothing() {
        let mut session = Session::default();
        assert!(matches!(session.feed(JOIN), Step::Request { .. }));
        assert!(session.is_untouched());
        let mut session = Session::default();
        assert_eq!(session.feed(&JOIN[..9]), Step::Wait);
        assert!(!session.is_untouched());
    }

    #[test]
    fn a_head_is_judged_as_if_its_end_had_been_looked_for_first() {
        let whole = [&JOIN[2..], b"\r\n\r\n"].concat();
        for at in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let bytes = [&whole[..at], &[byte], &whole[at + 1..]].concat();
                let in_order = match HeadScanner::default().scan(&bytes) {
                    Ok(None) => Step::Wait,
                    found => finish(found, &bytes, 0),
                };
                assert_eq!(Session::default().feed(&bytes), in_order, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn a_refused_head_says_that_it_is_one_in_any_pieces() {
        for (bytes, expected) in
            [("\r\nHEAD / HTTP/1.1\r\n\r\n", true), ("HEAD /\n", true), ("HEAD\n", false), ("GET /\r\n\r\n", false)]
        {
            for cut in 0..bytes.len() {
                let (first, rest) = bytes.as_bytes().split_at(cut);
                let mut session = Session::default();
                assert_eq!(session.feed(first), Step::Wait);
                assert_eq!(session.is_head(), first.windows(5).any(|five| five == b"HEAD "), "{bytes:?} cut at {cut}");
                let Step::Refuse { is_head, .. } = session.feed(rest) else { panic!("{bytes:?} cut at {cut}") };
                assert_eq!(is_head, expected, "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_dropped_counts_on_while_a_connection_drains() {
        let mut awaiting = Session::default();
        awaiting.await_answer(SURPLUS_MAX - 2);
        assert_eq!(awaiting.feed(b"a"), Step::Wait);
        for mut session in [Session::Stream { surplus: SURPLUS_MAX - 1 }, awaiting] {
            session.drain();
            assert_eq!(session.feed(b"a"), Step::Wait);
            assert_eq!(session.feed(b"b"), Step::TooMuch);
        }
    }
}
