//! What an event comes to: alone, and with the shares that other nodes announce.

use super::*;
use audience_kit::world::Node;
use audience_meter::collections::key::Key as _;
use audience_meter::meter::news::{AGE_MS_MAX, DepartedShare, Stance};
use audience_meter::meter::{self, Accounts, Ending, NamespaceId};

impl Scene {
    fn accounts(&mut self, name: &str) -> Accounts {
        let now = self.now();
        let id = self.meter().find(name).expect("it is remembered");
        self.meter().accounts(id, now)
    }

    /// When the event began, in seconds since 1970.
    fn created(&mut self, name: &str) -> u64 {
        let now = self.now();
        let id = self.meter().find(name).expect("it is remembered");
        self.meter().namespaces().get(id).expect("it is there").created_unix_s(now)
    }

    /// The peer announces its members in `a`, and what else it knows of that event.
    fn receive_count(&mut self, number: u64, members: u32, sums: Sums, peak: Peak) {
        let age = Age::default();
        let count = Count { namespace: "a", members, uncounted: 0, waiting: 0, sums, age, peak };
        let (from, to) = (number - 1, number);
        self.receive(number, News::Report { from, to, horizon: 0, name: 0, items: vec![Item::Count(count)] });
    }

    /// The count that is all that the first report within this time announces.
    fn announced_count(&mut self, seconds: f64) -> Count<std::rc::Rc<str>> {
        let items = |news| if let News::Report { items, .. } = news { Some(items) } else { None };
        let items = self.announced(seconds).into_iter().find_map(items).expect("a report");
        let [Item::Count(count)] = &items[..] else { panic!("it announces more") };
        count.clone()
    }
}

/// Sums of this number of connections.
fn came(connections: u64) -> Sums {
    Sums { connections, ..Sums::default() }
}

fn endings(outputs: Vec<Output>) -> Vec<Ending> {
    let ended = |output| if let Output::Ended(ending) = output { Some(*ending) } else { None };
    outputs.into_iter().filter_map(ended).collect()
}

#[test]
fn an_event_lasts_until_it_is_empty_and_a_stay_from_join_to_leave() {
    let mut scene = lone();
    let [first, second] = [scene.join("a"), scene.join("a")];
    scene.pass_ticks(300);
    scene.leave(first);
    scene.pass_ticks(500);
    scene.leave(second);
    scene.pass_ticks(2_000);
    let accounts = scene.accounts("a");
    assert_eq!((accounts.connections, accounts.member_ms, accounts.lasted_ms), (2, 11_000, 8_000));
    assert_eq!((accounts.average_hundredths(), accounts.average_watch_ms()), (137, 5_500));
    let mut stays = [0; 16];
    // From 2 s to below 4 s, and from 8 s to below 16 s.
    (stays[2], stays[4]) = (1, 1);
    assert_eq!(accounts.stays, stays);
}

#[test]
fn the_largest_peak_that_any_node_saw_is_that_of_all() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join("a");
    scene.receive_count(3, 2, came(9), Peak { members: 9, ago_ms: 77_000 });
    let peak = meter::Peak { members: 9, at_unix_s: scene.now().unix_s() - 77 };
    assert_eq!((scene.members("a"), scene.accounts("a").peak), (Some((3, 10)), peak));
    scene.receive_count(4, 12, came(19), Peak { members: 9, ago_ms: 77_000 });
    let own = meter::Peak { members: 13, at_unix_s: scene.now().unix_s() };
    assert_eq!(scene.accounts("a").peak, own, "no other node has seen that many");
    // Of two equal ones the earlier stands, and one that is so by half a second may be the same.
    for (number, ago_ms, earlier_s) in [(5, 500, 0), (6, 9_000, 9), (7, 8_000, 9)] {
        scene.receive_count(number, 12, came(19), Peak { members: 13, ago_ms });
        assert_eq!(scene.accounts("a").peak.at_unix_s, own.at_unix_s - earlier_s);
    }
}

#[test]
fn a_peak_that_only_this_node_has_seen_is_announced() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join("a");
    scene.pass(1.0);
    scene.receive_count(3, 5, came(5), Peak { members: 5, ago_ms: 77 });
    assert_eq!(scene.announced_count(1.0).peak.members, 6);
}

#[test]
fn what_only_a_node_without_members_has_seen_is_no_peak_of_its_own() {
    let mut scene = clustered();
    scene.meet(1);
    scene.receive_count(3, 5, came(5), Peak::default());
    assert_eq!(scene.accounts("a").peak.members, 5, "the total of now counts");
    scene.receive_count(4, 2, came(5), Peak::default());
    assert_eq!(scene.accounts("a").peak.members, 2);
    scene.join("a");
    assert_eq!(scene.accounts("a").peak.members, 3);
}

