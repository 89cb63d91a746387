//! The uuids of the crowd: how often each was claimed and given up, and whether a member was dismissed for a reason.
//!
//! Owns that book, and the requests by which a page says that it leaves, with their answers. It does not own the streams
//! that end by them.
//!
//! Invariant: a claim is dismissed once at most, and the last claim of a uuid only if a page has said that it leaves.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::events::name;
use crate::{Result, now};

/// How long an answer may take: longer than a daemon is stopped.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a claim of a uuid of an event was made, and how often it ended.
#[derive(Clone, Copy, Default)]
struct Claims {
    claimed: u64,
    dismissed: u64,
    given_up: u64,
}

/// All uuids, by event.
#[derive(Default)]
pub(super) struct Uuids {
    claims: HashMap<(usize, usize), Claims>,
    /// Requests that were not answered yet.
    open: Vec<(TcpStream, Vec<u8>, Instant)>,
}

impl Uuids {
    /// A member claims a uuid.
    pub(super) fn claim(&mut self, event: usize, uuid: usize) {
        self.claims.entry((event, uuid)).or_default().claimed += 1;
    }

    /// A member was dismissed: its uuid was claimed anew, or given up.
    pub(super) fn dismiss(&mut self, event: usize, uuid: Option<usize>) -> Result<()> {
        let claims = uuid.and_then(|uuid| self.claims.get_mut(&(event, uuid)));
        let claims = claims.ok_or_else(|| format!("a member of {} without a uuid was dismissed", name(event)))?;
        claims.dismissed += 1;
        let Claims { claimed, dismissed, given_up } = *claims;
        if dismissed > claimed || (dismissed == claimed && given_up == 0) {
            let name = name(event);
            return Err(format!("{dismissed} of {claimed} members with a uuid of {name} were dismissed").into());
        }
        Ok(())
    }

    /// A page says on this connection that the member of a uuid leaves.
    pub(super) fn give_up(&mut self, mut stream: TcpStream, event: usize, uuid: usize) -> std::io::Result<()> {
        self.claims.entry((event, uuid)).or_default().given_up += 1;
        stream
            .write_all(format!("POST /{}/uuid{uuid} HTTP/1.0\r\nContent-Length: 0\r\n\r\n", name(event)).as_bytes())?;
        stream.set_nonblocking(true)?;
        self.open.push((stream, Vec::new(), now() + PATIENCE));
        Ok(())
    }

    /// Takes the answers that have come. Returns one that is wrong, if there is one; the end of a daemon explains it.
    pub(super) fn receive_answers(&mut self) -> Option<String> {
        let mut wrong = None;
        self.open.retain_mut(|(stream, answer, by)| match stream.read_to_end(answer) {
            Ok(_) if answer.starts_with(b"HTTP/1.1 200 ") => false,
            Err(error) if error.kind() == ErrorKind::WouldBlock && now() < *by => true,
            how => {
                let answer = String::from_utf8_lossy(answer).lines().next().unwrap_or_default().to_owned();
                wrong.get_or_insert_with(|| format!("a page that leaves is answered {answer:?} ({how:?})"));
                false
            }
        });
        wrong
    }

    /// How many requests are not answered yet.
    pub(super) fn open_count(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_claim_of_a_uuid_ends_only_if_it_was_given_up() {
        let mut uuids = Uuids::default();
        assert!(uuids.dismiss(1, None).is_err() && uuids.dismiss(1, Some(2)).is_err());
        uuids.claim(1, 2);
        uuids.claim(1, 2);
        uuids.dismiss(1, Some(2)).unwrap();
        assert!(uuids.dismiss(1, Some(2)).is_err());
        uuids.claim(3, 2);
        uuids.claims.get_mut(&(3, 2)).unwrap().given_up = 1;
        uuids.dismiss(3, Some(2)).unwrap();
        assert!(uuids.dismiss(3, Some(2)).is_err());
    }
}
