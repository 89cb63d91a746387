//! What a watcher asks for, and what it receives.
//!
//! Owns the form of the `watch` parameter, and of the events that only watchers are sent. A page's old client takes every event
//! without a type for a count, so each of these has one.
//!
//! Names are compared in their canonical spelling ([`name`](super::name)), like everywhere. Browsers and tools write a comma in a
//! parameter as `%2C`, and some a star as `%2A`: both are taken for what they stand for. So a name that has a comma, or ends in a
//! star, can be watched with others only, by a prefix.
//!
//! Invariant: no name can end its line: it has visible ASCII only.

use std::fmt;

use super::query;
use super::sse::{self, push_decimal};
use crate::meter::NAME_MAX;
use crate::meter::watches::{Milestone, Pattern, Piece};

/// How many patterns a watcher may ask for.
pub const PATTERNS_PER_WATCHER: usize = 64;

/// The query parameter that lists what a client wants to watch.
const PARAMETER: &str = "watch";

/// How many names may be in the lists, with those that are there twice or are empty: a head has room for 8,000 separators, which
/// would take 0.8 ms.
const TEXTS_MAX: usize = 4 * PATTERNS_PER_WATCHER;

/// The heartbeat of a stream without news: a comment (HTML standard, section 9.2.6).
const BEAT: &[u8] = b":\n\n";

/// Why a watcher is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// It names nothing.
    Nothing,
    /// It names more than [`PATTERNS_PER_WATCHER`].
    TooMany,
    /// One of them is longer than [`NAME_MAX`].
    TooLong,
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing is named; ask for ?watch=name,prefix*,*"),
            Self::TooMany => write!(f, "at most {PATTERNS_PER_WATCHER} names and prefixes can be watched at once"),
            Self::TooLong => write!(f, "a name is at most {NAME_MAX} bytes long"),
        }
    }
}

/// Whether a query asks to watch something.
#[must_use]
pub fn is_asked(query: Option<&str>) -> bool {
    query.is_some_and(|query| query::values(query, PARAMETER).next().is_some())
}

/// The patterns that a query in its canonical spelling asks for, each once, in order.
///
/// # Errors
/// When there is none, or too much of them.
pub fn parse(query: &str) -> Result<Vec<Pattern<'_>>, WatchError> {
    let lists = query::values(query, PARAMETER).flat_map(|value| value.split(','));
    let texts = lists.flat_map(|text| text.split("%2C"));
    let mut patterns: Vec<Pattern<'_>> = Vec::new();
    for (index, text) in texts.enumerate() {
        if index == TEXTS_MAX {
            return Err(WatchError::TooMany);
        }
        if text.is_empty() {
            continue;
        }
        let prefix = text.strip_suffix('*').or_else(|| text.strip_suffix("%2A"));
        let pattern = prefix.map_or(Pattern::Name(text), Pattern::Prefix);
        if text.len() > NAME_MAX {
            return Err(WatchError::TooLong);
        }
        if patterns.contains(&pattern) {
            continue;
        }
        if patterns.len() == PATTERNS_PER_WATCHER {
            return Err(WatchError::TooMany);
        }
        patterns.push(pattern);
    }
    if patterns.is_empty() { Err(WatchError::Nothing) } else { Ok(patterns) }
}

/// Appends an update for a watcher: an event for the counts, and one for each kind of milestone.
///
/// Each has a line `data: <name>=<number>` for each of the namespaces and prefixes that it is about. What a number is, is behind
/// the last `=`.
///
/// With `retry_ms`, the first event says when a browser that loses the stream comes back.
pub fn push_piece(out: &mut Vec<u8>, piece: &Piece, retry_ms: Option<u64>) {
    if let Some(ms) = retry_ms {
        sse::push_retry_line(out, ms);
    }
    if !piece.counts.is_empty() {
        push_event(out, "counts", piece.counts.iter().map(|(name, total)| (&**name, *total)));
    }
    let mut kinds: Vec<Milestone> = Vec::new();
    for &(milestone, ..) in &piece.milestones {
        if let Err(place) = kinds.binary_search(&milestone) {
            kinds.insert(place, milestone);
        }
    }
    for kind in kinds {
        let lines = piece.milestones.iter().filter(|&&(milestone, ..)| milestone == kind);
        push_event(out, &kind.to_string(), lines.map(|(_, name, number)| (&**name, *number)));
    }
    if piece.is_beat {
        out.extend_from_slice(BEAT);
    }
}

