//! The whole crowd: parts in processes of their own, for one has too few descriptors for a large audience.
//!
//! Owns the processes, and the books of who is in which place, from which it knows what is true: how many are at each
//! event, and how many deliveries a push comes to. All parts are told the same and are waited for.
//!
//! Invariant: a part that was started is killed and reaped before this process ends.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use audience_meter::collections::tick::Tick;
use audience_meter::reactor::sys::Signals;
use audience_meter::reactor::{Interest, Reactor, Ready, Registered, Token};

use super::crowd::SIGNALS;
use super::member::Heard;
use super::options::PartOptions;
use super::order::{Answer, Order, Places, Sound};
use super::part::PATIENCE;
use super::{Result, now};

/// What an answer may take beyond the patience of the part itself, which has the better words for it.
const GRACE: Duration = Duration::from_secs(10);

/// Everybody.
pub(super) struct Parts {
    reactor: Reactor,
    signals: Registered<Signals>,
    ready: Vec<Ready>,
    processes: Vec<Part>,
    /// Which places are taken.
    is_taken: Vec<bool>,
    /// By event, how many are open in each part.
    open: Vec<Vec<u64>>,
}

struct Part {
    child: Child,
    output: Registered<File>,
    /// What has been read of an answer that is not whole.
    begun: Vec<u8>,
    /// When the first and the last was heard of what it listens for, once all has been.
    heard: Option<(u64, u64)>,
    /// How far it has come, if that is news.
    so_far: Option<u64>,
    answers: VecDeque<Answer>,
}

impl Parts {
    /// Starts so many parts, with nobody in them yet, for an audience of these events.
    pub(super) fn start(parts: usize, audience: SocketAddr, prefix: &str, events: usize) -> Result<Self> {
        let reactor = Reactor::new()?;
        // A signal ends the run like any error, so that no daemon is left behind.
        let signals = Registered::new(&reactor, Signals::open()?, SIGNALS, Interest::Read)?;
        let open = vec![vec![0; parts]; events];
        let mut this = Self { reactor, signals, ready: Vec::new(), processes: Vec::new(), is_taken: Vec::new(), open };
        for number in 0..parts {
            let options = PartOptions { number, parts, audience, events, prefix: prefix.to_owned() };
            let part = Part::start(&options, &this.reactor, Token(number))?;
            this.processes.push(part);
        }
        Ok(this)
    }

    /// Members join, one each `pace`, until all have heard their first count. Tells how many have so far.
    pub(super) fn join(&mut self, places: &Places, pace: Duration, so_far: impl FnMut(u64)) -> Result<()> {
        self.note(places, true);
        let pace = pace * u32::try_from(self.processes.len())?;
        self.tell_all(&Order::Join { places: places.clone(), pace })?;
        self.await_all(so_far).map(drop)
    }

    /// Members leave.
    pub(super) fn leave(&mut self, places: &Places) -> Result<()> {
        self.note(places, false);
        self.tell_all(&Order::Leave { places: places.clone() })?;
        self.await_all(|_| ()).map(drop)
    }

    /// How many are at each event.
    pub(super) fn open(&self) -> impl Iterator<Item = u64> {
        self.open.iter().map(|parts| parts.iter().sum())
    }

