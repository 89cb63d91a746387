//! When an empty namespace is forgotten, here and at other nodes.

use super::*;
use audience_meter::meter::news::{DepartedShare, EndedEvent, MessageId, MessagePart, Origin};

#[test]
fn a_message_names_its_namespace_which_may_be_forgotten_before_the_push() {
    let mut scene = clustered();
    let member = scene.join("a");
    scene.leave(member);
    scene.pass(57.0);
    scene.meet(1);
    scene.pass(2.7);
    scene.outputs();
    let now = scene.now();
    let late = Now { tick: now.tick.after(s(0.4)), ..now };
    let part = MessagePart { number: 1, namespace: "a", text: "s=x", begins: true, continues: false };
    let datagram = Datagram {
        sender: PEER,
        number: 3,
        clock: 3,
        format: Format { written: 4, newest: 4 },
        news: News::Message(part),
    };
    // Both in one turn, as in the daemon, which takes outputs after its timers.
    let meter = scene.meter();
    assert_eq!(meter.receive(&datagram, Origin::Loopback, late), Ok(()));
    meter.handle_timeout(late, true);
    assert_eq!(meter.find("a"), None);
    let outputs = std::iter::from_fn(|| meter.poll_output());
    let messages: Vec<_> = outputs.filter(|output| matches!(output, Output::Message { .. })).collect();
    assert_eq!(
        messages,
        [Output::Message { id: MessageId { sender: PEER, number: 1 }, namespace: "a".into(), text: "s=x".into() }]
    );
}

