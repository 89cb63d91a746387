//! Which nodes a meter believes to be there, and what it knows of them while they are.

use super::*;
use audience_meter::meter::COUNTERS_MAX;
use audience_meter::meter::news::Counter;

#[test]
fn the_goodbye_of_an_unknown_node_does_not_make_it_known() {
    let mut scene = clustered();
    assert_eq!(scene.receive_from(PEER, 1, BYE), Err(Rejection::NeverThere));
    assert_eq!(scene.outputs(), [], "no node is asked");
    assert_eq!(scene.node_count(), 0);
    assert_eq!(scene.receive_from(PEER, 1, News::Alive(Alive::default())), Err(Rejection::Unproven));
    assert!(scene.node_count() == 0 && scene.asked().is_some(), "it is asked, and nothing is kept of it");
}

#[test]
fn a_recorded_answer_to_the_first_question_proves_nothing_once_its_sender_has_departed() {
    let mut scene = clustered();
    let nonce = scene.pass(0.1).into_iter().find_map(|output| match output {
        Output::Send(_, Datagram { news: News::Ask(ask), .. }) if ask.of.is_none() => Some(ask.nonce),
        _ => None,
    });
    let echo = nonce.map(|nonce| Echo { asker: HERE, nonce });
    let answer = News::Alive(Alive { echo, ..Alive::default() });
    scene.receive(1, answer.clone());
    assert_eq!(scene.node_count(), 1);
    scene.receive(2, BYE);
    assert_eq!(scene.receive_from(PEER, 1, answer), Err(Rejection::Unproven));
    assert_eq!(scene.node_count(), 0);
    assert_ne!(scene.asked().map(|ask| ask.nonce), nonce);
}

#[test]
fn a_node_that_fell_silent_is_lost_and_one_that_said_goodbye_is_not() {
    let mut scene = clustered();
    scene.meet(1);
    scene.receive(3, BYE);
    scene.pass(9.0);
    assert_eq!(scene.meter().lost_node_count(), 0);
    scene.meet(4);
    scene.pass(4.0);
    scene.receive(6, News::Alive(Alive::default()));
    scene.pass(4.0);
    assert_eq!((scene.node_count(), scene.meter().lost_node_count()), (1, 0));
    scene.pass(9.0);
    assert_eq!((scene.node_count(), scene.meter().lost_node_count()), (0, 1), "once");
}

/// Counters of these values, numbered from 1.
fn numbered(values: &[u64]) -> Vec<Counter> {
    (1..).zip(values).map(|(number, &value)| Counter { number, value }).collect()
}

