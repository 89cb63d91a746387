//! A broker that is away for a while, and the time until all daemons are whole again.
//!
//! Owns the course of an outage. A member joins each daemon meanwhile, so all of them have to learn from all others before they
//! are whole.

use std::time::Duration;

use super::nodes::Nodes;
use crate::figures::Figure;
use crate::pages::ClusterPage;
use crate::{Result, now};

/// How long the broker is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// It is started again at once.
    Short,
    /// It is started again when all daemons have taken each other for departed, so all is learnt anew.
    Long,
}

impl Length {
    fn names(self) -> [&'static str; 3] {
        match self {
            Self::Short => [
                "broker restarted: all nodes reach it after",
                "broker restarted: all nodes are whole after",
                "broker restarted: of that, since the last reached it",
            ],
            Self::Long => [
                "broker long away: all nodes reach it after",
                "broker long away: all nodes are whole after",
                "broker long away: of that, since the last reached it",
            ],
        }
    }
}

/// Has the broker end and come back; times are counted from when it listens again. Without a broker, there are no figures.
pub(super) fn measure(nodes: &mut Nodes<'_>, length: Length) -> Result<Vec<Figure>> {
    nodes.show("broker away");
    let Some(broker) = nodes.broker() else { return Ok(Vec::new()) };
    broker.kill();
    nodes.await_pages("a daemon does not miss the broker", ClusterPage::is_broker_away)?;
    let members = nodes.daemons.len();
    let mut crowd = nodes.crowd(vec![format!("{length:?}")], 0)?;
    for place in 0..members {
        crowd.join(place, 0)?;
    }
    crowd.listen(Duration::from_millis(100))?;
    nodes.truth.namespaces += 1;
    nodes.truth.members = members as u64;
    nodes.truth.connections += members as u64;
    if length == Length::Long {
        nodes.await_pages("a daemon does not take the others for departed", |page| page.nodes == 1)?;
    }
    let figures = time_return(nodes, length)?;
    nodes.truth.members = 0;
    Ok(figures.into())
}

fn time_return(nodes: &mut Nodes<'_>, length: Length) -> Result<[Figure; 3]> {
    nodes.show("broker comes back");
    nodes.broker().ok_or("there is no broker")?.start_again();
    let start = now();
    nodes.await_pages("a daemon does not reach the broker again", |page| !page.is_broker_away())?;
    let reached = now() - start;
    let (count, members) = (nodes.daemons.len() as u64, nodes.truth.members);
    nodes.await_pages("a daemon is not whole again", |page| page.nodes == count && page.member_count() == members)?;
    let mut whole = now() - start;
    // The sums of members are right; where the stats are not, they are what is waited for.
    if !nodes.agree()? {
        nodes.await_truth("broker away")?;
        whole = now() - start;
    }
    let [reached_name, whole_name, since_name] = length.names();
    Ok([
        Figure::time(reached_name, Some(reached)),
        Figure::time(whole_name, Some(whole)),
        Figure::time(since_name, Some(whole.saturating_sub(reached))),
    ])
}
