//! What the operator decided about the cluster.
//!
//! Owns the rules and their defaults, with the pace of heartbeats that follows from them.

use std::time::Duration;

use crate::meter::news::{Formats, Secret};

/// How many heartbeats fit into the node timeout, at least. With 30 % loss, one in 170,000 nodes is taken for gone wrongly.
const HEARTBEATS_PER_TIMEOUT: u32 = 10;

/// How many departed nodes a node learns of from others, for each that it remembers by itself before it folds: a newcomer
/// learns of all that a fleet has not come to fold.
const LEARNED_PER_SINGLE: usize = 4;

/// The first sign of life after an announcement comes after this, the next ones after twice the time each, until they are
/// heartbeats: a peer that has missed the last news finds out soon.
pub(super) const ALIVE_GAP_MIN: Duration = Duration::from_millis(50);

/// Changes are gathered for this long per living node, and for [`ALIVE_GAP_MIN`] at least. So all nodes together announce
/// something 200 times a second at most. With up to ten nodes, each knows of every change after 50 ms.
const GATHERING_PER_NODE: Duration = Duration::from_millis(5);

/// What the operator decided about the cluster.
#[derive(Clone, Copy, Debug)]
pub struct ClusterRules {
    /// How long changes are gathered at most, after an announcement.
    pub notify_interval: Duration,
    /// How long a node may be silent before its members are removed.
    pub node_timeout: Duration,
    /// How often a node that knows of no other shows that it is there.
    pub lone_interval: Duration,
    /// The most other nodes.
    pub nodes_max: usize,
    /// The most namespaces that one other node may announce.
    pub namespaces_max: usize,
    /// How many namespaces one turn looks at to take the members of a departed node off their counts: at 0.05 us, or 0.4 us
    /// for one that had members of it, 0.1 ms.
    pub removals_per_turn: usize,
    /// How many departed nodes are remembered each by itself. When there are more, the oldest become part of one sum.
    pub fold_above: usize,
    /// How many of them, the youngest, stay by themselves then: what only one side of a cut network knows has not become part
    /// of a sum while no more than these have departed on either side.
    pub fold_keep: usize,
}

/// What makes a node one of many.
#[derive(Clone, Copy)]
pub struct Membership {
    /// What the operator decided.
    pub rules: ClusterRules,
    /// What this process alone knows.
    pub secret: Secret,
    /// The versions of the format that it writes and reads.
    pub formats: Formats,
}

impl Membership {
    /// That of a node which knows no way to others, and so shows nothing to any.
    pub(super) fn of_none() -> Self {
        Self { rules: ClusterRules::default(), secret: Secret([0; 2]), formats: Formats { oldest: 0, newest: 0 } }
    }
}

impl Default for ClusterRules {
    fn default() -> Self {
        Self {
            notify_interval: Duration::from_secs(2),
            node_timeout: Duration::from_secs(5),
            lone_interval: Duration::from_secs(30),
            nodes_max: 256,
            namespaces_max: 1_000_000,
            removals_per_turn: 2048,
            fold_above: 1024,
            fold_keep: 512,
        }
    }
}

impl ClusterRules {
    /// The most departed nodes that are learned of from others.
    pub(super) fn departed_max(&self) -> usize {
        self.fold_above.saturating_mul(LEARNED_PER_SINGLE)
    }

    pub(super) fn heartbeat(&self) -> Duration {
        self.notify_interval.min(self.node_timeout / HEARTBEATS_PER_TIMEOUT)
    }

    /// How long changes are gathered, now that some were announced, with this number of other nodes.
    pub(super) fn gathering_time(&self, node_count: usize) -> Duration {
        let node_count = u32::try_from(node_count).unwrap_or(u32::MAX);
        GATHERING_PER_NODE.saturating_mul(node_count).max(ALIVE_GAP_MIN).min(self.notify_interval)
    }
}
