//! What a node remembers of each namespace of each other node, in bytes.
//!
//! Owns other nodes that exist as datagrams alone. A meter receives the same names from one after the other, so the growth
//! of this process is the meter's. Nothing is sent.
//!
//! The first nodes are not measured: they bring the names, and fill the holes that the growth of tables has left in the
//! heap. For the same reason the measurement comes first in the life of the process.

use std::time::Duration;

use audience_meter::collections::tick::{Now, Tick};
use audience_meter::meter::news::{
    Age, Alive, Ask, Count, Datagram, Echo, Format, Item, News, NodeId, Origin, Peak, Secret, Sums,
};
use audience_meter::meter::{ClusterRules, Membership, Meter, NotifyRule, Output, Rejection, Rules};

use audience_meter::wire::report::FORMATS;

use super::Result;
use super::process::Process;

/// How many nodes report, the measured ones after the others.
const NODES_BEFORE: u64 = 4;
const NODES_MEASURED: u64 = 8;

/// The items of one report: about as many as fit into a datagram.
const ITEMS_PER_REPORT: usize = 50;

const NOW: Now = Now { tick: Tick(1000), unix_ms: 1_700_000_000_000 };

/// What the measured nodes have cost, and how many pairs of a node and a namespace they were.
pub(super) fn measure(namespaces: usize) -> Result<(u64, u64)> {
    let names: Vec<String> = (0..namespaces).map(|number| format!("bench{number}")).collect();
    let rules = Rules {
        notify: NotifyRule {
            delta_ratio: 0.1,
            min_delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(25),
            budget: None,
        },
        increment_delay: Duration::ZERO,
        leave_delay: Duration::ZERO,
        namespace_clean_delay: Duration::from_hours(1),
        namespaces_max: usize::MAX,
    };
    let cluster = ClusterRules { namespaces_max: namespaces, ..ClusterRules::default() };
    let mut meter =
        Meter::new(rules, NodeId(0), Some(Membership { rules: cluster, secret: Secret([0; 2]), formats: FORMATS }));
    let process = Process::new(std::process::id());
    let mut before = 0;
    for node in 1..=NODES_BEFORE + NODES_MEASURED {
        report(&mut meter, NodeId(node), &names)?;
        if node == NODES_BEFORE {
            before = process.anonymous_bytes()?;
        }
    }
    let grown = process.anonymous_bytes()?.saturating_sub(before);
    let is_known = |(_, namespace): (_, &audience_meter::meter::Namespace)| {
        namespace.connections() == NODES_BEFORE + NODES_MEASURED
    };
    let known = meter.namespaces().iter().filter(|&entry| is_known(entry)).count();
    if known != namespaces {
        return Err(format!("memory: a meter knows {known} names in full, and has received {namespaces}").into());
    }
    Ok((grown, NODES_MEASURED * namespaces as u64))
}

/// A node shows that it is there, and reports that one member has joined each of the names and left.
fn report(meter: &mut Meter, node: NodeId, names: &[String]) -> Result<()> {
    let asker = meter.node();
    let version = names.len() as u64;
    let mut number = 0;
    let mut receive = |meter: &mut Meter, news: News<&str>| {
        number += 1;
        let received = meter.receive(
            &Datagram {
                sender: node,
                number,
                clock: number,
                format: Format { written: FORMATS.oldest, newest: FORMATS.newest },
                news,
            },
            Origin::Loopback,
            NOW,
        );
        match received {
            Ok(()) | Err(Rejection::Unproven) => Ok(()),
            Err(rejection) => Err(format!("memory: a datagram is rejected: {rejection:?}")),
        }
    };
    let alive = |echo| News::Alive(Alive { version, echo, ..Alive::default() });
    receive(meter, alive(None))?;
    let nonce = std::iter::from_fn(|| meter.poll_output()).find_map(|output| match output {
        Output::Send(_, Datagram { news: News::Ask(Ask { of, nonce, .. }), .. }) if of == Some(node) => Some(nonce),
        _ => None,
    });
    let nonce = nonce.ok_or("memory: a node that is new is not asked")?;
    receive(meter, alive(Some(Echo { asker, nonce })))?;
    let mut from = 0;
    for part in names.chunks(ITEMS_PER_REPORT) {
        let to = from + part.len() as u64;
        let age = Age { existed_ms: 0, empty_ms: 0 };
        let mut sums = Sums { connections: 1, member_ticks: 1_000, ..Sums::default() };
        sums.stays[4] = 1;
        let peak = Peak { members: 1, ago_ms: 0 };
        let count = |namespace| Item::Count(Count { namespace, members: 0, uncounted: 0, waiting: 0, sums, age, peak });
        let items = part.iter().map(|name| count(name.as_str())).collect();
        receive(meter, News::Report { from, to, horizon: 0, name: 0, items })?;
        while meter.poll_output().is_some() {}
        from = to;
    }
    Ok(())
}
