//! Readers of the pages of the stats ports, as monitoring is one; some of them read slowly.
//!
//! Owns the choice, when the next page is asked for and at which daemon, and judges each answer by itself: it is whole, and
//! no counter of a daemon falls.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::events::find;
use super::nodes::Nodes;
use crate::{Result, now, pages};

/// What is asked for; nothing at all is what `nc` asks for.
const PAGES: [&str; 8] =
    ["", "/", "/metrics", "/metrics", "/cluster", "/process", "/history/soak0", "/namespace/soak0"];

/// The time between two.
const GAP: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// One of this many reads slowly: this number of bytes in a turn.
const SLOW: usize = 4;
const SLOW_BYTES: usize = 512;

/// Most at a time.
const MOST: usize = 12;

/// How long an answer may take: longer than a daemon is stopped, and as long as a daemon waits for a slow reader.
const PATIENCE: Duration = Duration::from_secs(15);

/// One that reads.
struct Scrape {
    stream: TcpStream,
    /// The number of the daemon, and of its process.
    daemon: usize,
    pid: u32,
    page: &'static str,
    is_slow: bool,
    begun: Instant,
    answer: Vec<u8>,
}

/// All that read.
pub(super) struct Scrapes {
    chance: Chance,
    next_at: Instant,
    open: Vec<Scrape>,
    scratch: Box<[u8]>,
    /// The last value of each counter of each process, and when it had come.
    counters: HashMap<(u32, String), (f64, Instant)>,
    pub(super) read_count: u64,
    /// Slow readers that were left in the middle of an answer.
    pub(super) late_count: u64,
}

impl Scrapes {
    pub(super) fn new(chance: Chance) -> Self {
        Self {
            chance,
            next_at: now(),
            open: Vec::new(),
            scratch: vec![0; 64 * 1024].into(),
            counters: HashMap::new(),
            read_count: 0,
            late_count: 0,
        }
    }

    /// Asks for a page, if it is time for one.
    pub(super) fn ask(&mut self, nodes: &Nodes) -> Result<()> {
        let moment = now();
        if moment < self.next_at || self.open.len() == MOST {
            return Ok(());
        }
        self.next_at = moment + self.chance.between(GAP);
        let (place, page) = (self.chance.below(nodes.count()), PAGES[self.chance.below(PAGES.len())]);
        let is_slow = self.chance.one_in(SLOW);
        let Some((daemon, serves)) = nodes.up().find(|&(number, _)| number == place + 1) else { return Ok(()) };
        let pid = serves.process.as_ref().map_or(0, crate::process::Process::pid);
        let mut stream = serves.stats_from(Ipv4Addr::new(127, 3, 1, 1))?;
        if !page.is_empty() {
            stream.write_all(format!("GET {page} HTTP/1.0\r\n\r\n").as_bytes())?;
        }
        stream.set_nonblocking(true)?;
        self.open.push(Scrape { stream, daemon, pid, page, is_slow, begun: moment, answer: Vec::new() });
        Ok(())
    }

    /// Takes what has come. Returns an answer that is wrong, if there is one; the end of a daemon explains it. Of one that is over
    /// already, the rest of its answers may still be in the kernel.
    pub(super) fn receive(&mut self, nodes: &Nodes) -> Result<Option<String>> {
        let mut wrong = None;
        let is_over = |scrape: &Scrape| nodes.processes().all(|(_, process)| process.pid() != scrape.pid);
        for mut scrape in std::mem::take(&mut self.open) {
            match scrape.read(&mut self.scratch) {
                Ok(false) if scrape.is_slow && now() - scrape.begun > PATIENCE => self.late_count += 1,
                Ok(false) if now() - scrape.begun > PATIENCE => {
                    wrong.get_or_insert_with(|| scrape.describe("it does not end"));
                }
                Ok(false) => self.open.push(scrape),
                Ok(true) => {
                    self.read_count += 1;
                    match scrape.judge() {
                        Ok(body) if scrape.page == "/metrics" => self.compare(&scrape, &body)?,
                        Ok(_) => {}
                        Err(_) if scrape.is_slow || is_over(&scrape) => self.late_count += 1,
                        Err(why) => {
                            wrong.get_or_insert_with(|| scrape.describe(&why));
                        }
                    }
                }
                // The daemon waits for a slow reader for some seconds.
                Err(_) if scrape.is_slow => self.late_count += 1,
                Err(error) => {
                    wrong.get_or_insert_with(|| scrape.describe(&error.to_string()));
                }
            }
        }
        Ok(wrong)
    }

