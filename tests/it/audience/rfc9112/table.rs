//! Rows written from RFC 9112 (messages) and RFC 9110 (semantics), each with the section that it comes from.
//!
//! Where the daemon does on purpose what the standard leaves open, or only recommends otherwise, the row says why.

use std::mem::{Discriminant, discriminant};

use super::fields::FIELDS;
use super::heads::HEADS;
use super::lines::LINES;
use audience_kit::*;

pub(super) use Outcome::*;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A refusal with this status.
    Refused(u16),
    /// A member of this namespace.
    Joins(&'static str),
    /// `200`, empty.
    Empty,
    /// `204`, what a page may do.
    NoContent,
    /// Its head has no end: `408` once `--head-timeout` is over.
    Late,
}

impl Outcome {
    /// The status of the answer.
    pub(super) fn status(self) -> u16 {
        match self {
            Refused(status) => status,
            NoContent => 204,
            Late => 408,
            Empty | Joins(_) => 200,
        }
    }
}

/// The sections, what is sent, what becomes of it.
pub(super) type Row = (&'static str, &'static [u8], Outcome);

/// What a request line is put before: it would join.
pub(super) const AFTER_LINE: &[u8] = b"\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";

/// What a field line is put after: it would join.
pub(super) const BEFORE_FIELD: &[u8] = b"POST /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n";

/// A row as it is sent.
pub(super) struct Request {
    pub(super) section: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) outcome: Outcome,
}

/// All rows.
pub(super) fn table() -> Vec<Request> {
    let line = |bytes: &[u8]| [bytes, AFTER_LINE].concat();
    let field = |bytes: &[u8]| [BEFORE_FIELD, bytes, b"\r\n\r\n"].concat();
    let of = |rows: &[Row], whole: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<Request> {
        rows.iter().map(|&(section, bytes, outcome)| Request { section, bytes: whole(bytes), outcome }).collect()
    };
    [of(LINES, &line), of(FIELDS, &field), of(HEADS, &<[u8]>::to_vec)].into_iter().flatten().collect()
}

/// The first rows of each outcome, two of each: with these it is shown what holds at a port for all.
pub(super) fn samples() -> Vec<Request> {
    const EACH: usize = 2;
    let mut taken: Vec<(Discriminant<Outcome>, u16)> = Vec::new();
    let mut rows = table();
    rows.retain(|request| {
        let kind = (discriminant(&request.outcome), request.outcome.status());
        taken.push(kind);
        taken.iter().filter(|other| **other == kind).count() <= EACH
    });
    rows
}

impl Request {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.outcome, Refused(_))
    }

    pub(super) fn is_late(&self) -> bool {
        self.outcome == Late
    }

    /// The same with more behind it.
    pub(super) fn followed_by(&self, more: &str) -> Self {
        Self { bytes: [&self.bytes, more.as_bytes()].concat(), ..*self }
    }

    /// What a failure says of it.
    pub(super) fn name(&self) -> String {
        format!("{:?} (RFC {})", lossy(&self.bytes), self.section)
    }

    /// Fails unless this is all that such a request is answered with, at the end of a connection.
    #[track_caller]
    pub(super) fn check(&self, answer: &[u8]) {
        let reply = Reply::parse(answer);
        assert_eq!(reply.status, self.outcome.status(), "{}: {reply:?}", self.name());
        assert_eq!(reply.header("Connection"), Some("close"), "{}: {reply:?}", self.name());
        // One answer, whatever followed the request; and it is whole.
        let length = reply.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        assert_eq!(reply.body.len(), length, "{}: {reply:?}", self.name());
        if self.outcome == Empty {
            reply.expect_empty();
        }
    }
}
