//! The pages of the stats port about the cluster and this process.
//!
//! Owns what each page says, from the view that `figures` has of the process. The JSON is small, so each page is a value that
//! is written in one go, its members in the order of their names. What is reported of namespaces is long, and written in
//! pieces (`cursor`).
//!
//! Invariant: on the page of the metrics, this process's counters are the ones that it has announced.

use std::rc::Rc;

use crate::collections::order::in_order;
use crate::collections::tick::Tick;
use crate::meter::NodeFigures;
use crate::meter::news::NodeId;
use crate::server::figures::announced::Announced;
use crate::server::figures::audience;
use crate::server::figures::metrics::Metrics;
use crate::server::figures::page::{Page as MetricsPage, Row};
use crate::server::figures::tally::NoRoom;
use crate::server::figures::view::View;
use crate::wire::handover::Supervision;
use crate::wire::json::Value;

/// The page of the cluster: which nodes are there, silent or draining, and what became of the datagrams.
pub(super) fn cluster(view: &View<'_>) -> Vec<u8> {
    let (meter, datagrams) = (view.meter, &view.datagrams);
    let others: Vec<NodeFigures> = meter.nodes(view.now).collect();
    let silent: Vec<&NodeFigures> = others.iter().filter(|node| view.is_silent(node)).collect();
    let draining = draining_nodes(view);
    let own = NodeFigures { node: meter.node(), members: meter.own_member_count(), silent_ms: 0 };
    let members = std::iter::once(&own).chain(&others).map(|node| {
        Value::object([
            ("draining", Value::from(draining.binary_search(&node.node).is_ok())),
            ("members", node.members.into()),
            ("node", node.node.to_string().into()),
            ("silent_ms", node.silent_ms.into()),
        ])
    });
    let datagrams = Value::object([
        ("bytes_received", Value::from(datagrams.bytes_received)),
        ("bytes_sent", datagrams.bytes_sent.into()),
        ("dropped", Value::numbers(datagrams.dropped.occurred())),
        ("overflowed", datagrams.overflowed.into()),
        ("received", datagrams.received.into()),
        ("send_errors", datagrams.send_errors.into()),
        ("sent", datagrams.sent.into()),
    ]);
    let troubles = view.troubles.lasting().map(|(kind, example)| {
        let source = example.source.as_ref();
        Value::object([
            ("address", source.map_or(Value::Null, |source| source.place.to_string().into())),
            ("count", example.count.into()),
            ("kind", kind.name().to_owned().into()),
            ("node", source.and_then(|source| source.node).map_or(Value::Null, |node| node.to_string().into())),
            ("remedy", kind.remedy().to_owned().into()),
            ("since_s", example.since_s(view.now).into()),
            ("skew_ms", source.and_then(|source| source.skew_ms).map_or(Value::Null, Value::from)),
        ])
    });
    let silent_members: u64 = silent.iter().map(|node| node.members).sum();
    line(&Value::object([
        ("datagrams", datagrams),
        ("members", members.collect()),
        ("node", meter.node().to_string().into()),
        ("nodes", (others.len() as u64 + 1).into()),
        ("silent", Value::numbers([("members", silent_members), ("nodes", silent.len() as u64)])),
        ("troubles", troubles.collect()),
    ]))
}

/// The nodes that are letting their members go, this one included; in their order.
fn draining_nodes(view: &View<'_>) -> Vec<NodeId> {
    let others = view.meter.counters().filter(|(_, counters)| Metrics::are_draining(counters));
    let own = Some(view.meter.node()).filter(|_| view.is_draining);
    in_order(others.map(|(node, _)| node).chain(own).collect())
}

/// The page of this process: how full it is, why connections ended, and how long its turns were.
pub(super) fn process(metrics: &Metrics, view: &View<'_>) -> Vec<u8> {
    let (meter, connections, turns) = (view.meter, &view.connections, view.turns);
    let closed: Vec<(&'static str, u64)> = in_order(metrics.closed(view).collect());
    let refused = NoRoom::NAMES.into_iter().zip(view.tally.refusal_counts());
    let turns = [&turns.wall, &turns.cpu].map(|turns| {
        let histogram = turns.buckets().map(|(below_us, turns)| {
            Value::object([("below_us", below_us.map_or(Value::Null, Value::from)), ("turns", turns.into())])
        });
        Value::object([
            ("count", Value::from(turns.count())),
            ("histogram", histogram.collect()),
            ("longest_us", turns.longest_us().into()),
        ])
    });
    let [turns, turns_cpu] = turns;
    let supervisor = view.supervision.map(|Supervision { restarts, posts_empty }| {
        ("supervisor", Value::numbers([("posts_empty", posts_empty), ("restarts", restarts)]))
    });
    let head = [
        ("audience_port", Value::from(u64::from(view.audience_port))),
        ("closed", Value::numbers(closed)),
        ("members", meter.own_member_count().into()),
        ("node", meter.node().to_string().into()),
        ("open", (connections.open_count() as u64).into()),
        ("pid", u64::from(std::process::id()).into()),
        ("refused", Value::numbers([("heads", connections.heads_refused)].into_iter().chain(refused))),
    ];
    let rest = [
        ("turns", turns),
        ("turns_cpu", turns_cpu),
        ("uptime_s", (view.now.tick.ms_since(Tick(0)) / 1000).into()),
        ("watchers", (view.watcher_count as u64).into()),
    ];
    line(&Value::Object(head.into_iter().chain(supervisor).chain(rest).collect()))
}

/// The metrics of the processes behind the stats port, and before them, in `out`, those of the whole audience.
pub(super) fn metrics(
    metrics: &'static Metrics,
    view: &View<'_>,
    announced: &mut Announced,
    out: &mut String,
) -> MetricsPage {
    let meter = view.meter;
    let others = meter.nodes(view.now).zip(meter.counters());
    let others = others
        .filter_map(|(figures, (node, counters))| Row::of(node, figures.silent_ms, Rc::clone(counters), view.target));
    let others: Vec<Row> = others.collect();
    let own = announced.for_answer(metrics.sample(view), others.is_empty());
    audience::push(out, view);
    let own = Row::of(meter.node(), 0, own, view.target);
    MetricsPage::new(metrics, own.into_iter().chain(others).collect())
}

/// A value, and the end of its line.
fn line(value: &Value) -> Vec<u8> {
    let mut line = Vec::new();
    value.push(&mut line);
    line.push(b'\n');
    line
}