    /// Lets everybody at an event listen for so many deliveries each; `cause` has them told. Returns how many there were,
    /// and how long after the cause began the first and the last were heard.
    pub(super) fn hear(
        &mut self,
        sound: Sound,
        event: usize,
        each: u64,
        cause: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<(u64, Duration, Duration)> {
        let numbers: Vec<u64> = self.open[event].iter().map(|open| open * each).collect();
        for (part, &number) in self.processes.iter_mut().zip(&numbers) {
            part.heard = None;
            part.tell(&Order::Hear { sound, number })?;
        }
        self.await_all(|_| ())?;
        let start_unix_ns = super::unix_ns();
        cause(self)?;
        let give_up = now() + PATIENCE;
        while self.processes.iter().any(|part| part.heard.is_none()) {
            self.turn(left_until(give_up)?)?;
        }
        // A part that has nothing to hear has heard it all at once.
        let times = self.processes.iter().zip(&numbers).filter(|&(_, &number)| number > 0);
        let times: Vec<(u64, u64)> = times.filter_map(|(part, _)| part.heard).collect();
        let first = times.iter().map(|&(first, _)| first).min().unwrap_or(start_unix_ns);
        let last = times.iter().map(|&(_, last)| last).max().unwrap_or(start_unix_ns);
        let after = |unix_ns: u64| Duration::from_nanos(unix_ns.saturating_sub(start_unix_ns));
        Ok((numbers.iter().sum(), after(first), after(last)))
    }

    /// Someone who was told a wrong count last, if there is one.
    pub(super) fn find_mistold(&mut self) -> Result<Option<String>> {
        self.check(&Order::CheckCounts { by_event: self.open().collect() })
    }

    /// Someone who was not told as many messages as were sent to its event.
    pub(super) fn find_missed(&mut self, sent: &[u64]) -> Result<Option<String>> {
        self.check(&Order::CheckMessages { by_event: sent.to_vec() })
    }

    /// How much has been heard by all.
    pub(super) fn heard(&mut self) -> Result<Heard> {
        self.tell_all(&Order::Tell)?;
        let mut sum = Heard::default();
        for answer in self.await_all(|_| ())? {
            let Answer::Told(Heard { firsts, counts, messages }) = answer else {
                return Err(format!("a part of the crowd answers {answer}").into());
            };
            sum.firsts += firsts;
            sum.counts += counts;
            sum.messages += messages;
        }
        Ok(sum)
    }

    /// Does nothing for so long, while the parts hear.
    pub(super) fn pause(&mut self, duration: Duration) -> Result<()> {
        let end = now() + duration;
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    fn note(&mut self, places: &Places, is_taken: bool) {
        for place in places.iter() {
            if place >= self.is_taken.len() {
                self.is_taken.resize(place + 1, false);
            }
            if std::mem::replace(&mut self.is_taken[place], is_taken) != is_taken {
                let (event, part) = (place % self.open.len(), place % self.processes.len());
                let open = &mut self.open[event][part];
                *open = if is_taken { *open + 1 } else { *open - 1 };
            }
        }
    }

    fn check(&mut self, order: &Order) -> Result<Option<String>> {
        self.tell_all(order)?;
        let answers = self.await_all(|_| ())?;
        Ok(answers.into_iter().find_map(|answer| if let Answer::Wrong(what) = answer { Some(what) } else { None }))
    }

    fn tell_all(&mut self, order: &Order) -> Result<()> {
        self.processes.iter_mut().try_for_each(|part| part.tell(order))
    }

    /// Waits until each part has answered, however long that is while they say that they come on.
    fn await_all(&mut self, mut tell: impl FnMut(u64)) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; self.processes.len()];
        let mut progress = vec![0; self.processes.len()];
        let mut give_up = now() + PATIENCE + GRACE;
        loop {
            for (number, part) in self.processes.iter_mut().enumerate() {
                if let Some(so_far) = part.so_far.take() {
                    progress[number] = so_far;
                    give_up = now() + PATIENCE + GRACE;
                    tell(progress.iter().sum());
                }
                if answers[number].is_none() {
                    answers[number] = part.answers.pop_front();
                }
            }
            if answers.iter().all(Option::is_some) {
                return Ok(answers.into_iter().flatten().collect());
            }
            self.turn(left_until(give_up)?)?;
        }
    }

    /// Reads what the parts have to say, waiting for it at most so long.
    fn turn(&mut self, wait: Duration) -> Result<()> {
        let deadline: Tick = self.reactor.now().tick.after(wait);
        self.reactor.wait(Some(deadline), &mut self.ready)?;
        for ready in &self.ready {
            if ready.token == SIGNALS {
                let signal = self.signals.source().next().unwrap_or_default();
                return Err(format!("ended by signal {signal}").into());
            }
            if let Some(part) = self.processes.get_mut(ready.token.0) {
                part.read()?;
            }
        }
        Ok(())
    }
}

fn left_until(give_up: Instant) -> Result<Duration> {
    give_up.checked_duration_since(now()).ok_or_else(|| "a part of the crowd does not answer".into())
}

impl Part {
    fn start(options: &PartOptions, reactor: &Reactor, token: Token) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(options.args()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start a part of the crowd: {error}"))?;
        let output = child.stdout.take().ok_or("a part of the crowd has no standard output")?;
        let output = Registered::new(reactor, File::from(OwnedFd::from(output)), token, Interest::Read)?;
        Ok(Self { child, output, begun: Vec::new(), heard: None, so_far: None, answers: VecDeque::new() })
    }

    fn tell(&mut self, order: &Order) -> Result<()> {
        let input = self.child.stdin.as_mut().ok_or("a part of the crowd has no standard input")?;
        Ok(input.write_all(format!("{order}\n").as_bytes())?)
    }

    /// Reads once, and sorts what is whole.
    fn read(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        let count = self.output.source().read(&mut bytes)?;
        if count == 0 {
            return Err("a part of the crowd has ended".into());
        }
        self.begun.extend_from_slice(bytes.get(..count).unwrap_or_default());
        while let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            match String::from_utf8(line)?.trim_end().parse()? {
                Answer::Failed(why) => return Err(why.into()),
                Answer::Heard { first_unix_ns, last_unix_ns } => self.heard = Some((first_unix_ns, last_unix_ns)),
                Answer::SoFar(number) => self.so_far = Some(number),
                answer => self.answers.push_back(answer),
            }
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
