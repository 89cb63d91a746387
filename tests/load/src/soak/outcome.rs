//! The figures of a run, and what is said of it while it goes on.
//!
//! Owns the words. It changes nothing, and judges nothing.

use super::Soak;
use super::network::Network;
use crate::daemon::Daemon;
use crate::figures::Figure;
use crate::{Result, now, progress, say};

/// The place in the run.
pub(super) fn label(soak: &Soak<'_>) -> String {
    format!("{} s, round {}, {}", soak.start.elapsed().as_secs(), soak.round, soak.phase)
}

/// The connections that the daemons have closed, by the reason, for the error of a run.
pub(super) fn closings(soak: &Soak<'_>) -> String {
    let of = |(number, daemon): (usize, &Daemon)| {
        let closed = daemon.process_page().map(|page| page.closed).unwrap_or_default();
        format!("; daemon {number} has closed {closed:?}")
    };
    soak.nodes.up().map(of).collect()
}

/// Shows on a terminal what is being done, and writes a line of it once in a while.
pub(super) fn show(soak: &mut Soak<'_>) {
    let (moment, label) = (now(), label(soak));
    let up = soak.nodes.up().count();
    if moment - soak.shown_at > super::REST {
        soak.shown_at = moment;
        progress(&format!("{label}: {} members, {up} daemons up", soak.churn.member_count()));
    }
    if moment - soak.written_at > super::PROGRESS {
        soak.written_at = moment;
        progress("");
        let (joins, reports, passed) = (soak.churn.happened.joins, soak.churn.reports.line_count, soak.passed_count);
        say(format_args!("{label}: {joins} joins, {reports} reports, {passed} checks passed"));
        if let Some((_, bytes)) = soak.nodes.empty_bytes() {
            say(format_args!(", {bytes} B without members"));
        }
        say(format_args!("\n"));
    }
}

/// All figures of the run.
pub(super) fn figures(soak: &Soak<'_>) -> Result<Vec<Figure>> {
    progress("");
    let number = |name, number| Figure::number(name, Some(number));
    let bytes = |name, bytes| Figure::bytes(name, bytes, 1);
    let (happened, befallen, reports) = (&soak.churn.happened, &soak.nodes.befallen, &soak.churn.reports);
    let (warnings, log_bytes) = soak.nodes.logged();
    let open = soak.nodes.processes().map(|(_, process)| process.descriptor_count());
    let open = open.collect::<Result<Vec<u64>>>()?;
    let around = &soak.surroundings;
    Ok(vec![
        number("seconds", soak.start.elapsed().as_secs()),
        number("joins", happened.joins),
        number("leaves", happened.leaves),
        number("resets", happened.resets),
        number("half heads", happened.halves),
        number("events of storms", happened.stormed),
        number("members whose uuid was claimed anew or given up", happened.dismissed),
        number("pages that said that they leave", happened.farewells),
        number("streams and connections that ended with their daemon", happened.cut),
        number("daemons killed", befallen.kills),
        number("daemons stopped for longer than the node timeout", befallen.stops),
        number("daemons restarted", befallen.restarts),
        number("times that the disk was full", around.full_count),
        number("times that the interfaces were made anew", around.cut_count),
        number("keys replaced", around.secrets.replaced_count()),
        number("warnings that daemons logged", warnings),
        Figure::number("datagrams lost", around.network.as_ref().map(Network::lost).transpose()?),
        number("messages sent", soak.messages.sent_count),
        number("messages delivered", soak.messages.delivered_count),
        number("messages received", soak.churn.received.messages),
        number("counts received", soak.churn.received.firsts + soak.churn.received.counts),
        number("streams that watched", soak.watching.opened_count),
        number("totals that they received", soak.watching.updates),
        number("pages read", soak.scrapes.read_count),
        number("pages that were not read to their end", soak.scrapes.late_count),
        number("reports of events", reports.line_count),
        number("events with one report, and every join in it", reports.exact_count),
        number("events in a fault with a later report", reports.repeated_count),
        number("events whose report went with a daemon", reports.lost_count),
        number("checks passed", soak.passed_count),
        Figure::time("all numbers exact after, at most", Some(soak.slowest)),
        bytes("user-space memory of the first daemon: at its start", Some(soak.before.bytes)),
        bytes("without members for the first time", soak.nodes.empty_bytes().map(|(first, _)| first)),
        bytes("without members in the end", soak.nodes.empty_bytes().map(|(_, last)| last)),
        number("descriptors of a daemon: at its start", soak.before.descriptors),
        Figure::number("descriptors in the end, the most", open.into_iter().max()),
        number("timers of a daemon at its start", soak.before.timers),
        bytes("log of all daemons, a second", Some(log_bytes / soak.start.elapsed().as_secs().max(1))),
    ])
}
