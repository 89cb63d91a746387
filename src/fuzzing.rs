//! The bodies of the fuzz targets, here so that plain `cargo test` replays the committed corpus without a fuzzer.
//!
//! Owns what must hold for any bytes whatever. It panics when it does not; it returns what it found, for a second opinion.

use crate::wire::http::{HEAD_MAX, HeadScanner, Refusal, Request};
use crate::wire::session::{Session, Step};

/// What the server reads at once: more than a head, less than a peer may say after it.
const READ_MAX: usize = 16 * 1024;

/// What a connection comes to, without what it borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The head is not whole.
    Waiting,
    /// A request came, and this many bytes after it.
    Request {
        /// Its path.
        path: String,
        /// Whether it asks for an event stream.
        accepts_event_stream: bool,
        /// How many bytes followed.
        surplus: u32,
    },
    /// The head is refused.
    Refused(Refusal),
    /// The peer said too much after its head.
    TooMuch,
}

/// Feeds a session as the server does: a request becomes a stream, and all that follows is surplus.
pub fn run_session<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Ending {
    let mut session = Session::default();
    let mut ending = Ending::Waiting;
    for piece in pieces {
        let followed = match session.feed(piece) {
            Step::Wait => None,
            Step::Refuse(refusal) => return Ending::Refused(refusal),
            Step::TooMuch => return Ending::TooMuch,
            Step::Request { request, surplus } => {
                let Request { path, accepts_event_stream, .. } = request;
                ending = Ending::Request { path: path.to_owned(), accepts_event_stream, surplus };
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

/// Target `request`: one head. Returns its range and what it says, if it is accepted.
///
/// # Panics
/// If the scanner finds another end when the bytes arrive one by one, or a head is longer than it may be.
#[must_use]
pub fn request(bytes: &[u8]) -> Option<(std::ops::Range<usize>, Request<'_>)> {
    let whole = HeadScanner::default().scan(bytes);
    let mut scanner = HeadScanner::default();
    let piecewise = (0..=bytes.len())
        .map(|end| scanner.scan(bytes.get(..end).unwrap_or_default()))
        .find(|found| *found != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(whole, piecewise, "the scanner sees each byte once");
    let range = whole.ok()??;
    assert!(range.end <= HEAD_MAX, "a head is at most {HEAD_MAX} bytes long");
    let request = Request::parse(bytes.get(range.clone())?).ok()?;
    assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?'), "{request:?}");
    Some((range, request))
}

/// Target `session`: bytes, cut into pieces by the first of them, come to what they come to in reads
/// as large as the server's.
///
/// # Panics
/// If they do not.
pub fn session(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let whole = run_session(bytes.chunks(READ_MAX));
    let size = usize::from(first) + 1;
    assert_eq!(run_session(bytes.chunks(size)), whole, "in pieces of {size}");
    let (head, tail) = bytes.split_at_checked(size).unwrap_or((bytes, &[]));
    assert_eq!(run_session([head, tail]), whole, "cut at {size}");
}
