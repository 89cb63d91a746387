//! What a world begins with: the rules of its meters, its nodes, its weather, and how it ends.
//!
//! Owns the first fifteen bytes of a script, the head. Each is a pick of a list:
//!
//! | byte | what | 0 | further |
//! |---|---|---|---|
//! | 0 | delays between counts, least and most | 2 s, 25 s | 0 and 100 ms; 50 and 20 ms; 30 ms and 1 s; 500 ms and 25 s |
//! | 1 | delays before a member counts and an event is forgotten | 0, 60 s | 0, 0; 100 ms, 1 s; 1 s, 100 ms; 0, 2 min; 0, 20 s |
//! | 2 | share of a count that is a change | 0.1 | 0.5 |
//! | 3 | nodes | one without a cluster | as many, up to 8 |
//! | 4 | end | [`End::Open`] | the others, in their order |
//! | 5 | datagrams that are lost | the script delivers | 0 %, 5 %, 15 %, 30 % |
//! | 6, 7 | doubled; delayed at most | 0 % | 5 %, 20 %; 1, 3, 15 ticks |
//! | 8 | namespaces that one turn takes off the counts of a departed node | 2048 | 3, 1 |
//! | 9 | key and twice the network | none, [`Kind::Loopback`] | one; the other kinds, in their order |
//! | 10 | bits: clocks, adversary, versions, fold, room | all right, none, this one, as the daemon, for all namespaces | each off by up to 2 s; one that sees all, or names without a key; a later one too; from six departed nodes on; for three |
//! | 11-14 | chance, 6 bits each | names and clocks are plain numbers | |

use std::time::Duration;

use super::adversary::Sight;
use super::network::Kind;
use super::script::Script;
use audience_meter::meter::{ClusterRules, NAME_MAX, NotifyRule, Rules};

/// As long as a name may be: few items fit into a datagram.
const LONG: &str = match str::from_utf8(&[b'n'; NAME_MAX]) {
    Ok(name) => name,
    Err(_) => panic!("it is ASCII"),
};

/// The namespaces of scripts.
pub(super) const NAMESPACES: [&str; 5] = ["a", "b", LONG, "__proto__", "caf%C3%A9"];

/// The uuids of scripts.
pub(super) const UUIDS: [&str; 3] = ["u", "v", LONG];

/// The networks of scripts.
const KINDS: [Kind; 5] =
    [Kind::Loopback, Kind::Group, Kind::Hosts { is_one_way: false }, Kind::Hosts { is_one_way: true }, Kind::Broker];

/// How long the node timeout is in scripts.
const NODE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many departed nodes make a world fold the oldest, and how many it keeps, where that comes early.
const FOLD_ABOVE: usize = 6;
const FOLD_KEEP: usize = 3;

/// How many namespaces a node has room for, where there is little.
const FEW_NAMESPACES: usize = 3;

/// What the network does to datagrams by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// How many of a hundred are lost.
    pub loss_percent: u64,
    /// How many of a hundred arrive twice.
    pub double_percent: u64,
    /// The most ticks that one takes; each draws its own, so they overtake each other.
    pub delay_ticks_max: u64,
}

/// What becomes of a world after its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stops where it is.
    Open,
    /// Nothing happens any more, and all nodes come to agree with the observer.
    Agree,
    /// All members have left, all events are forgotten, and each is reported by one node.
    Forget,
    /// All members have left, and all nodes end at once, in any order.
    Together,
}

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The rules of all meters.
    pub rules: Rules,
    /// The rules of the cluster; without them a node knows of no other.
    pub cluster: Option<ClusterRules>,
    /// How many nodes there are at the start.
    pub nodes: usize,
    /// How nodes reach each other.
    pub network: Kind,
    /// What happens to datagrams by itself; `None` leaves them to the script.
    pub weather: Option<Weather>,
    /// How the world ends.
    pub end: End,
    /// The key that datagrams carry.
    pub key: Option<Vec<u8>>,
    /// What the adversary sees, if there is one.
    pub adversary: Option<Sight>,
    /// Whether some nodes run a later version of the program.
    pub has_later_nodes: bool,
    /// Whether all wall clocks are right at the start: then claims are made in the same millisecond.
    pub has_one_clock: bool,
    /// What chance begins with; with 0, nodes are numbered and all clocks agree.
    pub chance: u64,
    /// The names of the namespaces.
    pub names: Vec<&'static str>,
    /// Whether each node keeps what its meter wants done, for [`Node::next_output`](super::Node::next_output).
    pub keeps_outputs: bool,
}

