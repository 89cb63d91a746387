//! Targets `nats` and `redis`: what a broker's bytes come to does not depend on how they are cut into reads.
//!
//! Owns the feeding of a session with a broker. It does not know what is right, only what holds for any bytes: they come to
//! the same each time, no datagram is too long, and no text shows the secret.

use audience_meter::wire::broker::{Event, Kind, Login, Refusal, Session};
use audience_meter::wire::report::DATAGRAM_MAX;

const SECRET: &str = "S3cret-of-this-target";

/// What a session has come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    is_ready: bool,
    datagrams: Vec<Vec<u8>>,
    skipped: usize,
    outgoing: Vec<u8>,
    refusal: Option<Refusal>,
}

fn run<'a>(kind: Kind, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let login = Login { user: Some("user".to_owned()), secret: SECRET.to_owned() };
    let mut session = Session::new(kind, "am", Some(&login));
    let mut outcome = Outcome { outgoing: session.take_outgoing(), ..Outcome::default() };
    for piece in pieces {
        let fed = session.feed(piece, |event| match event {
            Event::Ready => assert!(!std::mem::replace(&mut outcome.is_ready, true), "ready twice"),
            Event::Datagram(bytes) => outcome.datagrams.push(bytes.to_vec()),
            Event::Skipped => outcome.skipped += 1,
        });
        outcome.outgoing.extend(session.take_outgoing());
        if let Err(refusal) = fed {
            outcome.refusal = Some(refusal);
            break;
        }
    }
    outcome
}

fn check(kind: Kind, bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let size = usize::from(first) + 1;
    let (head, tail) = bytes.split_at_checked(size).unwrap_or((bytes, &[]));
    let whole = run(kind, [bytes]);
    assert_eq!(run(kind, bytes.chunks(size)), whole, "in pieces of {size}");
    assert_eq!(run(kind, [head, tail]), whole, "cut at {size}");
    assert!(whole.skipped <= 1, "a second word about what was skipped");
    assert!(whole.datagrams.iter().all(|datagram| datagram.len() <= DATAGRAM_MAX));
    let shown = whole.refusal.map(|refusal| format!("{refusal}\n{refusal:?}")).unwrap_or_default();
    assert!(!shown.contains(SECRET) && shown.lines().count() <= 2, "{shown}");
}

/// Target `nats`: bytes, cut into pieces by the first of them, come to what they come to in one.
///
/// # Panics
/// If they do not.
pub fn nats(bytes: &[u8]) {
    check(Kind::Nats, bytes);
}

/// Target `redis`: the same for the other kind of broker.
///
/// # Panics
/// If it does not hold.
pub fn redis(bytes: &[u8]) {
    check(Kind::Redis, bytes);
}
