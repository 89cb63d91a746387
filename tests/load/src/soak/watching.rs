//! Streams that watch the events of the soak, as dashboards do; some of them do not read.
//!
//! Owns the streams and what each has received last. It does not know what is true: `check` compares.
//!
//! Invariant: a stream that is read ends with its daemon or by its own will only.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::nodes::Nodes;
use crate::{Result, now};

/// What is watched: one event, all of a prefix, everything.
const PATTERNS: [&str; 3] = ["soak0", "soak*", "*"];

/// The time between two that come, and how long one stays.
const GAP: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
const STAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(40));

/// One of this many does not read.
const DEAF: usize = 4;

/// Most at a time. A side port of a daemon with few descriptors has not many slots.
const MOST: usize = 9;

/// The size of a read, and most reads of a stream in a turn.
const READ: usize = 64 * 1024;
const READS: usize = 16;

/// A stream that watches.
pub(super) struct Watcher {
    stream: TcpStream,
    /// The number of its daemon.
    pub(super) daemon: usize,
    pub(super) pattern: &'static str,
    is_deaf: bool,
    end: Instant,
    begun: Vec<u8>,
    /// What comes are totals, and no milestones.
    is_at_counts: bool,
    /// The last total of each name.
    pub(super) totals: HashMap<String, u64>,
}

/// All of them.
pub(super) struct Watching {
    chance: Chance,
    next_at: Instant,
    all: Vec<Watcher>,
    scratch: Box<[u8]>,
    pub(super) opened_count: u64,
    pub(super) updates: u64,
}

impl Watching {
    pub(super) fn new(chance: Chance) -> Self {
        let scratch = vec![0; READ].into();
        Self { chance, next_at: now(), all: Vec::new(), scratch, opened_count: 0, updates: 0 }
    }

    /// Has one come, if it is time for one, and those go that have watched for long enough.
    pub(super) fn come_and_go(&mut self, nodes: &Nodes) -> Result<()> {
        let moment = now();
        self.all.retain(|watcher| moment < watcher.end);
        if moment < self.next_at || self.all.len() == MOST {
            return Ok(());
        }
        self.next_at = moment + self.chance.between(GAP);
        let (place, pattern) = (self.chance.below(nodes.count()), PATTERNS[self.chance.below(PATTERNS.len())]);
        let (is_deaf, stay) = (self.chance.one_in(DEAF), self.chance.between(STAY));
        let Some((daemon, serves)) = nodes.up().find(|&(number, _)| number == place + 1) else { return Ok(()) };
        // An address each: one alone may have a share of the slots.
        let last = u8::try_from(self.opened_count % 250).unwrap_or(0) + 1;
        let mut stream = serves.stats_from(Ipv4Addr::new(127, 3, 0, last))?;
        stream.write_all(format!("GET /?watch={pattern} HTTP/1.0\r\n\r\n").as_bytes())?;
        stream.set_nonblocking(true)?;
        self.opened_count += 1;
        let (begun, is_at_counts, totals) = (Vec::new(), false, HashMap::new());
        let end = moment + stay;
        self.all.push(Watcher { stream, daemon, pattern, is_deaf, end, begun, is_at_counts, totals });
        Ok(())
    }

    /// Takes what has come. Returns one that has ended too early, if there is one; the end of a daemon explains it.
    pub(super) fn receive(&mut self) -> Option<String> {
        let Self { all, scratch, updates, .. } = self;
        let mut lost = None;
        all.retain_mut(|watcher| match watcher.receive(scratch, updates) {
            Ok(()) => true,
            Err(why) => {
                lost.get_or_insert_with(|| format!("a watcher of {} has ended: {why}", watcher.pattern));
                false
            }
        });
        lost
    }

    /// Those that read, and stay.
    pub(super) fn readers(&self) -> impl Iterator<Item = &Watcher> {
        self.all.iter().filter(|watcher| !watcher.is_deaf)
    }

    /// All go.
    pub(super) fn leave_all(&mut self) {
        self.all.clear();
    }
}

impl Watcher {
    fn receive(&mut self, scratch: &mut [u8], updates: &mut u64) -> std::result::Result<(), String> {
        if self.is_deaf {
            return Ok(());
        }
        for _ in 0..READS {
            match self.stream.read(scratch) {
                Ok(0) => return Err("it was closed".into()),
                Ok(count) => self.take(&scratch[..count], updates)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], updates: &mut u64) -> std::result::Result<(), String> {
        self.begun.extend_from_slice(bytes);
        let whole = self.begun.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.begun.split_off(whole);
        let lines = std::mem::replace(&mut self.begun, rest);
        for line in String::from_utf8_lossy(&lines).lines() {
            if line.starts_with("HTTP/") && !line.starts_with("HTTP/1.1 200 ") {
                return Err(format!("it is answered {line:?}"));
            }
            if let Some(event) = line.strip_prefix("event: ") {
                self.is_at_counts = event == "counts";
            }
            let total = line.strip_prefix("data: ").and_then(|data| data.rsplit_once('='));
            if let Some((name, total)) = total.filter(|_| self.is_at_counts) {
                let total = total.parse().map_err(|_| format!("it has received {line:?}"))?;
                self.totals.insert(name.to_owned(), total);
                *updates += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_taken_and_milestones_are_not() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (begun, totals, end) = (Vec::new(), HashMap::new(), now());
        let mut watcher =
            Watcher { stream, daemon: 1, pattern: "*", is_deaf: false, end, begun, is_at_counts: false, totals };
        let mut updates = 0;
        let text = "HTTP/1.1 200 OK\r\n\r\nevent: counts\ndata: a=1\ndata: *=3\n\nevent: peak\ndata: a=9\n\n\
            event: counts\ndata: a=2\n\n";
        for piece in text.as_bytes().chunks(7) {
            watcher.take(piece, &mut updates).unwrap();
        }
        assert_eq!((watcher.totals["a"], watcher.totals["*"], updates), (2, 3, 3));
        assert!(watcher.take(b"HTTP/1.1 503 Service Unavailable\r\n", &mut updates).is_err());
    }
}
