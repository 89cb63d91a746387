//! What becomes of the shares of departed nodes that are folded, and of nodes that live though they are.

use super::*;
use audience_meter::meter::news::{DepartedShare, FoldShare, Wanted};

/// Another node, which speaks of departed ones.
const OTHER: NodeId = NodeId(8);

/// What a departed node had counted in an event.
fn share(node: u64, namespace: &str, connections: u64) -> DepartedShare<&str> {
    let sums = Sums { connections, ..Sums::default() };
    DepartedShare { node: NodeId(node), namespace, sums, age: Age::default(), peak: Peak::default() }
}

/// What the nodes of this list had counted in an event.
fn fold_share(list_digest: u64, namespace: &str, connections: u64) -> News<&str> {
    let DepartedShare { sums, age, peak, .. } = share(0, namespace, connections);
    News::FoldShares { list_digest, shares: vec![FoldShare { namespace, sums, age, peak }] }
}

/// The peer's members in `a`, and its joins, under a name of this number.
fn report(version: u64, name: u64, members: u32, connections: u64) -> News<&'static str> {
    let sums = Sums { connections, ..Sums::default() };
    let count =
        Count { namespace: "a", members, uncounted: 0, waiting: 0, sums, age: Age::default(), peak: Peak::default() };
    News::Report { from: 0, to: version, horizon: 0, name, items: vec![Item::Count(count)] }
}

impl Scene {
    /// The digest of the list of folded nodes, from what this node announces about departed ones.
    fn list_digest(&mut self, number: u64) -> u64 {
        self.receive(number, News::Ask(Ask { of: Some(HERE), wanted: Wanted::DepartedShares, nonce: 5 }));
        let digest = |news| if let News::FoldShares { list_digest, .. } = news { Some(list_digest) } else { None };
        self.announced(0.5).into_iter().find_map(digest).expect("it announces the fold")
    }

    fn is_told(&mut self, output: &Output) -> bool {
        self.outputs().contains(output)
    }
}

#[test]
fn what_a_folded_node_had_counted_is_counted_once() {
    let mut scene = clustered();
    scene.meet(1);
    scene.receive(3, News::DepartedShares(vec![share(9, "a", 5), share(10, "a", 2)]));
    scene.receive(4, News::Folded(vec![NodeId(9), NodeId(11)]));
    scene.wake();
    assert_eq!(scene.members("a"), Some((0, 7)));
    scene.receive(5, News::DepartedShares(vec![share(9, "a", 50), share(11, "a", 50), share(10, "a", 3)]));
    assert_eq!(scene.members("a"), Some((0, 8)), "the share of a folded node says nothing");
    let list_digest = scene.list_digest(6);
    scene.receive(7, fold_share(list_digest ^ 1, "a", 70));
    assert_eq!(scene.members("a"), Some((0, 8)), "the sum of other nodes says nothing");
    scene.receive(8, fold_share(list_digest, "a", 30));
    scene.receive(9, fold_share(list_digest, "a", 20));
    assert_eq!(scene.members("a"), Some((0, 33)), "the larger sum stands");
}

#[test]
fn a_node_may_be_listed_while_its_members_are_removed() {
    let mut scene = clustered_with(ClusterRules { removals_per_turn: 1, ..ClusterRules::default() });
    scene.meet(1);
    scene.meet_node(OTHER);
    scene.receive(3, counts(&["a", "b", "c"], 2));
    scene.receive(4, BYE);
    scene.wake();
    assert_eq!(scene.receive_from(OTHER, 3, News::Folded(vec![PEER])), Ok(()));
    let mut seen = Vec::new();
    while scene.is_due() {
        seen.push(scene.totals());
        scene.wake();
    }
    seen.dedup();
    assert_eq!(seen, [[0, 2, 2], [0, 0, 2], [0, 0, 0]]);
    assert_eq!(["a", "b", "c"].map(|name| scene.members(name)), [Some((0, 5)); 3]);
}