#[test]
fn stays_at_other_nodes_are_stays() {
    let mut scene = clustered();
    scene.meet(1);
    let member = scene.join("a");
    scene.pass(1.5);
    scene.leave(member);
    let mut elsewhere = [0; 16];
    (elsewhere[1], elsewhere[9]) = (300, 4);
    scene.receive_count(3, 1, Sums { stays: elsewhere, ..came(305) }, Peak::default());
    elsewhere[1] += 1;
    let accounts = scene.accounts("a");
    assert_eq!((accounts.connections, accounts.stays), (306, elsewhere));
    scene.receive_count(4, 0, Sums { stays: elsewhere, ..came(305) }, Peak::default());
    scene.receive(5, BYE);
    scene.pass(70.0);
    // The meter itself panics if a histogram outlives its namespace.
    assert_eq!((scene.members("a"), scene.meter().namespaces().len()), (None, 0), "nothing is left behind");
}

#[test]
fn an_event_without_a_counted_member_has_no_end() {
    let mut scene = lone();
    let members = [scene.join_uncounted("a"), scene.join("b")];
    for member in members {
        scene.leave(member);
    }
    let ended = endings(scene.pass(70.0));
    assert_eq!(ended.iter().map(|ending| &*ending.namespace).collect::<Vec<_>>(), ["b"]);
    assert_eq!(scene.members("a"), None);
}

#[test]
fn an_event_that_goes_on_elsewhere_does_not_end_with_this_node() {
    let mut scene = clustered();
    let last_endings = |scene: &mut Scene| {
        let now = scene.now();
        let mut from = NamespaceId::FIRST;
        let mut departure = scene.meter().departure(now);
        departure.decide(false).map(|is_reporter| {
            if is_reporter { std::iter::from_fn(|| departure.next_ending(&mut from)).count() } else { 0 }
        })
    };
    scene.meet(1);
    scene.join("a");
    scene.world.step(0, Node::say_goodbye);
    assert_eq!(last_endings(&mut scene), None, "it is not known whether the peer goes on");
    scene.receive(3, BYE);
    assert_eq!(last_endings(&mut scene), None, "it may have been taken for gone before");
    let answer = |of, stance| News::GoodbyeReceived { of, stance, version: 0 };
    scene.receive(4, answer(PEER, Stance::GoesOn));
    assert_eq!(last_endings(&mut scene), None, "that is about another node");
    scene.receive(5, answer(HERE, Stance::Departs));
    assert_eq!(last_endings(&mut scene), Some(1), "its name is less than the peer's");
    let mut scene = clustered();
    scene.meet(1);
    scene.join("a");
    scene.world.step(0, Node::say_goodbye);
    scene.receive(3, answer(HERE, Stance::GoesOn));
    assert_eq!(last_endings(&mut scene), Some(0), "the peer goes on with it");
}

#[test]
fn of_the_nodes_that_have_had_members_one_reports_and_if_none_is_left_one_of_all() {
    // Nodes 1 and 7 rank differently in each.
    let names: Vec<&'static str> = (0..32).map(|number| &*format!("event{number}").leak()).collect();
    let reported = |has_own: bool, has_other: bool, is_other_gone: bool| {
        let cluster = Some(ClusterRules { node_timeout: s(600.0), ..ClusterRules::default() });
        let mut scene = Scene::new(|setting| (setting.cluster, setting.names) = (cluster, names.clone()));
        scene.meet(1);
        if has_other {
            let empty = |&name| Item::Count(Count { uncounted: 0, ..count(name, 0, Age::default()) });
            scene.receive(
                3,
                News::Report { from: 0, to: 9, horizon: 0, name: 0, items: names.iter().map(empty).collect() },
            );
        }
        for name in names.iter().filter(|_| has_own) {
            let member = scene.join(name);
            scene.leave(member);
        }
        if is_other_gone {
            scene.receive(4, BYE);
        }
        let (first, later) = (endings(scene.pass(61.0)).len(), endings(scene.pass(9.0)).len());
        assert_eq!(first + later, names.len(), "a node that does not report in its turn is passed over");
        first
    };
    assert_eq!((reported(true, false, false), reported(false, true, false)), (names.len(), 0));
    assert_eq!((reported(true, true, true), reported(false, true, true)), (names.len(), names.len()));
    let shared = reported(true, true, false);
    assert!((4..=28).contains(&shared), "{shared} of {}, and node 7 the others", names.len());
}

