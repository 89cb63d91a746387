//! Target `session`: what a connection comes to does not depend on how its bytes are cut into reads.
//!
//! Owns the feeding of a session, as the server does it. It does not know what is right, only that it is the same each time.

use audience_meter::wire::http::Refusal;
use audience_meter::wire::http::body::BodyLength;
use audience_meter::wire::session::{Session, Step};

/// What the server reads at once: more than a head, less than a peer may say after it.
const READ_MAX: usize = 16 * 1024;

/// What a connection comes to, without what it borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    /// The request is not whole.
    Waiting,
    /// A request came, and this many bytes after it.
    Request {
        /// Its path.
        path: String,
        /// Whether it asks for an event stream.
        accepts_event_stream: bool,
        /// Its body, if bodies are read.
        body: Option<Vec<u8>>,
        /// How many bytes followed.
        surplus: u32,
    },
    /// The head is refused.
    Refused(Refusal),
    /// The peer said too much after its head.
    TooMuch,
}

/// Feeds a session as the server does: a request becomes a stream, and all that follows is surplus; or its body is read first.
fn run_session<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, reads_bodies: bool) -> Ending {
    let mut session = Session::default();
    let mut ending = Ending::Waiting;
    for piece in pieces {
        let mut step = session.feed(piece);
        if let Step::Request { request, body: None, surplus } = step
            && reads_bodies
            && request.body != BodyLength::Bytes(0)
        {
            step = session.read_body(piece, surplus);
        }
        let followed = match step {
            Step::Wait => None,
            Step::Refuse { refusal, .. } => return Ending::Refused(refusal),
            Step::TooMuch => return Ending::TooMuch,
            Step::Request { request, body, surplus } => {
                let (path, accepts_event_stream) = (request.path.to_owned(), request.accepts_event_stream);
                ending = Ending::Request { path, accepts_event_stream, body: body.map(<[u8]>::to_vec), surplus };
                Some(surplus)
            }
        };
        if let Some(surplus) = followed {
            session.stream(surplus);
        }
        if let (Ending::Request { surplus, .. }, Session::Stream { surplus: dropped }) = (&mut ending, &session) {
            *surplus = *dropped;
        }
    }
    ending
}

/// Target `session`: bytes, cut into pieces by the first of them, come to what they come to in reads
/// as large as the server's.
///
/// # Panics
/// If they do not.
pub fn session(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let size = usize::from(first) + 1;
    let (head, tail) = bytes.split_at_checked(size).unwrap_or((bytes, &[]));
    for reads_bodies in [false, true] {
        let whole = run_session(bytes.chunks(READ_MAX), reads_bodies);
        assert_eq!(run_session(bytes.chunks(size), reads_bodies), whole, "in pieces of {size}");
        assert_eq!(run_session([head, tail], reads_bodies), whole, "cut at {size}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audience_meter::wire::http::HEAD_MAX;
    use audience_meter::wire::session::SURPLUS_MAX;

    const JOIN: &[u8] =
        b"\r\nPOST /a HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nContent-Length: 5\r\n\r\nhello";

    fn joined(surplus: u32) -> Ending {
        Ending::Request { path: "/a".to_owned(), accepts_event_stream: true, body: None, surplus }
    }

    #[track_caller]
    fn check_any_split(bytes: &[u8], expected: &Ending) {
        assert_eq!(&run_session([bytes], false), expected, "whole");
        for cut in 0..=bytes.len() {
            assert_eq!(&run_session([&bytes[..cut], &bytes[cut..]], false), expected, "cut at {cut}");
        }
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(&run_session(bytes.chunks(size), false), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn the_same_bytes_in_any_pieces_give_the_same_steps() {
        check_any_split(JOIN, &joined(5));
        check_any_split(b"GET / HTTP/1.1\r\n\r\n", &Ending::Refused(Refusal::Host));
        check_any_split(b"GET / HTTP/1.1\nHost: h\n\n", &Ending::Refused(Refusal::BareLf));
        check_any_split(&JOIN[..40], &Ending::Waiting);
        check_any_split(b"\r\n\r\n", &Ending::Waiting);
        check_any_split(&[b'x'; HEAD_MAX + 10], &Ending::Refused(Refusal::TooLarge));
        let pipelined = [JOIN, JOIN].concat();
        check_any_split(&pipelined, &joined(u32::try_from(JOIN.len()).unwrap() + 5));
    }

    #[test]
    fn a_peer_that_keeps_talking_is_heard_out_within_a_budget() {
        let body = vec![b'x'; SURPLUS_MAX as usize - 5];
        let within = [JOIN, &body].concat();
        assert_eq!(run_session(within.chunks(16 * 1024), false), joined(SURPLUS_MAX));
        let beyond = [&within[..], b"y"].concat();
        assert_eq!(run_session(beyond.chunks(16 * 1024), false), Ending::TooMuch);
    }
}