#[test]
fn a_node_that_is_folded_itself_counts_on_under_its_next_name() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join("a");
    scene.pass(1.0);
    scene.receive(3, News::Folded(vec![HERE]));
    assert!(scene.is_told(&Output::Folded));
    let announced = |scene: &mut Scene| {
        let report = |news| if let News::Report { name, items, .. } = news { Some((name, items)) } else { None };
        let (name, items) = scene.announced(1.0).into_iter().find_map(report).expect("a report");
        let [Item::Count(count)] = &items[..] else { panic!("it announces more") };
        (name, count.members, count.sums.connections)
    };
    assert_eq!((announced(&mut scene), scene.members("a")), ((1, 1, 0), Some((1, 1))));
    scene.join("a");
    assert_eq!((announced(&mut scene), scene.members("a")), ((1, 2, 1), Some((2, 2))));
    scene.receive(4, News::Folded(vec![HERE]));
    assert!(!scene.is_told(&Output::Folded), "once is enough");
}

#[test]
fn a_living_node_that_is_listed_is_asked_for_everything_and_its_joins_count_once() {
    let mut scene = clustered();
    scene.meet(1);
    scene.meet_node(OTHER);
    scene.receive(3, report(9, 0, 2, 5));
    scene.outputs();
    assert_eq!(scene.receive_from(OTHER, 3, News::Folded(vec![PEER])), Ok(()));
    assert!(matches!(scene.asked(), Some(Ask { wanted: Wanted::Items { since: 0 }, .. })));
    // It does not know yet, so its joins are those that are in the fold.
    scene.receive(4, report(9, 0, 2, 5));
    scene.wake();
    assert_eq!(scene.members("a"), Some((2, 5)));
    scene.receive(5, report(10, 1, 3, 4));
    assert_eq!(scene.members("a"), Some((3, 9)));
    scene.receive(6, BYE);
    scene.wake();
    assert_eq!(scene.members("a"), Some((0, 9)));
}

#[test]
fn a_node_that_says_that_it_was_folded_is_believed() {
    let mut scene = clustered();
    scene.meet(1);
    scene.receive(3, report(9, 0, 2, 5));
    scene.receive(4, report(10, 1, 2, 1));
    scene.wake();
    assert_eq!(scene.members("a"), Some((2, 6)));
    // A number that no node can have come to lists no more names than a node has.
    scene.receive(5, report(11, 1 << 55, 1, 7));
    scene.wake();
    assert_eq!(scene.members("a"), Some((1, 6)));
}

#[test]
fn a_departed_node_brings_no_more_events_than_a_living_one_may() {
    let mut scene = clustered_with(ClusterRules { namespaces_max: 2, ..ClusterRules::default() });
    scene.meet(1);
    let shares = ["a", "b", "c"].map(|name| share(9, name, 5));
    scene.receive(3, News::DepartedShares(shares.to_vec()));
    assert_eq!(["a", "b", "c"].map(|name| scene.members(name).is_some()), [true, true, false]);
    let list_digest = 0;
    for (number, name) in (4..).zip(["a", "b", "d"]) {
        scene.receive(number, fold_share(list_digest, name, 1));
    }
    assert_eq!(["a", "b", "d"].map(|name| scene.members(name)), [Some((0, 6)), Some((0, 6)), None]);
}

#[test]
fn a_list_that_is_full_is_said() {
    let mut scene = clustered_with(ClusterRules { fold_above: 2, fold_keep: 1, ..ClusterRules::default() });
    scene.meet(1);
    for number in 3..259 {
        scene.receive(number, News::Folded((0..128).map(|name| NodeId(1_000_000 + number * 128 + name)).collect()));
    }
    scene.receive(300, News::DepartedShares((20..23).map(|node| share(node, "a", 1)).collect()));
    scene.wake();
    assert!(scene.is_told(&Output::FoldFull));
    scene.wake();
    assert!(!scene.is_told(&Output::FoldFull), "it is said every ten seconds");
    assert_eq!(scene.members("a"), Some((0, 3)), "nothing is lost by it");
}