fn push_event<'a>(out: &mut Vec<u8>, kind: &str, lines: impl Iterator<Item = (&'a str, u64)>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    for (name, number) in lines {
        out.extend_from_slice(b"\ndata: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        push_decimal(out, number);
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::canonical;
    use Pattern::{Name, Prefix};

    #[track_caller]
    fn check(query: &str, expected: &[Pattern<'_>]) {
        assert!(is_asked(Some(query)), "{query}");
        assert_eq!(parse(&canonical(query)).as_deref(), Ok(expected), "{query}");
    }

    #[test]
    fn lists_of_names_and_prefixes_in_all_spellings() {
        check("watch=a,b,pre*,*", &[Name("a"), Name("b"), Prefix("pre"), Prefix("")]);
        check("watch=a%2Cb%2cpre%2A%2c%2a", &[Name("a"), Name("b"), Prefix("pre"), Prefix("")]);
        check("x=1&watch=a&watch=b,a&y", &[Name("a"), Name("b")]);
        check("watch=caf%C3%A9,a=b,__proto__", &[Name("caf%C3%A9"), Name("a=b"), Name("__proto__")]);
        check("watch=caf%c3%a9,%63af%C3%A9,caf%c3*,%2e%2e", &[Name("caf%C3%A9"), Prefix("caf%C3"), Name("..")]);
        check("watch=,a,,*b,", &[Name("a"), Name("*b")]);
    }

    #[test]
    fn what_asks_for_nothing_or_for_too_much_is_refused() {
        assert!(!is_asked(None) && !is_asked(Some("")) && !is_asked(Some("watching=a")) && !is_asked(Some("v=watch")));
        for query in ["watch", "watch=", "watch=,", "a&watch=%2C"] {
            assert!(is_asked(Some(query)));
            assert_eq!(parse(query), Err(WatchError::Nothing), "{query}");
        }
        let list = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&format!("watch={},0", list(64))).unwrap().len(), 64);
        assert_eq!(parse(&format!("watch={}", list(65))), Err(WatchError::TooMany));
        check(&format!("watch=a{}", ",a".repeat(255)), &[Name("a")]);
        assert_eq!(parse(&format!("watch=a{}", ",a".repeat(256))), Err(WatchError::TooMany));
        assert_eq!(parse(&format!("watch=a{}", "%2C".repeat(256))), Err(WatchError::TooMany));
        check(&format!("{}watch=a", "&".repeat(63)), &[Name("a")]);
        assert!(!is_asked(Some(&format!("{}watch=a", "&".repeat(64)))));
        let name = "n".repeat(NAME_MAX);
        check(&format!("watch={name}"), &[Name(&name)]);
        assert_eq!(parse(&format!("watch={name}*")), Err(WatchError::TooLong));
    }

    #[test]
    fn events_are_exact() {
        let mut out = Vec::new();
        let piece = Piece {
            counts: vec![("a".into(), 1), ("b=c".into(), 0), ("*".into(), 100)],
            milestones: vec![
                (Milestone::Crossed(100), "*".into(), 100),
                (Milestone::Occupied, "a".into(), 1),
                (Milestone::Crossed(10), "*".into(), 100),
                (Milestone::Crossed(100), "b=c".into(), 89),
            ],
            ..Piece::default()
        };
        push_piece(&mut out, &piece, None);
        let expected = "event: counts\ndata: a=1\ndata: b=c=0\ndata: *=100\n\nevent: occupied\ndata: a=1\n\n\
            event: crossed 10\ndata: *=100\n\nevent: crossed 100\ndata: *=100\ndata: b=c=89\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let first = Piece { counts: vec![("a".into(), 1)], is_first: true, ..Piece::default() };
        let mut out = Vec::new();
        push_piece(&mut out, &first, Some(2_345));
        assert_eq!(out, b"retry: 2345\nevent: counts\ndata: a=1\n\n", "in one block");
        let mut out = Vec::new();
        push_piece(&mut out, &Piece { is_beat: true, ..Piece::default() }, None);
        assert_eq!(out, b":\n\n");
    }
}
