//! The JSON of the stats port that is about the process and the cluster.
//!
//! Owns the form of these pages. They are small, so each is a value that is written in one go; members come in the order of
//! their names. What is reported of namespaces is long, and written in pieces (`cursor`).

use std::collections::{BTreeMap, BTreeSet};

use crate::collections::tick::{Now, Tick};
use crate::meter::NodeFigures;
use crate::meter::news::NodeId;
use crate::server::conns::close_reason::CloseReason;
use crate::server::figures::{View, metrics};
use crate::wire::json::{Value, json};

/// What an operator wants to know of the cluster: the nodes that are there, those that may not be or are about to go, and what
/// became of the datagrams.
pub(super) fn cluster(view: &View<'_>, now: Now) -> Vec<u8> {
    let (meter, process) = (view.audience.meter, view.process);
    let others_drain =
        meter.counters().filter(|(_, counters)| metrics::are_of_draining(counters)).map(|(node, _)| node);
    let own_drains = Some(meter.node()).filter(|_| process.is_draining);
    let draining: BTreeSet<NodeId> = others_drain.chain(own_drains).collect();
    let others: Vec<NodeFigures> = meter.nodes(now).collect();
    let silent: Vec<&NodeFigures> = others.iter().filter(|node| view.is_silent(node)).collect();
    let own = NodeFigures { node: meter.node(), members: meter.own_members(), silent_ms: 0 };
    let members = std::iter::once(&own).chain(&others).map(|node| {
        json!({
            "draining": draining.contains(&node.node),
            "members": node.members,
            "node": node.node.to_string(),
            "silent_ms": node.silent_ms,
        })
    });
    let datagrams = process.datagrams;
    line(&json!({
        "datagrams": {
            "bytes_received": datagrams.bytes_received,
            "bytes_sent": datagrams.bytes_sent,
            "dropped": datagrams.dropped,
            "overflowed": (process.overflowed)(),
            "received": datagrams.received,
            "send_errors": datagrams.send_errors,
            "sent": datagrams.sent,
        },
        "members": members.collect::<Value>(),
        "node": meter.node().to_string(),
        "nodes": others.len() + 1,
        "silent": {
            "members": silent.iter().map(|node| node.members).sum::<u64>(),
            "nodes": silent.len(),
        },
    }))
}

/// What an operator wants to know of this process: how full it is, why connections ended, and how long it keeps others
/// waiting.
pub(super) fn process(view: &View<'_>, audience_port: u16, now: Now) -> Vec<u8> {
    let (audience, process) = (&view.audience, view.process);
    let closed: BTreeMap<&str, u64> = CloseReason::NAMES.into_iter().zip(process.closed.iter().copied()).collect();
    let histogram = process.turns.buckets().map(|(below_us, turns)| json!({ "below_us": below_us, "turns": turns }));
    line(&json!({
        "audience_port": audience_port,
        "closed": closed,
        "members": audience.meter.own_members(),
        "node": audience.meter.node().to_string(),
        "open": view.open_count(),
        "pid": std::process::id(),
        "refused": {
            "heads": process.heads_refused,
            "members": audience.turned_away.members,
            "namespaces": audience.turned_away.namespaces,
            "watchers": audience.turned_away.watchers,
        },
        "turns": {
            "count": process.turns.count(),
            "histogram": histogram.collect::<Value>(),
            "longest_us": process.turns.longest_us(),
        },
        "uptime_s": now.tick.ms_since(Tick(0)) / 1000,
        "watchers": audience.watcher_count,
    }))
}

/// A value, and the end of its line.
fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}
