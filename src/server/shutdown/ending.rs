//! Last words: of events that are over, and of the process.
//!
//! Owns what is written down of an event, and what is done between the last turn and the end. An event that ends because
//! the whole audience is shut down is reported too, by the process that ends last.
//!
//! Invariant: what an event came to is told to the log, whatever becomes of the file.

use crate::collections::key::Key as _;
use crate::log;
use crate::meter::{Ending, MemberId, Output};
use crate::reports::ReportFile;
use crate::server::turn::Server;
use crate::wire::stats;

/// How many times the bus is listened to before the end: as much as its buffer holds.
const LISTENS_MAX: usize = 1_000;

/// Tells the log what an event came to, and the file.
pub(in crate::server) fn write_down(ending: &Ending, reports: Option<&mut ReportFile>) {
    let mut line = Vec::with_capacity(512);
    stats::push_ending(&mut line, ending);
    log::info(format_args!("event=ended report={}", str::from_utf8(&line).unwrap_or_default().trim_ascii_end()));
    if let Some(reports) = reports {
        reports.push(line);
    }
}

impl Server {
    /// What is left to do before the process ends: the others are to know at once, not after the timeout.
    pub(in crate::server) fn say_goodbye(&mut self) {
        let now = self.reactor.now();
        // Who is there still, for it was told twice to end, leaves now: how long they stayed is known.
        for member in (0..self.conns.place_count()).filter_map(MemberId::from_index) {
            self.service.meter.leave(member, now);
        }
        self.service.meter.say_goodbye(now);
        while let Some(output) = self.service.meter.poll_output() {
            match output {
                Output::Send(datagram) => self.bus.send(&datagram),
                Output::Ended(ending) => write_down(&ending, self.reports.as_mut()),
                _ => {}
            }
        }
    }

    /// Reports the events that end with this process, if it is the last one.
    pub(in crate::server) fn write_last_reports(&mut self) {
        let now = self.reactor.now();
        for _ in 0..LISTENS_MAX {
            if self.bus.receive(&mut self.service.meter, now) {
                break;
            }
        }
        for ending in self.service.meter.last_endings(now) {
            write_down(&ending, self.reports.as_mut());
            if let Some(reports) = &mut self.reports {
                reports.write(now.tick);
            }
        }
        let Some(reports) = &mut self.reports else { return };
        // A process that ends has no later turn: who has the lock has it for a moment only.
        let mut at = now.tick;
        for _ in 0..LAST_TRIES {
            let Some(next) = reports.next_deadline() else { break };
            at = at.max(next);
            reports.write(at);
        }
        if reports.unwritten() > 0 {
            log::warn(format_args!("event=reports_lost number={}", reports.unwritten()));
        }
    }
}

/// How often a line is tried to be written at the end.
const LAST_TRIES: usize = 1_000;
