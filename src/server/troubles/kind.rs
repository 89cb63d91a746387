//! The kinds of trouble.
//!
//! Owns the table: an entry is all there is to a kind, and a new one goes to the end, for the places in it are the order of
//! the counters between nodes.
//!
//! Invariant: a remedy says what is wrong, and what ends it.

/// A condition that makes the total wrong or doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    /// A seal that fits none of this node's keys.
    DifferentKey,
    /// A key here, and none there.
    Unkeyed,
    /// No key here, and a seal there.
    KeyedElsewhere,
    /// A datagram in a version that this node does not read.
    ForeignVersion,
    /// Another audience on this port or group.
    ForeignScope,
    /// A listed peer without a datagram.
    SilentPeer,
    /// A node that is received, and does not prove itself.
    UnprovenNode,
    /// A wall clock of another host that differs.
    ClockSkew,
    /// A loopback bus that other users can write to.
    UnsealedLoopback,
    /// A way of the bus that takes nothing.
    Unsent,
    /// A process of this host whose multicast over loopback does not come.
    FilteredLoopback,
    /// An absence of this node during which it was folded.
    Folded,
    /// A list of folded nodes without room.
    FoldFull,
    /// A broker that is not reached.
    BrokerAway,
    /// A process of this host that is not received over the broker.
    BrokerSplit,
    /// A name of another host that stands for no address.
    MissingName,
}

/// Kind, name, remedy; in the order of the kinds.
const TABLE: [(Kind, &str, &str); 16] = [
    (
        Kind::DifferentKey,
        "different_key",
        "another key seals datagrams here; give all nodes of the audience the same key, or run all processes of the host \
         as one user, and give other audiences another port or group",
    ),
    (Kind::Unkeyed, "unkeyed", "a node without a key sends here; give it the --cluster-key-file of this one"),
    (
        Kind::KeyedElsewhere,
        "keyed_elsewhere",
        "a node with a key sends here, and this node has none; give this one the same --cluster-key-file",
    ),
    (
        Kind::ForeignVersion,
        "foreign_version",
        "a node of a version that this one cannot read sends here, and the two do not count together; upgrade the older",
    ),
    (
        Kind::ForeignScope,
        "foreign_scope",
        "another audience sends here; give the nodes of one audience the same address and --cluster-name, and each \
         audience a port or group of its own",
    ),
    (
        Kind::SilentPeer,
        "silent_peer",
        "nothing comes from a host of --cluster-peers; start it there, let UDP through to and from its audience port, or \
         take it off the list",
    ),
    (
        Kind::UnprovenNode,
        "unproven_node",
        "a node is received and does not answer, so it is not counted; let UDP through both ways, or use a \
         --cluster-key-file if it is none of yours",
    ),
    (
        Kind::ClockSkew,
        "clock_skew",
        "the clock of another host differs by more than a second; set the clocks of all hosts by NTP",
    ),
    (
        Kind::UnsealedLoopback,
        "unsealed_loopback",
        "other users of this host can change the counts; run all processes of the audience as one user, or give them a \
         --cluster-key-file",
    ),
    (
        Kind::Unsent,
        "unsent",
        "datagrams for other nodes do not leave this process; bring the interface up, give it its address and a route, and \
         let UDP out",
    ),
    (
        Kind::FilteredLoopback,
        "filtered_loopback",
        "multicast of a process of this host does not come over loopback; let UDP to 239.255.13.37 in and out on lo",
    ),
    (
        Kind::Folded,
        "folded",
        "this node was out of reach while hundreds of others came and went, so what it counted meanwhile may be missing from \
         the sums; nothing is left to do but to find out what kept it away",
    ),
    (
        Kind::FoldFull,
        "fold_full",
        "32,768 nodes have come and gone, and no more can be folded, so sums will differ; end all processes of the audience \
         at once, and find out what makes them restart",
    ),
    (
        Kind::BrokerAway,
        "broker_away",
        "the broker is not reached, so other hosts are left out once they time out; event=broker_lost in the log says why, \
         and this node tries again by itself",
    ),
    (
        Kind::BrokerSplit,
        "broker_split",
        "a process of this host is received over loopback and not over the broker; let it reach the broker, and link all \
         servers of --cluster-addr to one cluster, on every host",
    ),
    (
        Kind::MissingName,
        "missing_name",
        "a name of another host has no address; add it to the name service or to /etc/hosts, or take it off the list",
    ),
];

impl Kind {
    pub(in crate::server) const COUNT: usize = TABLE.len();

    /// In the order of the counters.
    pub(in crate::server) const ALL: [Self; Self::COUNT] = {
        let (mut all, mut index) = ([Self::DifferentKey; Self::COUNT], 0);
        while index < Self::COUNT {
            all[index] = TABLE[index].0;
            assert!(all[index] as usize == index, "the table is in the order of the kinds");
            index += 1;
        }
        all
    };

    /// What figures call them.
    pub(in crate::server) const NAMES: [&'static str; Self::COUNT] = {
        let (mut names, mut index) = ([""; Self::COUNT], 0);
        while index < Self::COUNT {
            names[index] = TABLE[index].1;
            index += 1;
        }
        names
    };

    pub(in crate::server) const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// What is wrong and what ends it, for a person.
    pub(in crate::server) const fn remedy(self) -> &'static str {
        TABLE[self as usize].2
    }
}
