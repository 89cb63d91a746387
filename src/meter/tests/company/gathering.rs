//! When changes are told that follow others, and who asks for them before.

use super::*;

/// A meter that has met so many nodes.
fn company_of(nodes: u64, notify_interval: Duration) -> Scene {
    let node_timeout = s(60.0);
    let mut scene = clustered_with(ClusterRules { notify_interval, node_timeout, ..ClusterRules::default() });
    for node in (10..).take(usize::try_from(nodes).unwrap()) {
        scene.meet_node(node);
        // Not all are to be looked at in one turn.
        scene.pass_in_company(0.01);
    }
    scene.pass_in_company(5.0);
    assert_eq!(scene.meter.nodes(scene.now).count() as u64, nodes);
    scene
}

impl Scene {
    /// What is told within this time.
    fn tells(&mut self, seconds: f64) -> Vec<News<Rc<str>>> {
        let sent = |output| match output {
            Output::Send(datagram) => Some(datagram.news),
            _ => None,
        };
        self.pass_in_company(seconds).into_iter().filter_map(sent).collect()
    }

    fn reports(&mut self, seconds: f64) -> usize {
        self.tells(seconds).iter().filter(|news| matches!(news, News::Report { .. })).count()
    }
}

#[test]
fn the_more_nodes_there_are_the_longer_each_gathers_and_for_the_notify_interval_at_most() {
    for (nodes, interval, gathered) in
        [(1, 2.0, 0.05), (10, 2.0, 0.05), (40, 2.0, 0.2), (40, 0.1, 0.1), (1, 0.02, 0.02)]
    {
        let mut scene = company_of(nodes, s(interval));
        scene.join(0, "a");
        assert_eq!(scene.reports(0.0), 1, "a change after quiet is told at once");
        scene.join(1, "a");
        scene.join(2, "a");
        assert_eq!(scene.tells(gathered - 0.01), [], "nor is there a sign of life beside it");
        assert_eq!(scene.reports(0.01), 1, "{nodes} nodes, {interval} s");
    }
}

#[test]
fn a_sign_of_life_does_not_tell_of_what_is_gathered() {
    let mut scene = company_of(40, s(2.0));
    scene.join(0, "a");
    assert_eq!(scene.reports(0.0), 1);
    scene.join(1, "a");
    scene.meet_node(99);
    let versions: Vec<_> = scene
        .tells(0.1)
        .iter()
        .filter_map(|news| match news {
            News::Alive(alive) => Some(alive.version),
            _ => None,
        })
        .collect();
    assert_eq!(versions, [1], "whoever had heard of more would ask for it");
    assert_eq!(scene.reports(0.1), 1);
}

#[test]
fn who_hears_what_another_is_answered_asks_nothing() {
    let mut scene = clustered();
    scene.meet(1);
    scene.asked();
    let alive = |asker: Option<u64>| {
        let echo = asker.map(|asker| news::Echo { asker: NodeId(asker), nonce: 0 });
        News::Alive(news::Alive { version: 5, echo, ..news::Alive::default() })
    };
    scene.pass_in_company(1.0);
    scene.hear(3, alive(Some(3)));
    assert_eq!(scene.asked(), None, "all are told of that at once");
    scene.hear(4, alive(None));
    assert!(scene.asked().is_some(), "this they were told, and it was missed");
}
