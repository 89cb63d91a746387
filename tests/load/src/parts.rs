//! The whole crowd: parts in processes of their own, for one process has too few descriptors for a large audience.
//!
//! Owns the processes, and the books of the places that are taken. From them it knows the truth: how many members are at
//! each event, and how many deliveries a push comes to. All parts get the same orders, and all answers are awaited.
//!
//! Invariant: a part that was started is killed and reaped before this process ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::part::PATIENCE;
use super::poll::Poll;
use super::protocol::{Answer, Delivery, Inbox, Order, PartPlan, Places, Received, send};
use super::{Result, now};

/// How much longer an answer may take than the patience of the part itself, which has the better words for a delay.
const GRACE: Duration = Duration::from_secs(10);

/// The whole crowd.
pub(super) struct Parts {
    poll: Poll,
    ready: Vec<usize>,
    processes: Vec<Part>,
    /// The places that are taken.
    is_taken: Vec<bool>,
    /// By event, the number of members in each part.
    open: Vec<Vec<u64>>,
}

struct Part {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    inbox: Inbox,
    /// When the first and the last of the expected deliveries came, once all have.
    times: Option<(u64, u64)>,
    /// How far its order has come, until that is taken.
    so_far: Option<u64>,
    answers: VecDeque<Answer>,
}

impl Parts {
    /// Starts empty parts, for an audience of these events.
    pub(super) fn start(parts: usize, audience: SocketAddr, prefix: &str, events: usize) -> Result<Self> {
        let (poll, open) = (Poll::new()?, vec![vec![0; parts]; events]);
        let mut this = Self { poll, ready: Vec::new(), processes: Vec::new(), is_taken: Vec::new(), open };
        for number in 0..parts {
            let plan = PartPlan { number, parts, audience, events, prefix: prefix.to_owned() };
            this.processes.push(Part::start(&plan, &this.poll)?);
        }
        this.await_all(|_| ())?;
        Ok(this)
    }

    /// Members join, one each `pace`, until all have received their first count. `so_far` gets their number meanwhile.
    pub(super) fn join(&mut self, places: &Places, pace: Duration, so_far: impl FnMut(u64)) -> Result<()> {
        self.keep_books(places, true);
        let pace = pace * u32::try_from(self.processes.len())?;
        self.order_all(&Order::Join { places: places.clone(), pace })?;
        self.await_all(so_far).map(drop)
    }

    /// Members leave.
    pub(super) fn leave(&mut self, places: &Places) -> Result<()> {
        self.keep_books(places, false);
        self.order_all(&Order::Leave { places: places.clone() })?;
        self.await_all(|_| ()).map(drop)
    }

    /// How many members are at each event.
    pub(super) fn open(&self) -> impl Iterator<Item = u64> {
        self.open.iter().map(|parts| parts.iter().sum())
    }

    /// Has every member of an event expect `each` deliveries, which `cause` brings about. Returns how many there were,
    /// and how long after the beginning of the cause the first and the last were received.
    pub(super) fn time_deliveries(
        &mut self,
        delivery: Delivery,
        event: usize,
        each: u64,
        cause: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<(u64, Duration, Duration)> {
        let numbers: Vec<u64> = self.open[event].iter().map(|open| open * each).collect();
        for (part, &number) in self.processes.iter_mut().zip(&numbers) {
            part.times = None;
            send(&mut part.input, &Order::Expect { delivery, number })?;
        }
        self.await_all(|_| ())?;
        let start_unix_ns = super::unix_ns();
        cause(self)?;
        let give_up = now() + PATIENCE;
        while self.processes.iter().any(|part| part.times.is_none()) {
            self.turn(left_until(give_up)?)?;
        }
        // A part without members at this event has received everything at once.
        let times = self.processes.iter().zip(&numbers).filter(|&(_, &number)| number > 0);
        let times: Vec<(u64, u64)> = times.filter_map(|(part, _)| part.times).collect();
        let first = times.iter().map(|&(first, _)| first).min().unwrap_or(start_unix_ns);
        let last = times.iter().map(|&(_, last)| last).max().unwrap_or(start_unix_ns);
        let after = |unix_ns: u64| Duration::from_nanos(unix_ns.saturating_sub(start_unix_ns));
        Ok((numbers.iter().sum(), after(first), after(last)))
    }

    /// A member that has received a wrong count last, if there is one.
    pub(super) fn find_wrong_count(&mut self) -> Result<Option<String>> {
        self.check(&Order::CheckCounts { by_event: self.open().collect() })
    }

    /// A member that has not received as many messages as its event was sent, if there is one.
    pub(super) fn find_missed_message(&mut self, sent: &[u64]) -> Result<Option<String>> {
        self.check(&Order::CheckMessages { by_event: sent.to_vec() })
    }

    /// How much all members have received.
    pub(super) fn received(&mut self) -> Result<Received> {
        self.order_all(&Order::Report)?;
        let mut sum = Received::default();
        for answer in self.await_all(|_| ())? {
            let Answer::Report(Received { firsts, counts, messages }) = answer else {
                return Err(format!("a part of the crowd answers {answer:?}").into());
            };
            sum.firsts += firsts;
            sum.counts += counts;
            sum.messages += messages;
        }
        Ok(sum)
    }

    /// Does nothing for this time, while the parts receive.
    pub(super) fn pause(&mut self, duration: Duration) -> Result<()> {
        let end = now() + duration;
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    fn keep_books(&mut self, places: &Places, is_taken: bool) {
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
        self.order_all(order)?;
        let answers = self.await_all(|_| ())?;
        Ok(answers.into_iter().find_map(|answer| if let Answer::Wrong(what) = answer { Some(what) } else { None }))
    }

    fn order_all(&mut self, order: &Order) -> Result<()> {
        self.processes.iter_mut().try_for_each(|part| send(&mut part.input, order))
    }

    /// Waits until each part has answered, for as long as they say that they come on.
    fn await_all(&mut self, mut so_far: impl FnMut(u64)) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; self.processes.len()];
        let mut progress = vec![0; self.processes.len()];
        let mut give_up = now() + PATIENCE + GRACE;
        loop {
            for (number, part) in self.processes.iter_mut().enumerate() {
                if let Some(done) = part.so_far.take() {
                    progress[number] = done;
                    give_up = now() + PATIENCE + GRACE;
                    so_far(progress.iter().sum());
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

    /// Reads the answers of the parts, and waits for one at most `wait`.
    fn turn(&mut self, wait: Duration) -> Result<()> {
        self.poll.wait(wait, &mut self.ready)?;
        for &token in &self.ready {
            self.processes[token].receive()?;
        }
        Ok(())
    }
}

fn left_until(give_up: Instant) -> Result<Duration> {
    give_up.checked_duration_since(now()).ok_or_else(|| "a part of the crowd does not answer".into())
}

impl Part {
    fn start(plan: &PartPlan, poll: &Poll) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("part").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start a part of the crowd: {error}"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut input, output) = pipes.ok_or("a part of the crowd has no pipes")?;
        poll.add(&output, plan.number)?;
        send(&mut input, plan)?;
        Ok(Self { child, input, output, inbox: Inbox::default(), times: None, so_far: None, answers: VecDeque::new() })
    }

    /// Reads once, and sorts the answers.
    fn receive(&mut self) -> Result<()> {
        let answers = self.inbox.receive(&mut self.output)?.ok_or("a part of the crowd has ended")?;
        for answer in answers {
            match answer {
                Answer::Failed(why) => return Err(why.into()),
                Answer::Received { first_unix_ns, last_unix_ns } => self.times = Some((first_unix_ns, last_unix_ns)),
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