#[test]
fn no_sum_of_a_node_falls_and_while_it_is_there_it_alone_says_how_long() {
    let mut scene = clustered();
    scene.meet(1);
    let mut sums = Sums { member_ticks: 600, ..came(9) };
    scene.receive_count(3, 0, sums, Peak::default());
    scene.receive_count(4, 0, Sums { connections: 5, ..sums }, Peak::default());
    assert_eq!((scene.members("a"), scene.accounts("a").member_ms), (Some((0, 9)), 6_000));
    sums.member_ticks = 1_000;
    let share = DepartedShare { node: PEER, namespace: "a", sums, age: Age::default(), peak: Peak::default() };
    scene.receive(5, News::DepartedShares(vec![share.clone()]));
    assert_eq!(scene.accounts("a").member_ms, 6_000, "it has not said so itself");
    scene.receive(6, BYE);
    let other = NodeId(8);
    scene.meet_node(other);
    assert_eq!(scene.receive_from(other, 3, News::DepartedShares(vec![share])), Ok(()));
    assert_eq!(scene.accounts("a").member_ms, 10_000, "another received more of it before it went");
}

#[test]
fn an_uncounted_member_is_no_join() {
    let mut scene = Scene::new(|setting| setting.rules.increment_delay = s(3.0));
    scene.meet(1);
    scene.join("a");
    scene.pass(4.0);
    let uncounted = scene.join_uncounted("a");
    let now = scene.now();
    let mut cursor = scene.meter().read_history("a", now).unwrap();
    let rows = std::iter::from_fn(|| scene.meter().next_history_row(&mut cursor, now));
    assert_eq!(rows.map(|(_, row)| (row.joins, row.leaves)).collect::<Vec<_>>(), [(1, 0)]);
    // It waits to be counted then, and is uncounted nowhere.
    scene.pass(0.5);
    scene.count(uncounted);
    let count = scene.announced_count(0.5);
    assert_eq!((count.members, count.uncounted), (1, 0));
}

#[test]
fn an_event_that_is_older_than_the_process_lasts_since_it_began() {
    let mut scene = clustered();
    scene.meet(1);
    let day_s = 86_400;
    // With a second more, for the ticks that the datagrams take.
    let sums = Sums { member_ticks: (day_s + 1) * 100 * 4, ..came(4) };
    let age = Age { existed_ms: day_s * 1_000, empty_ms: 0 };
    let peak = Peak { members: 4, ago_ms: day_s * 500 };
    let count = Count { namespace: "a", members: 4, uncounted: 0, waiting: 0, sums, age, peak };
    scene.receive(3, News::Report { from: 2, to: 3, horizon: 0, name: 0, items: vec![Item::Count(count)] });
    let (accounts, now_s) = (scene.accounts("a"), scene.now().unix_s());
    assert_eq!((accounts.lasted_ms, accounts.average_hundredths()), (day_s * 1_000, 400));
    assert_eq!(accounts.peak, meter::Peak { members: 4, at_unix_s: now_s - day_s / 2 });
    assert_eq!(scene.created("a"), now_s - day_s);
    // The age goes on, at this node and in what it announces.
    scene.join("a");
    let count = scene.announced_count(1.0);
    assert!((day_s * 1_000..day_s * 1_000 + 1_500).contains(&count.age.existed_ms), "{count:?}");
    assert_eq!(scene.created("a"), now_s - day_s);
}

#[test]
fn a_wall_clock_that_is_set_changes_what_is_shown_and_nothing_else() {
    let mut scene = lone();
    scene.world.set_wall_clock(0, 7);
    scene.join("a");
    scene.pass_ticks(300);
    scene.world.set_wall_clock(0, 1_300_000_003_000);
    let accounts = scene.accounts("a");
    assert_eq!((accounts.lasted_ms, accounts.average_hundredths()), (3_000, 100));
    assert_eq!((accounts.peak.at_unix_s, scene.created("a")), (1_300_000_000, 1_300_000_000));
}

#[test]
fn a_creation_is_taken_over_from_any_node_if_it_is_clearly_earlier() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join("a");
    let now_s = scene.now().unix_s();
    for (number, existed_ms, earlier_s) in [(3, 490, 0), (4, 3_000, 3), (5, 2_000, 3), (6, (1 << 56) - 1, now_s)] {
        let age = Age { existed_ms, empty_ms: 0 };
        let count =
            Count { namespace: "a", members: 4, uncounted: 0, waiting: 0, sums: came(4), age, peak: Peak::default() };
        let (from, to) = (number - 1, number);
        scene.receive(number, News::Report { from, to, horizon: 0, name: 0, items: vec![Item::Count(count)] });
        assert_eq!(scene.created("a"), now_s - earlier_s, "{existed_ms}");
    }
    assert_eq!(scene.announced_count(1.0).age.existed_ms, AGE_MS_MAX, "it fits into a datagram");
}
