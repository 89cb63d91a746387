//! Last words: of events that are over, and of the process.
//!
//! Owns what is written down of an event, and what is done between the last turn and the end. An event that ends because
//! the whole audience is shut down is reported too, by the process that ends last.
//!
//! Invariant: what an event came to is logged, whatever becomes of the file.

use crate::collections::key::Key as _;
use crate::collections::tick::Now;
use crate::log::{self, Value::Json};
use crate::meter::{Ending, MemberId, Meter, Output};
use crate::reports::ReportFile;
use crate::server::bus::Bus;
use crate::wire::stats;

/// Most times that the bus is read before the end: its buffer holds no more.
const RECEIVES_MAX: usize = 1_000;

/// Most times that the lines which are left are tried to be written at the end.
const LAST_TRIES: usize = 1_000;

/// Writes what an event came to into the log, and into the file.
pub(in crate::server) fn write_down(ending: &Ending, reports: Option<&mut ReportFile>) {
    let mut line = Vec::with_capacity(512);
    stats::push_ending(&mut line, ending);
    log::info("ended", &[("report", Json(str::from_utf8(&line).unwrap_or_default().trim_ascii_end()))]);
    if let Some(reports) = reports {
        reports.push(line);
    }
}

/// Announces that this node departs: the others shall know at once, not after the timeout.
///
/// Members that are still there, because a second signal has ended the process early, leave now: how long they stayed is
/// known. All of them have keys with an index below `place_count`.
pub(in crate::server) fn depart(
    meter: &mut Meter,
    place_count: usize,
    bus: &mut Bus,
    mut reports: Option<&mut ReportFile>,
    now: Now,
) {
    for member in (0..place_count).filter_map(MemberId::from_index) {
        meter.leave(member, now);
    }
    meter.announce_departure(now);
    while let Some(output) = meter.poll_output() {
        match output {
            Output::Send(to, datagram) => bus.send(to, &datagram, meter.learned_addresses(), now),
            Output::Ended(ending) => write_down(&ending, reports.as_deref_mut()),
            _ => {}
        }
    }
}

/// Reports the events that end with this process, if it is the last one.
pub(in crate::server) fn write_last_reports(
    meter: &mut Meter,
    bus: &mut Bus,
    mut reports: Option<&mut ReportFile>,
    now: Now,
) {
    for _ in 0..RECEIVES_MAX {
        if bus.receive(meter, now) {
            break;
        }
    }
    for ending in meter.last_endings(now) {
        write_down(&ending, reports.as_deref_mut());
        if let Some(reports) = &mut reports {
            reports.write(now.tick);
        }
    }
    let Some(reports) = reports else { return };
    // A process that ends has no later turn: another process has the lock for a moment only.
    let mut at = now.tick;
    for _ in 0..LAST_TRIES {
        let Some(next) = reports.next_deadline() else { break };
        at = at.max(next);
        reports.write(at);
    }
    if reports.unwritten() > 0 {
        log::warn("reports_lost", &[("number", reports.unwritten().into())]);
    }
}