#[test]
fn the_counters_of_a_node_are_known_while_it_is_there() {
    let mut scene = clustered();
    let is_due = |scene: &mut Scene| {
        let now = scene.now();
        scene.meter().are_counters_due(now)
    };
    assert!(!is_due(&mut scene), "there is no other node");
    assert_eq!(scene.receive_from(PEER, 1, News::Counters(numbered(&[9]))), Err(Rejection::Unproven));
    scene.meet(2);
    assert!(is_due(&mut scene));
    scene.outputs();
    scene.world.step(0, |node, now| node.announce_counters(&numbered(&[4; COUNTERS_MAX + 1]), now));
    assert!(!is_due(&mut scene), "they were announced just now");
    let announced = scene.outputs().into_iter().find_map(|output| match output {
        Output::Send(_, Datagram { news: News::Counters(counters), .. }) => Some(counters),
        _ => None,
    });
    assert_eq!(announced, Some(numbered(&[4; COUNTERS_MAX])));

    let known = |scene: &mut Scene| {
        let counters = scene.meter().counters();
        counters.map(|(node, all)| (node, all.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(known(&mut scene), [(PEER, vec![])], "not those that came before it was known to be there");
    scene.receive(5, News::Counters(numbered(&[1, 2])));
    scene.receive(4, News::Counters(numbered(&[8])));
    assert_eq!(known(&mut scene), [(PEER, numbered(&[1, 2]))], "not those that are older");
    scene.receive(6, BYE);
    assert_eq!(known(&mut scene), []);
    scene.pass(6.0);
    assert!(!is_due(&mut scene), "there is no other node any more");
}

#[test]
fn a_node_that_has_come_is_announced_the_counters_soon() {
    let mut scene = clustered();
    let is_due = |scene: &mut Scene| {
        let now = scene.now();
        scene.meter().are_counters_due(now)
    };
    scene.meet(2);
    scene.world.step(0, |node, now| node.announce_counters(&numbered(&[4]), now));
    scene.pass(1.0);
    assert!(!is_due(&mut scene), "there is no other node than before");
    let other = NodeId(8);
    assert_eq!(scene.receive_from(other, 1, News::Alive(Alive::default())), Err(Rejection::Unproven));
    let echo = scene.asked_of(other).map(|ask| Echo { asker: HERE, nonce: ask.nonce });
    assert_eq!(scene.receive_from(other, 2, News::Alive(Alive { echo, ..Alive::default() })), Ok(()));
    assert!(is_due(&mut scene), "it asks for them at its first scrape");
}

#[test]
fn the_node_that_takes_the_place_of_a_departed_one_is_let_in() {
    let mut scene = clustered_with(ClusterRules { nodes_max: 1, ..ClusterRules::default() });
    let other = NodeId(8);
    let knock = |scene: &mut Scene, number| {
        assert_eq!(scene.receive_from(other, number, News::Alive(Alive::default())), Err(Rejection::Unproven));
        let echo = scene.asked_of(other).map(|ask| Echo { asker: HERE, nonce: ask.nonce });
        scene.receive_from(other, number + 1, News::Alive(Alive { echo, ..Alive::default() }))
    };
    scene.meet(1);
    let age = Age { existed_ms: 0, empty_ms: 0 };
    let item = Item::Count(count("a", 0, age));
    scene.receive(3, News::Report { from: 0, to: 1, horizon: 0, name: 0, items: vec![item] });
    assert_eq!(knock(&mut scene, 1), Err(Rejection::TooManyNodes));
    scene.receive(4, BYE);
    assert_eq!(scene.members("a"), Some((0, 5)));
    scene.pass(0.5);
    assert_eq!(knock(&mut scene, 3), Ok(()));
    assert_eq!((scene.members("a"), scene.node_count()), (Some((0, 5)), 1), "what has departed is remembered");
}

#[test]
fn invented_names_keep_no_node_out() {
    let mut scene = clustered_with(ClusterRules { nodes_max: 2, ..ClusterRules::default() });
    for node in 100..400 {
        let alive = News::Alive(Alive { version: 9, ..Alive::default() });
        assert_eq!(scene.receive_from(NodeId(node), 1, alive), Err(Rejection::Unproven));
    }
    scene.outputs();
    scene.pass(0.5);
    scene.meet(1);
    assert_eq!(scene.node_count(), 1);
}

#[test]
fn a_goodbye_takes_the_secret_that_was_promised() {
    let mut scene = clustered();
    scene.meet(1);
    for farewell in [[0, 1], [1, 0], [u64::MAX; 2]] {
        let bye = News::Bye(Farewell(farewell));
        assert_eq!(scene.receive_from(PEER, 3, bye.clone()), Err(Rejection::Forged));
        assert_eq!(scene.receive_from(PEER, (1 << 56) - 1, bye), Err(Rejection::Forged));
    }
    scene.receive(3, News::Alive(Alive::default()));
    assert_eq!(scene.node_count(), 1);
    scene.receive(4, BYE);
    assert_eq!(scene.node_count(), 0);
}

#[test]
fn a_number_out_of_all_order_counts_with_a_proof() {
    let mut scene = clustered();
    scene.meet(1);
    scene.outputs();
    let alive = |echo| News::Alive(Alive { echo, ..Alive::default() });
    let far = (1 << 56) - 1;
    assert_eq!(scene.receive_from(PEER, far, alive(None)), Err(Rejection::Unproven));
    let nonce = scene.asked().expect("it is asked").nonce;
    assert_eq!(
        scene.receive_from(PEER, far, alive(Some(Echo { asker: HERE, nonce: nonce ^ 1 }))),
        Err(Rejection::Unproven)
    );
    scene.receive(3, counts(&["a"], 2));
    assert_eq!(scene.totals(), [2], "the node itself is not silenced");
    scene.receive(1 << 30, alive(Some(Echo { asker: HERE, nonce })));
    scene.receive((1 << 30) + 1, report_of((9, 10), 0, "a", 3));
    assert_eq!(scene.totals(), [3]);
    assert_eq!(scene.receive_from(PEER, 4, counts(&["a"], 9)), Err(Rejection::BeforeProof));
    // It is at a lesser number after all, which is looked into once nothing else has come for a while.
    scene.pass(2.0);
    scene.outputs();
    assert_eq!(scene.receive_from(PEER, 5, alive(None)), Err(Rejection::Unproven));
    let nonce = scene.asked().expect("it is asked").nonce;
    scene.receive(6, alive(Some(Echo { asker: HERE, nonce })));
    scene.pass(4.0);
    scene.receive(7, alive(None));
    scene.pass(4.0);
    assert_eq!(scene.node_count(), 1);
}

#[test]
fn news_of_a_later_version_shows_that_its_sender_is_there() {
    let mut scene = clustered();
    scene.meet(1);
    for number in 3..9 {
        scene.pass(2.0);
        scene.receive(number, News::Unknown);
    }
    assert_eq!(scene.node_count(), 1);
}

#[test]
fn a_meter_has_met_all_once_it_has_received_what_there_was_when_it_met_them() {
    let mut scene = clustered();
    let has_met_all = |scene: &mut Scene| scene.meter().has_met_all();
    scene.pass(0.1);
    assert!(has_met_all(&mut scene), "there is no other node");
    scene.meet_as(1, Alive { version: 3, ..Alive::default() });
    assert!(!has_met_all(&mut scene), "it has counted members");
    let report = |from, to| News::Report { from, to, horizon: 0, name: 0, items: Vec::new() };
    scene.receive(3, report(0, 2));
    assert!(!has_met_all(&mut scene));
    scene.receive(4, report(2, 3));
    assert!(has_met_all(&mut scene));
    scene.receive(5, News::Alive(Alive { version: 9, ..Alive::default() }));
    assert!(has_met_all(&mut scene) && !scene.meter().knows_all(), "there is always something new");
}