impl Setting {
    /// One node by the daemon's defaults, whose datagrams the caller delivers.
    pub fn one_node() -> Self {
        Self::read(&mut Script(b"0001"))
    }

    pub(super) fn read(script: &mut Script) -> Self {
        let mut rules = rules(script);
        let nodes = script.below(9);
        let end = script.pick(&[End::Open, End::Agree, End::Forget, End::Together]);
        let weather = weather(script);
        let departures_per_turn = script.pick(&[2048, 3, 1]);
        let ways = script.byte();
        let key = (ways & 1 != 0).then(|| b"the key of this audience".to_vec());
        let network = KINDS[usize::from(ways >> 1) % KINDS.len()];
        let extras = script.byte();
        let has_one_clock = extras & 1 == 0;
        let sight = if key.is_some() { Sight::All } else { Sight::Names };
        let adversary = (extras & 2 != 0).then_some(sight);
        let chance = (0..4).fold(0, |chance, _| chance << 6 | script.below(64) as u64);
        let mut cluster = ClusterRules {
            node_timeout: NODE_TIMEOUT,
            removals_per_turn: departures_per_turn,
            ..ClusterRules::default()
        };
        if extras & 8 != 0 {
            (cluster.fold_above, cluster.fold_keep) = (FOLD_ABOVE, FOLD_KEEP);
        }
        // As on a network that can be cut: a node that is alone calls out for others.
        cluster.lone_interval = Duration::from_millis(if weather.is_some() { 500 } else { 2_000 });
        // Where invented nodes speak, the limit is reached. Those that are there know each other.
        cluster.nodes_max = if weather.is_some() { cluster.nodes_max } else { 5.max(nodes + 1) };
        let cluster = (nodes > 0).then_some(cluster);
        // A node that forgets an event early may report it more than once.
        let has_little_room = extras & 16 != 0 && nodes > 0 && matches!(end, End::Open | End::Agree);
        if has_little_room {
            rules.namespaces_max = FEW_NAMESPACES;
        }
        let names = NAMESPACES.to_vec();
        let nodes = nodes.max(1);
        Self {
            rules,
            cluster,
            nodes,
            weather,
            end,
            key,
            has_one_clock,
            chance,
            names,
            network,
            adversary,
            has_later_nodes: extras & 4 != 0,
            keeps_outputs: false,
        }
    }
}

fn rules(script: &mut Script) -> Rules {
    let ms = Duration::from_millis;
    let (min_delay, max_delay) = script.pick(&[
        (ms(2_000), ms(25_000)),
        (ms(0), ms(100)),
        (ms(50), ms(20)),
        (ms(30), ms(1_000)),
        (ms(500), ms(25_000)),
    ]);
    let (increment_delay, namespace_clean_delay) = script.pick(&[
        (ms(0), ms(60_000)),
        (ms(0), ms(0)),
        (ms(100), ms(1_000)),
        (ms(1_000), ms(100)),
        (ms(0), ms(120_000)),
        (ms(0), ms(20_000)),
    ]);
    let delta_ratio = script.pick(&[0.1, 0.5]);
    Rules {
        notify: NotifyRule { delta_ratio, min_delay, max_delay, budget: None },
        increment_delay,
        leave_delay: Duration::ZERO,
        namespace_clean_delay,
        namespaces_max: usize::MAX,
    }
}

fn weather(script: &mut Script) -> Option<Weather> {
    let loss_percent = script.pick(&[None, Some(0), Some(5), Some(15), Some(30)]);
    let double_percent = script.pick(&[0, 5, 20]);
    let delay_ticks_max = script.pick(&[0, 1, 3, 15]);
    loss_percent.map(|loss_percent| Weather { loss_percent, double_percent, delay_ticks_max })
}
