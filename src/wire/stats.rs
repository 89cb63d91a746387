//! The JSON of the stats port, one namespace at a time, and that of an event that is over.
//!
//! Owns the form of the objects and the order of their members. An audience of 100,000 events makes 10 MB of it, so it is
//! written in pieces: a [`StatsWriter`] remembers what a piece has to begin with.
//!
//! Invariant: the pieces together are one JSON object and a line feed, whatever is written in between.

use super::json;
use super::sse::push_decimal;
use crate::meter::{Accounts, Ending, Reach};

/// The figures of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    /// Its name, as it was sent.
    pub name: &'a str,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// How many are there now.
    pub members: u64,
    /// When a count was last pushed, in seconds since 1970; 0 before.
    pub modified_unix_s: u64,
    /// How many are served now without being counted.
    pub uncounted: u64,
    /// How many of the members wait to come back.
    pub waiting: u64,
    /// What it has come to.
    pub accounts: Accounts,
}

/// How far the object has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsWriter {
    is_begun: bool,
}

impl StatsWriter {
    /// Appends a namespace.
    pub fn push(&mut self, out: &mut Vec<u8>, figures: &Figures<'_>) {
        out.push(if self.is_begun { b',' } else { b'{' });
        self.is_begun = true;
        json::push_string(out, figures.name);
        out.push(b':');
        push_object(out, figures);
    }

    /// Appends the end of the object.
    pub fn finish(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.is_begun { b"}\n" } else { b"{}\n" });
    }
}

/// Appends the figures of a namespace, without its name.
pub fn push_object(out: &mut Vec<u8>, figures: &Figures<'_>) {
    let fields = [
        ("{\"created\":", figures.created_unix_s),
        (",\"members\":", figures.members),
        (",\"connections\":", figures.accounts.connections),
        (",\"modified\":", figures.modified_unix_s),
        (",\"uncounted\":", figures.uncounted),
        (",\"waiting\":", figures.waiting),
    ];
    push_fields(out, &fields);
    push_accounts(out, &figures.accounts);
    out.push(b'}');
}

/// Appends what an event came to, as one line.
pub fn push_ending(out: &mut Vec<u8>, ending: &Ending) {
    out.extend_from_slice(b"{\"namespace\":");
    json::push_string(out, &ending.namespace);
    let fields = [
        (",\"created\":", ending.created_unix_s),
        (",\"ended\":", ending.ended_unix_s),
        (",\"connections\":", ending.accounts.connections),
    ];
    push_fields(out, &fields);
    push_accounts(out, &ending.accounts);
    out.extend_from_slice(b"}\n");
}

fn push_fields(out: &mut Vec<u8>, fields: &[(&str, u64)]) {
    for &(field, value) in fields {
        out.extend_from_slice(field.as_bytes());
        push_decimal(out, value);
    }
}

fn push_accounts(out: &mut Vec<u8>, accounts: &Accounts) {
    let peak = [(",\"peak\":", accounts.peak.members), (",\"peak_at\":", accounts.peak.at_unix_s)];
    push_fields(out, &peak);
    let hundredths = [
        (",\"member_seconds\":", accounts.member_ms / 10),
        (",\"average\":", accounts.average_hundredths()),
        (",\"average_watch\":", accounts.average_watch_ms() / 10),
    ];
    for &(field, value) in &hundredths {
        out.extend_from_slice(field.as_bytes());
        push_hundredths(out, value);
    }
    out.extend_from_slice(b",\"stays\":");
    let mut before = b'[';
    for &count in &accounts.stays {
        out.push(before);
        push_decimal(out, count);
        before = b',';
    }
    out.push(b']');
    push_reach(out, accounts.reach);
}

/// The number of people, and by how many it may be off; `null` where nothing is known.
fn push_reach(out: &mut Vec<u8>, reach: Option<Reach>) {
    match reach {
        Some(Reach { people, error }) => {
            push_fields(out, &[(",\"distinct\":", people), (",\"distinct_error\":", error)]);
        }
        None => out.extend_from_slice(b",\"distinct\":null,\"distinct_error\":null"),
    }
}

/// A number with two places after the point.
pub(super) fn push_hundredths(out: &mut Vec<u8>, hundredths: u64) {
    push_decimal(out, hundredths / 100);
    let places = (hundredths % 100) as u8;
    out.extend_from_slice(&[b'.', b'0' + places / 10, b'0' + places % 10]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Peak;

    fn accounts() -> Accounts {
        let mut accounts = Accounts { connections: 3, member_ms: 7_450, lasted_ms: 8_000, ..Accounts::default() };
        accounts.peak = Peak { members: 2, at_unix_s: 1_300_000_001 };
        (accounts.stays[0], accounts.stays[15]) = (1, 2);
        accounts.reach = Some(Reach { people: 2, error: 1 });
        accounts
    }

    const ACCOUNTS: &str = "\"peak\":2,\"peak_at\":1300000001,\"member_seconds\":7.45,\"average\":0.93,\
                            \"average_watch\":2.48,\"stays\":[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2],\"distinct\":2,\
                            \"distinct_error\":1";

    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let (mut writer, mut out) = (StatsWriter::default(), Vec::new());
        for name in names {
            let accounts = accounts();
            let figures =
                Figures { name, created_unix_s: 1, members: 2, modified_unix_s: 4, uncounted: 5, waiting: 6, accounts };
            writer.push(&mut out, &figures);
        }
        writer.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_object_is_exact() {
        let figures = format!(
            "{{\"created\":1,\"members\":2,\"connections\":3,\"modified\":4,\"uncounted\":5,\"waiting\":6,{ACCOUNTS}}}"
        );
        check(&[], "{}\n");
        check(&["a"], &format!("{{\"a\":{figures}}}\n"));
        check(&["__proto__", "\"\\"], &format!("{{\"__proto__\":{figures},\"\\\"\\\\\":{figures}}}\n"));
    }

    #[test]
    fn the_end_of_an_event_is_one_line() {
        let ending = Ending { namespace: "\"a".into(), created_unix_s: 5, ended_unix_s: 13, accounts: accounts() };
        let mut out = Vec::new();
        push_ending(&mut out, &ending);
        let expected = format!("{{\"namespace\":\"\\\"a\",\"created\":5,\"ended\":13,\"connections\":3,{ACCOUNTS}}}\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn people_that_are_not_known_are_no_number() {
        let (mut out, accounts) = (Vec::new(), Accounts { reach: None, ..accounts() });
        push_accounts(&mut out, &accounts);
        assert!(out.ends_with(br#","distinct":null,"distinct_error":null"#));
    }

    #[test]
    fn what_never_was_is_nothing_and_what_is_broken_is_bounded() {
        let mut accounts = Accounts::default();
        assert_eq!((accounts.average_hundredths(), accounts.average_watch_ms()), (0, 0));
        // It lasted for a second, a node says, and its members were there for ages.
        accounts = Accounts { connections: 1, member_ms: u64::MAX, lasted_ms: 1_000, ..accounts };
        accounts.peak.members = 7;
        assert_eq!(accounts.average_hundredths(), 700);
    }
}
