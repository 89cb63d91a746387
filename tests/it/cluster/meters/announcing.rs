//! What a meter announces, for how long it gathers changes before, and when it asks for those of others.

use super::*;
use audience_meter::meter::NAME_MAX;
use audience_meter::meter::news::{HeldQuestion, Origin, To};

/// A meter that has met this number of nodes.
fn company_of(nodes: u64, notify_interval: Duration) -> Scene {
    let node_timeout = s(60.0);
    let mut scene = clustered_with(ClusterRules { notify_interval, node_timeout, ..ClusterRules::default() });
    for node in 10..10 + nodes {
        scene.meet_node(NodeId(node));
        // A turn does not look at all of them.
        scene.pass(0.01);
    }
    scene.pass(5.0);
    assert_eq!(scene.node_count() as u64, nodes);
    scene
}

impl Scene {
    fn report_count(&mut self, seconds: f64) -> usize {
        self.announced(seconds).iter().filter(|news| matches!(news, News::Report { .. })).count()
    }
}

#[test]
fn a_name_that_fits_into_no_datagram_is_not_announced() {
    let mut scene = clustered();
    scene.meet(1);
    scene.outputs();
    let long = "u".repeat(NAME_MAX + 1);
    scene.world.step(0, |node, now| node.end_claim("a", &long, now));
    scene.world.step(0, |node, now| node.end_claim(&long, "u", now));
    scene.world.step(0, |node, now| node.say(&long, "s=x", now));
    assert_eq!(scene.outputs(), []);
    scene.world.step(0, |node, now| node.end_claim("a", &long[1..], now));
    let [Output::Send(To::All, asked)] = &scene.outputs()[..] else { panic!("the others are asked") };
    let News::AskHeld(question) = &asked.news else { panic!("{asked:?}") };
    assert_eq!(
        scene.announced(0.5).iter().filter(|news| matches!(news, News::AskHeld(_))).count(),
        2,
        "and twice more"
    );
    // The peer holds one, and says so.
    scene.world.step(0, |node, now| node.end_claim("a", "u", now));
    let number = question.number + 1;
    scene.receive(3, News::Held { asker: NodeId(HERE.0 + 1), number });
    scene.receive(4, News::Held { asker: HERE, number });
    scene.receive(5, News::Held { asker: HERE, number });
    let news = scene.announced(0.5);
    let given_up = news.iter().filter(|news| matches!(news, News::GivenUp { claim, .. } if &*claim.uuid == "u"));
    assert_eq!(given_up.count(), 3, "{news:?}");
}

#[test]
fn a_node_says_which_uuids_its_members_hold_and_is_silent_about_others() {
    let mut scene = clustered();
    scene.meet(1);
    scene.world.step(0, |node, now| node.join("a", Some("u"), true, now));
    scene.pass(0.5);
    let ask = |number, namespace, uuid| News::AskHeld(HeldQuestion { number, namespace, uuid });
    for (number, namespace, uuid) in [(3, "a", "v"), (4, "b", "u")] {
        scene.receive(number, ask(number, namespace, uuid));
    }
    assert_eq!(scene.outputs(), []);
    scene.receive(5, ask(5, "a", "u"));
    let [Output::Send(to, held)] = &scene.outputs()[..] else { panic!("it is held") };
    assert_eq!((to, &held.news), (&To::Origin(Origin::Loopback), &News::Held { asker: PEER, number: 5 }));
}

#[test]
fn the_more_nodes_there_are_the_longer_each_gathers_and_for_the_notify_interval_at_most() {
    for (nodes, interval, gathered) in
        [(1, 2.0, 0.05), (10, 2.0, 0.05), (40, 2.0, 0.2), (40, 0.1, 0.1), (1, 0.02, 0.02)]
    {
        let mut scene = company_of(nodes, s(interval));
        scene.join("a");
        assert_eq!(scene.report_count(0.0), 1, "a change after quiet is announced at once");
        scene.join("a");
        scene.join("a");
        assert_eq!(scene.announced(gathered - 0.01), [], "nor is there a sign of life beside it");
        assert_eq!(scene.report_count(0.01), 1, "{nodes} nodes, {interval} s");
    }
}

#[test]
fn a_sign_of_life_does_not_carry_the_version_of_what_is_gathered() {
    let mut scene = company_of(40, s(2.0));
    scene.join("a");
    assert_eq!(scene.report_count(0.0), 1);
    scene.join("a");
    scene.meet_node(NodeId(99));
    let version = |news: &News<_>| if let News::Alive(alive) = news { Some(alive.version) } else { None };
    let versions: Vec<_> = scene.announced(0.1).iter().filter_map(version).collect();
    assert_eq!(versions, [1], "a peer that knew of a later version would ask for it");
    assert_eq!(scene.report_count(0.1), 1);
}

#[test]
fn a_version_in_an_answer_to_another_node_makes_a_meter_ask_nothing() {
    let mut scene = clustered();
    scene.meet(1);
    scene.asked();
    let alive = |asker: Option<NodeId>| {
        let echo = asker.map(|asker| Echo { asker, nonce: 0 });
        News::Alive(Alive { version: 5, echo, ..Alive::default() })
    };
    scene.pass(1.0);
    scene.receive(3, alive(Some(NodeId(3))));
    assert_eq!(scene.asked(), None, "that version is announced to all at once");
    scene.receive(4, alive(None));
    assert!(scene.asked().is_some(), "this one was announced, and was missed");
}
