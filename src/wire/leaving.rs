//! What a page says in the query of an address that it leaves: which stream, and whether for good.
//!
//! Owns the two parameters. `?left=<stream>` leaves for good, and `?away=<stream>` says that the page is gone, and perhaps for a
//! reload. The stream is the number that stood as its `id:` in its first block. Without either, any stream of the uuid ends.
//!
//! Invariant: what is no number of a stream ends none.

use super::query;
use crate::meter::Leaving;

/// What is wrong with a query, and what helps.
pub const REMEDY: &str = "left and away name a stream by the number that was the id of its first block; without them, any stream \
                          of the UUID ends";

/// Reads the query of a request to leave.
///
/// # Errors
/// A line for a person, if a parameter is there that names no stream.
pub fn parse(query: Option<&str>) -> Result<Leaving, &'static str> {
    for (name, is_away) in [("left", false), ("away", true)] {
        if let Some(value) = query::values(query.unwrap_or_default(), name).next() {
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            let stream = value.parse().ok().filter(|_| is_number).ok_or(REMEDY)?;
            return Ok(Leaving { stream: Some(stream), is_away });
        }
    }
    Ok(Leaving::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_its_number() {
        let leaving = |stream, is_away| Ok(Leaving { stream, is_away });
        for (query, expected) in [
            (None, leaving(None, false)),
            (Some(""), leaving(None, false)),
            (Some("x=1&leftover=2"), leaving(None, false)),
            (Some("left=7"), leaving(Some(7), false)),
            (Some("expires=1&signature=0&away=7"), leaving(Some(7), true)),
            (Some("away=7&left=8"), leaving(Some(8), false)),
            (Some("left=18446744073709551615"), leaving(Some(u64::MAX), false)),
        ] {
            assert_eq!(parse(query), expected, "{query:?}");
        }
        for query in
            ["left", "left=", "away=x", "left=-1", "left=+1", "left=1.0", "left=18446744073709551616", "left=%31"]
        {
            assert_eq!(parse(Some(query)), Err(REMEDY), "{query}");
        }
    }
}
