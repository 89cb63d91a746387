//! Last words: of events that are over, and of the process.
//!
//! Owns what is written down of an event, and what is done between the last turn and the end. An event that ends because
//! the whole audience is shut down is reported too, by one of the processes that end last.
//!
//! Invariant: what an event came to is logged, whatever becomes of the file; if many end at once, it is counted there.

use std::io;
use std::time::Duration;

use super::turnover::Turnover;
use crate::collections::key::Key as _;
use crate::collections::tick::{Now, Tick};
use crate::log::{self, Value::Json};
use crate::meter::{Ending, MemberId, Meter, NamespaceId, Output};
use crate::reactor::Reactor;
use crate::reactor::sys::Signals;
use crate::reports::ReportFile;
use crate::server::bus::Bus;
use crate::wire::stats;

/// Most times that the bus is read before the end: its buffer holds no more.
const RECEIVES_MAX: usize = 1_000;

/// How long the end waits for the answers to the goodbye: other processes of the host answer within 1 ms, and hosts within a round
/// trip.
const ANSWERS_MAX: Duration = Duration::from_secs(1);

/// How long a process that ends together with others answers their goodbyes: they are repeated every 60 ms.
const LINGER: Duration = Duration::from_millis(200);

/// How long the end waits for the file to take the lines that are left: a pipe has a reader that is at work.
const WRITING_MAX: Duration = Duration::from_secs(1);

/// Writes what an event came to into the log, if it takes one more line, and into the file; returns whether there was room for
/// it there.
pub(in crate::server) fn write_down(
    ending: &Ending,
    reports: Option<&mut ReportFile>,
    turnover: &mut Turnover,
    now: Now,
) -> bool {
    let is_logged = turnover.take_line(now.tick);
    if !is_logged && reports.is_none() {
        return true;
    }
    let mut line = Vec::with_capacity(512);
    stats::push_ending(&mut line, ending);
    if is_logged {
        log::info("ended", &[("report", Json(str::from_utf8(&line).unwrap_or_default().trim_ascii_end()))]);
    }
    reports.is_none_or(|reports| reports.push(line))
}

/// What is left of the process after its last turn.
pub(in crate::server) struct LastTurns<'a> {
    pub(in crate::server) reactor: &'a mut Reactor,
    pub(in crate::server) signals: &'a Signals,
    pub(in crate::server) meter: &'a mut Meter,
    pub(in crate::server) bus: &'a mut Bus,
    pub(in crate::server) reports: Option<&'a mut ReportFile>,
    pub(in crate::server) turnover: &'a mut Turnover,
}

impl LastTurns<'_> {
    /// Departs, and reports the events that end with this process, if no other does.
    ///
    /// Members that are still there, because a second signal has ended the process early, leave now: how long they stayed is
    /// known. All of them have keys with an index below `place_count`.
    ///
    /// # Errors
    /// When the poller itself fails.
    pub(in crate::server) fn end(mut self, place_count: usize) -> io::Result<()> {
        let now = self.reactor.now();
        for member in (0..place_count).filter_map(MemberId::from_index) {
            self.meter.leave(member, now);
        }
        // The others shall know at once, not after the timeout.
        self.meter.departure(now).announce();
        self.carry_out(now);
        if self.await_answers(now)? { self.write_last_reports() } else { self.finish() }
    }

    /// Waits for the answers of the others; returns whether this process reports the events that end now.
    fn await_answers(&mut self, mut now: Now) -> io::Result<bool> {
        let end = now.tick.after(ANSWERS_MAX);
        loop {
            if let Some(is_reporter) = self.meter.departure(now).decide(now.tick >= end) {
                // Others may wait for the answer of this process.
                let end = now.tick.after(LINGER);
                while self.meter.departure(now).has_company() && now.tick < end {
                    now = self.turn(end)?;
                }
                return Ok(is_reporter);
            }
            now = self.turn(end)?;
        }
    }

    /// Does what is due among the nodes until that time, or until something comes.
    fn turn(&mut self, until: Tick) -> io::Result<Now> {
        let due = self.meter.poll_timeout().unwrap_or(until);
        let now = self.wait(due.min(until))?;
        let is_empty = self.receive(now);
        if let Some(reports) = &mut self.reports {
            reports.write(now.tick);
            self.meter.set_ending_room(reports.room(), reports.room_at());
        }
        self.meter.handle_timeout(now, is_empty);
        self.carry_out(now);
        self.bus.handle_timeout(self.reactor, is_empty, now);
        Ok(now)
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.meter.poll_output() {
            match output {
                Output::Send(to, datagram) => self.bus.send(to, &datagram, self.meter.learned_addresses(), now),
                Output::Ended(ending) => {
                    write_down(&ending, self.reports.as_deref_mut(), self.turnover, now);
                }
                _ => {}
            }
        }
        self.bus.flush(now);
    }

    /// Receives what has come; returns whether that was all.
    fn receive(&mut self, now: Now) -> bool {
        (0..RECEIVES_MAX).any(|_| self.bus.receive(self.meter, now))
    }

    fn write_last_reports(&mut self) -> io::Result<()> {
        let mut now = self.reactor.now();
        let end = now.tick.after(WRITING_MAX);
        let mut from = NamespaceId::FIRST;
        while let Some(ending) = self.meter.departure(now).next_ending(&mut from) {
            if self.reports.as_ref().is_some_and(|reports| reports.room() == 0) {
                now = self.write(1, end, now)?;
            }
            write_down(&ending, self.reports.as_deref_mut(), self.turnover, now);
        }
        self.finish()
    }

    /// Writes all that is left.
    fn finish(&mut self) -> io::Result<()> {
        let now = self.reactor.now();
        self.turnover.finish(self.meter.evicted_count());
        self.write(usize::MAX, now.tick.after(WRITING_MAX), now)?;
        if let Some(reports) = &mut self.reports {
            reports.end();
        }
        Ok(())
    }

    /// Writes until there is room for this number of lines, or nothing is left to write, or it is too late.
    fn write(&mut self, room: usize, end: Tick, mut now: Now) -> io::Result<Now> {
        while let Some(reports) = self.reports.as_deref_mut() {
            let has_more = reports.write(now.tick);
            let Some(next) = reports.next_deadline().filter(|_| reports.room() < room && now.tick < end) else { break };
            if !has_more {
                now = self.wait(next.min(end))?;
                self.receive(now);
            }
        }
        Ok(now)
    }

    /// Waits until that time, or until something comes. A signal changes nothing any more.
    fn wait(&mut self, until: Tick) -> io::Result<Now> {
        let now = self.reactor.wait(Some(until), &mut Vec::new())?;
        while self.signals.next().is_some() {}
        Ok(now)
    }
}
