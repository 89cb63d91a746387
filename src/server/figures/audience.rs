//! Figures of the whole audience.
//!
//! Owns their table. Each target answers with them for all hosts, so they have no label of a process, and the same name at
//! all targets: they are for `max`, and a sum counts each member once for each target.

use std::fmt::Write as _;

use crate::server::figures::exposition::{PREFIX, push_head};
use crate::server::figures::family::Kind;
use crate::server::figures::view::View;

/// A name, its help, and how the figure is read.
type Figure = (&'static str, &'static str, fn(&View<'_>) -> u64);

const FIGURES: [Figure; 4] = [
    ("audience_members", "Members of the whole audience, at all hosts (max over targets, no sum).", |view| {
        view.meter.own_member_count() + view.meter.nodes(view.now).map(|node| node.members).sum::<u64>()
    }),
    ("audience_namespaces", "Namespaces of the whole audience (max over targets, no sum).", |view| {
        view.meter.namespaces().len() as u64
    }),
    ("audience_nodes", "Processes of the whole audience, at all hosts (max over targets, no sum).", |view| {
        view.meter.nodes(view.now).count() as u64 + 1
    }),
    (
        "audience_silent_nodes",
        "Processes of the whole audience without a datagram for a while (max over targets, no sum).",
        |view| view.meter.nodes(view.now).filter(|node| view.is_silent(node)).count() as u64,
    ),
];

/// Appends them.
pub(in crate::server) fn push(out: &mut String, view: &View<'_>) {
    for (name, help, of) in FIGURES {
        push_head(out, name, Kind::Gauge, help);
        // Writing to a string does not fail.
        let _ = writeln!(out, "{PREFIX}{name} {}", of(view));
    }
}
