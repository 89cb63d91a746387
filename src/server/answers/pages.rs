//! The pages of the stats port about the cluster and this process.
//!
//! Owns what each page says, from the view that `figures` has of the process. The JSON is small, so each page is a value that
//! is written in one go, its members in the order of their names. What is reported of namespaces is long, and written in
//! pieces (`cursor`).
//!
//! Invariant: on the page of the metrics, this node's counters are the ones that it has announced.

use std::collections::{BTreeMap, BTreeSet};

use crate::collections::tick::Tick;
use crate::meter::NodeFigures;
use crate::meter::news::NodeId;
use crate::server::figures::announced::Announced;
use crate::server::figures::metrics::Metrics;
use crate::server::figures::tally::NoRoom;
use crate::server::figures::view::View;
use crate::wire::json::{Value, json};

/// The page of the cluster: which nodes are there, silent or draining, and what became of the datagrams.
pub(super) fn cluster(metrics: &Metrics, view: &View<'_>) -> Vec<u8> {
    let (meter, datagrams) = (view.meter, &view.datagrams);
    let others: Vec<NodeFigures> = meter.nodes(view.now).collect();
    let silent: Vec<&NodeFigures> = others.iter().filter(|node| view.is_silent(node)).collect();
    let draining = draining_nodes(metrics, view);
    let own = NodeFigures { node: meter.node(), members: meter.own_members(), silent_ms: 0 };
    let members = std::iter::once(&own).chain(&others).map(|node| {
        json!({
            "draining": draining.contains(&node.node),
            "members": node.members,
            "node": node.node.to_string(),
            "silent_ms": node.silent_ms,
        })
    });
    line(&json!({
        "datagrams": {
            "bytes_received": datagrams.bytes_received,
            "bytes_sent": datagrams.bytes_sent,
            "dropped": datagrams.dropped,
            "overflowed": datagrams.overflowed,
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

/// The nodes that are letting their members go, this one included.
fn draining_nodes(metrics: &Metrics, view: &View<'_>) -> BTreeSet<NodeId> {
    let others = view.meter.counters().filter(|(_, counters)| metrics.are_draining(counters));
    let own = Some(view.meter.node()).filter(|_| view.is_draining);
    others.map(|(node, _)| node).chain(own).collect()
}

/// The page of this process: how full it is, why connections ended, and how long its turns were.
pub(super) fn process(metrics: &Metrics, view: &View<'_>) -> Vec<u8> {
    let (meter, connections, turns) = (view.meter, &view.connections, view.turns);
    let closed: BTreeMap<&str, u64> = metrics.closed(view).collect();
    let heads = [("heads", connections.heads_refused)];
    let refused: BTreeMap<&str, u64> =
        NoRoom::NAMES.into_iter().zip(view.tally.refusal_counts()).chain(heads).collect();
    let histogram = turns.buckets().map(|(below_us, turns)| json!({ "below_us": below_us, "turns": turns }));
    line(&json!({
        "audience_port": view.audience_port,
        "closed": closed,
        "members": meter.own_members(),
        "node": meter.node().to_string(),
        "open": connections.open_count(),
        "pid": std::process::id(),
        "refused": refused,
        "turns": {
            "count": turns.count(),
            "histogram": histogram.collect::<Value>(),
            "longest_us": turns.longest_us(),
        },
        "uptime_s": view.now.tick.ms_since(Tick(0)) / 1000,
        "watchers": view.watcher_count,
    }))
}

/// The metrics of all nodes, without those of namespaces.
pub(super) fn of_nodes(metrics: &Metrics, view: &View<'_>, announced: &mut Announced) -> String {
    let meter = view.meter;
    let own = announced.for_answer(metrics.sample(view), meter.counters().next().is_none());
    let all: Vec<(NodeId, &[u64])> = [(meter.node(), own.as_slice())].into_iter().chain(meter.counters()).collect();
    let mut text = String::new();
    metrics.push_nodes(&mut text, &all);
    text
}

/// A value, and the end of its line.
fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}