#[test]
fn a_namespace_is_not_forgotten_before_it_was_announced_to_be_empty() {
    let mut scene = Scene::new(|setting| setting.rules.namespace_clean_delay = Duration::ZERO);
    scene.meet(1);
    let member = scene.join("a");
    scene.pass(0.02);
    scene.leave(member);
    scene.pass(0.01);
    assert_eq!(scene.members("a"), Some((0, 1)), "the change is gathered with others");
    let items = |news| if let News::Report { items, .. } = news { Some(items) } else { None };
    let items: Vec<_> = scene.announced(2.0).into_iter().filter_map(items).flatten().collect();
    let [Item::Count(count), Item::Ended(ended)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((count.members, count.sums.connections), (0, 1));
    assert_eq!((&*ended.namespace, ended.connections), ("a", 1));
    assert_eq!(scene.members("a"), None);
}

#[test]
fn nodes_forget_a_namespace_together_though_one_announces_late_that_it_is_empty() {
    let mut scene = clustered();
    scene.meet(1);
    let report = |from, members, empty_ms| {
        let age = Age { existed_ms: 0, empty_ms };
        let count = Count { uncounted: 0, ..count("a", members, age) };
        News::Report { from, to: from + 1, horizon: 0, name: 0, items: vec![Item::Count(count)] }
    };
    scene.receive(3, report(0, 1, 0));
    // Its changes were gathered for two seconds.
    scene.receive(4, report(1, 0, 2_000));
    scene.pass(57.5);
    assert_eq!(scene.members("a"), Some((0, 5)));
    scene.pass(1.0);
    assert_eq!(scene.members("a"), None, "60 s after its last member left");
}

/// How many reports this node gives though the peer has reported the event before, with this number of joins. Of the joins
/// that this node knows, five were at the peer, and one was here.
fn reports_after(connections: u64, empty_ms: u64) -> usize {
    let mut scene = clustered();
    let member = scene.join("a");
    scene.leave(member);
    scene.pass(58.0);
    scene.meet(1);
    let age = Age { existed_ms: 58_000, empty_ms: 58_000 };
    let empty = Count { uncounted: 0, ..count("a", 0, age) };
    let report = |from, item| News::Report { from, to: from + 1, horizon: 0, name: 0, items: vec![item] };
    scene.receive(3, report(0, Item::Count(empty)));
    scene.receive(4, report(1, Item::Ended(EndedEvent { namespace: "a", connections, empty_ms })));
    let outputs = scene.pass(8.0);
    assert_eq!(scene.members("a"), None);
    outputs.into_iter().filter(|output| matches!(output, Output::Ended(_))).count()
}

#[test]
fn an_event_that_another_node_has_reported_is_not_reported_again() {
    assert_eq!(reports_after(6, 58_000), 0);
    assert_eq!(reports_after(5, 58_000), 1, "a member came that the report does not count");
    // That of another event, which ended before this one began, is nothing to it.
    assert_eq!(reports_after(6, 90_000), 1);
}

#[test]
fn an_event_that_goes_on_here_is_reported_again_when_it_is_over() {
    let mut scene = clustered();
    let member = scene.join("a");
    scene.meet(1);
    // A node that did not receive of this member any more reports the event, with all joins, and announces it again later.
    let ended = |empty_ms| Item::Ended(EndedEvent { namespace: "a", connections: 1, empty_ms });
    let report = |from, item| News::Report { from, to: from + 1, horizon: 0, name: 0, items: vec![item] };
    scene.receive(3, report(0, ended(0)));
    scene.pass(2.0);
    scene.receive(4, report(1, ended(2_000)));
    scene.leave(member);
    scene.pass(1.0);
    scene.receive(5, report(2, ended(3_000)));
    let outputs = scene.pass(70.0);
    assert_eq!(scene.members("a"), None);
    assert_eq!(outputs.into_iter().filter(|output| matches!(output, Output::Ended(_))).count(), 1);
}

/// How many reports this node gives of an event that it learns of by hearsay, four seconds after the report of a node that had
/// seen as many joins, or after none.
fn reports_of_hearsay(reported: Option<u64>) -> usize {
    let mut scene = Scene::new(|setting| setting.rules.namespace_clean_delay = s(10.0));
    scene.meet(1);
    if let Some(connections) = reported {
        let item = Item::Ended(EndedEvent { namespace: "a", connections, empty_ms: 0 });
        scene.receive(3, News::Report { from: 0, to: 1, horizon: 0, name: 0, items: vec![item] });
    }
    scene.pass(4.0);
    let sums = Sums { connections: 2, ..Sums::default() };
    let age = Age { existed_ms: 5_000, empty_ms: 4_000 };
    let share = DepartedShare { node: NodeId(77), namespace: "a", sums, age, peak: Peak::default() };
    scene.receive(4, News::DepartedShares(vec![share]));
    assert_eq!(known(&mut scene), ["a"]);
    let outputs = scene.pass(40.0);
    assert_eq!(scene.members("a"), None);
    outputs.into_iter().filter(|output| matches!(output, Output::Ended(_))).count()
}

#[test]
fn an_event_that_was_reported_before_it_came_here_by_hearsay_is_not_reported_again() {
    assert_eq!(reports_of_hearsay(Some(2)), 0);
    assert_eq!(reports_of_hearsay(Some(1)), 1, "a join that the report does not count");
    assert_eq!(reports_of_hearsay(None), 1);
}

#[test]
fn no_event_ends_before_it_has_begun() {
    let mut scene = Scene::new(|setting| setting.rules.namespace_clean_delay = s(10.0));
    scene.meet(1);
    let sums = Sums { connections: 1, ..Sums::default() };
    // It was short, and nodes differ about its beginning.
    let age = Age { existed_ms: 3_000, empty_ms: 4_500 };
    let share = DepartedShare { node: NodeId(77), namespace: "a", sums, age, peak: Peak::default() };
    scene.receive(3, News::DepartedShares(vec![share]));
    let outputs = scene.pass(40.0);
    let ended =
        outputs.into_iter().find_map(|output| if let Output::Ended(ending) = output { Some(ending) } else { None });
    let ending = ended.expect("it is reported");
    assert_eq!(ending.ended_unix_s, ending.created_unix_s);
}

/// The names that the meter knows, in alphabetical order.
fn known(scene: &mut Scene) -> Vec<String> {
    let mut names: Vec<String> = scene.meter().namespaces().iter().map(|(_, of)| of.name().to_owned()).collect();
    names.sort_unstable();
    names
}

fn has_room_for(scene: &mut Scene, name: &str) -> bool {
    let now = scene.now();
    scene.meter().capacity(now).make_for(name)
}

#[test]
fn at_the_limit_the_one_that_is_vacant_longest_makes_room_and_those_of_one_member_before_others() {
    let mut scene = Scene::new(|setting| (setting.cluster, setting.rules.namespaces_max) = (None, 3));
    let both = [scene.join("a"), scene.join("a")];
    for member in both {
        scene.leave(member);
    }
    scene.pass(1.0);
    for name in ["b", "c"] {
        let member = scene.join(name);
        scene.leave(member);
        scene.pass(1.0);
    }
    assert!(has_room_for(&mut scene, "b"), "it is there");
    let back = scene.join("b");
    scene.leave(back);
    assert_eq!(known(&mut scene), ["a", "b", "c"]);
    assert!(has_room_for(&mut scene, "d"));
    assert_eq!(known(&mut scene), ["a", "b"], "that of one member that is vacant longest");
    let ended = |outputs: Vec<Output>| outputs.into_iter().filter(|output| matches!(output, Output::Ended(_))).count();
    assert_eq!(ended(scene.pass(0.1)), 1, "it is reported");
    let stays = scene.join("d");
    assert!(has_room_for(&mut scene, "c"));
    assert_eq!(known(&mut scene), ["a", "d"]);
    let also = scene.join("c");
    assert!(has_room_for(&mut scene, "b"));
    assert_eq!(known(&mut scene), ["c", "d"], "then the others");
    scene.join("b");
    assert!(!has_room_for(&mut scene, "a"), "all have members");
    let walk = {
        let id = scene.meter().find("c").unwrap();
        scene.meter().begin_walk(id, false)
    };
    scene.leave(also);
    assert!(!has_room_for(&mut scene, "a"), "a push goes along its members");
    assert_eq!(scene.meter().step_walk(walk), None);
    assert!(has_room_for(&mut scene, "a"));
    assert_eq!(scene.meter().evicted_count(), 4);
    scene.leave(stays);
}

#[test]
fn at_the_limit_the_events_of_others_are_counted_if_they_have_members() {
    let mut scene = Scene::new(|setting| setting.rules.namespaces_max = 2);
    scene.meet(1);
    let vacated = scene.join("a");
    scene.pass(0.1);
    scene.leave(vacated);
    assert!(has_room_for(&mut scene, "b"));
    scene.join("b");
    assert!(!has_room_for(&mut scene, "c"), "it is not announced that a is vacant");
    assert_eq!(known(&mut scene), ["a", "b"]);
    scene.pass(3.0);
    let vacant = |name| Item::Count(Count { uncounted: 0, ..count(name, 0, Age::default()) });
    let report = |from, items| News::Report { from, to: from + 1, horizon: 0, name: 0, items };
    scene.receive(3, report(0, vec![vacant("c")]));
    assert_eq!(known(&mut scene), ["a", "b"], "one without members takes the place of none");
    scene.receive(4, report(1, vec![Item::Count(count("c", 2, Age::default()))]));
    assert_eq!((known(&mut scene), scene.members("c")), (vec!["b".to_owned(), "c".to_owned()], Some((2, 5))));
    scene.receive(5, report(2, vec![Item::Count(count("d", 2, Age::default()))]));
    assert_eq!(scene.members("d"), Some((2, 5)), "it counts, though there is no room");
    assert!(!has_room_for(&mut scene, "a"));
    scene.receive(6, report(3, vec![vacant("c"), vacant("d")]));
    assert!(has_room_for(&mut scene, "a"));
    assert_eq!(known(&mut scene), ["b", "d"]);
    scene.pass(1.0);
    assert_eq!(
        scene.announced(5.0).iter().filter(|news| matches!(news, News::Report { .. })).count(),
        0,
        "all is quiet"
    );
}

#[test]
fn at_the_limit_what_members_here_have_just_left_stands_in_the_way_of_no_other() {
    const OWN: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let mut scene = Scene::new(|setting| {
        setting.rules.namespaces_max = OWN.len() + 1;
        setting.names = [&OWN[..], &["other", "new"]].concat();
    });
    scene.meet(1);
    // A process that was stopped finds members who have gone meanwhile.
    for name in OWN {
        let member = scene.join(name);
        scene.leave(member);
    }
    scene.pass(0.1);
    let vacant = Item::Count(Count { uncounted: 0, ..count("other", 0, Age { existed_ms: 9_000, empty_ms: 9_000 }) });
    scene.receive(3, News::Report { from: 0, to: 1, horizon: 0, name: 0, items: vec![vacant] });
    assert_eq!(scene.members("other"), Some((0, 5)));
    assert!(has_room_for(&mut scene, "new"), "other is forgotten for it");
    assert_eq!(scene.members("other"), None);
    assert_eq!(known(&mut scene), OWN);
}

#[test]
fn at_the_limit_the_event_of_another_node_is_reported_by_that_one_alone() {
    let mut scene = Scene::new(|setting| {
        setting.rules.namespaces_max = 2;
        setting.names = ["own", "other", "new", "newer"].to_vec();
    });
    scene.meet(1);
    let vacant = Item::Count(Count { uncounted: 0, ..count("other", 0, Age { existed_ms: 9_000, empty_ms: 9_000 }) });
    let report = |from, to, items| News::Report { from, to, horizon: 0, name: 0, items };
    scene.receive(3, report(0, 1, vec![vacant]));
    let own = scene.join("own");
    scene.pass(0.1);
    scene.leave(own);
    scene.pass(3.0);
    // Something of it is missing, maybe that it reported its event.
    scene.receive(6, report(2, 3, Vec::new()));
    let ended = |scene: &mut Scene| {
        let outputs = scene.pass(0.01).into_iter();
        outputs
            .filter_map(|output| if let Output::Ended(of) = output { Some(of.namespace) } else { None })
            .collect::<Vec<_>>()
    };
    assert!(has_room_for(&mut scene, "new"));
    assert_eq!(known(&mut scene), ["own"]);
    assert!(ended(&mut scene).is_empty(), "the node that had its members does that");
    let stays = scene.join("new");
    assert!(has_room_for(&mut scene, "newer"));
    assert_eq!(ended(&mut scene), ["own".into()], "nobody else does that");
    scene.leave(stays);
}
