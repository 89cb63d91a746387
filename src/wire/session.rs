//! The life of a connection on the reading side: `Head -> Stream -> Drain`, or `Head -> Await -> Drain`.
//!
//! Owns what has arrived of a request that is not whole yet, and how much a peer may still send once its bytes are dropped. It
//! does not know what a request means: it hands the request up, and the caller says what the connection becomes. A body is
//! dropped as well, unless the caller has it read before that.
//!
//! Invariant: the same bytes, cut into any pieces, give the same steps; and a connection whose head comes in one piece
//! allocates nothing here, unless its body is read.

use super::http::{Body, HEAD_MAX, HeadScanner, Refusal, Request};

/// What a peer may send after its head, in bytes. A 2011 client POSTs with an empty body; a form or a beacon fits well.
/// Past it the peer is not listening to us but working on us.
pub const SURPLUS_MAX: u32 = 64 * 1024;

/// Where a connection is in its life.
#[derive(Debug)]
pub enum Session {
    /// The request head is awaited, or a body that is read; what there is of it, if it came in pieces.
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

/// The beginning of a request.
#[derive(Debug, Default)]
pub struct Partial {
    /// The head, or its beginning.
    bytes: Vec<u8>,
    scanner: HeadScanner,
    /// The body, if it is read.
    body: Option<Box<Body>>,
    /// What this took in memory when more was last waited for.
    held: usize,
}

impl Partial {
    /// More is waited for.
    fn wait(&mut self) {
        self.held = size_of::<Self>() + self.bytes.capacity() + self.body.as_ref().map_or(0, |body| body.held());
    }
}

/// What the bytes that were fed have come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing that needs doing.
    Wait,
    /// A whole request. Only [`Session::stream`], [`Session::await_answer`] or [`Session::drain`] may follow; or
    /// [`Session::read_body`], if its body has not been read.
    Request {
        /// The request.
        request: Request<'a>,
        /// Its body, if that has been read.
        body: Option<&'a [u8]>,
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

    /// Has the body read of the request that the bytes last fed have brought; `surplus` of them have followed its head. The next
    /// request is the same one with its body.
    pub fn read_body<'a>(&'a mut self, bytes: &'a [u8], surplus: u32) -> Step<'a> {
        let Self::Head(partial) = self else { return Step::Wait };
        let partial = partial.get_or_insert_default();
        if partial.bytes.is_empty() {
            partial.bytes = bytes.to_vec();
        }
        let head = HeadScanner::default().scan(&partial.bytes).ok().flatten().unwrap_or_default();
        partial.bytes = partial.bytes.get(head).unwrap_or_default().to_vec();
        let body = Request::parse(&partial.bytes).and_then(|request| Body::new(request.body));
        let rest = bytes.len().saturating_sub(surplus as usize);
        match body {
            Ok(body) => partial.body = Some(Box::new(body)),
            Err(refusal) => return Step::Refuse { refusal, is_head: says_head(&partial.bytes) },
        }
        feed_body(partial, bytes.get(rest..).unwrap_or_default())
    }

    /// The request was a join; what has followed it while it waited for its answer counts on.
    pub fn stream(&mut self, surplus: u32) {
        debug_assert!(matches!(self, Self::Head(_) | Self::Await { .. }), "a stream follows a head");
        let before = if let Self::Await { surplus } = *self { surplus } else { 0 };
        *self = Self::Stream { surplus: before.saturating_add(surplus) };
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

    /// How many bytes of memory the beginning of a request took when its rest was last waited for.
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
            return Step::Request { request, body: None, surplus: length(bytes.get(end..).unwrap_or_default()) };
        }
        let mut scanner = HeadScanner::default();
        return match scanner.scan(bytes) {
            Ok(None) => {
                if !bytes.is_empty() {
                    let begun = Partial { bytes: bytes.to_vec(), scanner, ..Partial::default() };
                    partial.insert(Box::new(begun)).wait();
                }
                Step::Wait
            }
            found => finish(found, bytes, 0),
        };
    };
    if partial.body.is_some() {
        return feed_body(partial, bytes);
    }
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

/// Takes bytes of the body of a request whose head is whole.
fn feed_body<'a>(partial: &'a mut Partial, bytes: &[u8]) -> Step<'a> {
    let count = match partial.body.as_mut().map_or(Ok(None), |body| body.take(bytes)) {
        Ok(Some(count)) => count,
        Ok(None) => {
            partial.wait();
            return Step::Wait;
        }
        Err(refusal) => return Step::Refuse { refusal, is_head: says_head(&partial.bytes) },
    };
    match Request::parse(&partial.bytes) {
        Ok(request) => {
            let surplus = length(bytes.get(count..).unwrap_or_default());
            Step::Request { request, body: partial.body.as_ref().map(|body| body.bytes()), surplus }
        }
        Err(refusal) => Step::Refuse { refusal, is_head: says_head(&partial.bytes) },
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
        Ok(request) => Step::Request { request, body: None, surplus },
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

    /// What a session comes to that reads bodies, and is fed these pieces: the body, and what followed it.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<(Vec<u8>, u32)> {
        let mut session = Session::default();
        for piece in pieces {
            let mut step = session.feed(piece);
            if let Step::Request { body: None, surplus, .. } = step {
                step = session.read_body(piece, surplus);
            }
            match step {
                Step::Request { request, body, surplus } => {
                    assert_eq!(request.path, "/a");
                    return Some((body.unwrap().to_vec(), surplus));
                }
                step => assert_eq!(step, Step::Wait),
            }
        }
        assert!(!session.is_untouched() && session.held() > size_of::<Partial>());
        None
    }

    #[test]
    fn a_body_is_read_in_any_pieces_when_that_is_asked_for() {
        let chunked =
            b"POST /a HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        for whole in [JOIN, chunked] {
            let followed = [whole, b"more"].concat();
            for cut in 0..whole.len() {
                let (first, rest) = whole.split_at(cut);
                assert_eq!(read([first, rest]), Some((b"hello".to_vec(), 0)), "cut at {cut}");
                assert_eq!(read([first, &followed[cut..]]), Some((b"hello".to_vec(), 4)), "cut at {cut}");
                assert_eq!(read([&whole[..cut.max(1)]]), None, "ends at {cut}");
            }
            assert_eq!(read(whole.chunks(1)), Some((b"hello".to_vec(), 0)));
        }
        // A head of the greatest length, and a body that comes with it.
        let line = b"POST /a HTTP/1.1\r\nHost:\r\nContent-Length: 8192\r\nX: ";
        let filling = vec![b'x'; HEAD_MAX - 4 - line.len()];
        let whole = [&line[..], &filling, b"\r\n\r\n", &[b'y'; 8192]].concat();
        for cut in [1, HEAD_MAX - 1, HEAD_MAX, HEAD_MAX + 1] {
            let (first, rest) = whole.split_at(cut);
            assert_eq!(read([first, rest]), Some((vec![b'y'; 8192], 0)), "cut at {cut}");
        }
    }

    #[test]
    fn a_body_that_is_none_is_refused() {
        let head = "HEAD /a HTTP/1.1\r\nHost:\r\n";
        for (rest, expected) in [
            ("Transfer-Encoding: chunked\r\n\r\nno", Refusal::Chunk),
            ("Content-Length: 100000\r\n\r\n", Refusal::BodyTooLong),
        ] {
            let (mut session, bytes) = (Session::default(), [head, rest].concat());
            let Step::Request { surplus, .. } = session.feed(bytes.as_bytes()) else { panic!("{rest}") };
            let step = session.read_body(bytes.as_bytes(), surplus);
            assert_eq!(step, Step::Refuse { refusal: expected, is_head: true });
            session.drain();
            assert_eq!(session.feed(b"more"), Step::Wait);
        }
    }
}