    /// No counter of a process falls.
    fn compare(&mut self, scrape: &Scrape, body: &str) -> Result<()> {
        for (series, value) in series(body) {
            if !series.split('{').next().unwrap_or_default().ends_with("_total") {
                continue;
            }
            let known = self.counters.entry((scrape.pid, series.to_owned())).or_insert((value, scrape.begun));
            if value < known.0 && scrape.begun >= known.1 {
                return Err(scrape.describe(&format!("{series} falls from {} to {value}", known.0)).into());
            }
            if value > known.0 {
                *known = (value, now());
            }
        }
        Ok(())
    }

    /// All stop reading; counters of processes that are not there any more are forgotten.
    pub(super) fn leave_all(&mut self, nodes: &Nodes) {
        self.open.clear();
        let pids: Vec<u32> = nodes.processes().map(|(_, process)| process.pid()).collect();
        self.counters.retain(|(pid, _), _| pids.contains(pid));
    }
}

impl Scrape {
    /// Reads some; returns whether the answer is at its end.
    fn read(&mut self, scratch: &mut [u8]) -> std::io::Result<bool> {
        let size = if self.is_slow { SLOW_BYTES } else { scratch.len() };
        loop {
            match self.stream.read(&mut scratch[..size]) {
                Ok(0) => return Ok(true),
                Ok(count) => self.answer.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.is_slow {
                return Ok(false);
            }
        }
    }

    /// The body, if the answer is whole and what it should be.
    fn judge(&self) -> std::result::Result<String, String> {
        let text = String::from_utf8_lossy(&self.answer);
        let body = match text.split_once("\r\n\r\n") {
            Some((head, body)) => {
                let is_unknown = self.page.ends_with("/soak0") && head.starts_with("HTTP/1.1 404 ");
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
                if is_unknown {
                    return Ok(String::new());
                }
                if !head.starts_with("HTTP/1.1 200 ") || length.is_some_and(|length| length != body.len()) {
                    return Err(format!("{} bytes of a body came after {head:?}", body.len()));
                }
                body
            }
            // On a busy machine, the request of a page may come too late, too.
            None => &text,
        };
        match self.page {
            "/metrics" if body.starts_with("# ") => Ok(body.to_owned()),
            "" | "/" => {
                let stats: pages::Stats = serde_json::from_str(body).map_err(|error| error.to_string())?;
                stats
                    .keys()
                    .find(|name| find(name).is_none())
                    .map_or(Ok(String::new()), |name| Err(format!("it has {name:?}, and there is no such event")))
            }
            _ => {
                serde_json::from_str::<serde_json::Value>(body).map_err(|error| error.to_string())?;
                Ok(String::new())
            }
        }
    }

    fn describe(&self, why: &str) -> String {
        let (daemon, bytes) = (self.daemon, self.answer.len());
        format!("the answer of daemon {daemon} to {:?} is wrong after {bytes} bytes: {why}", self.page)
    }
}

/// The samples of a page of metrics.
pub(super) fn series(page: &str) -> impl Iterator<Item = (&str, f64)> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_from_a_page() {
        let page = "# HELP a b\n# TYPE a gauge\na 1\na_total{process=\"0\",what=\"x y\"} 2.5\n";
        let read: Vec<_> = series(page).collect();
        assert_eq!(read, [("a", 1.0), ("a_total{process=\"0\",what=\"x y\"}", 2.5)]);
    }
}
