//! What an event comes to: alone, and with what other nodes tell of their share.

use super::*;
use crate::meter::news::Peak;
use crate::meter::{Accounts, Ending};

impl Scene {
    /// Lets time pass, on the wall as well.
    fn wait(&mut self, seconds: f64) -> Vec<Output> {
        let outputs = self.pass_in_company(seconds);
        self.now.unix_ms += u64::try_from(s(seconds).as_millis()).unwrap();
        outputs
    }

    fn accounts(&self, name: &str) -> Accounts {
        self.meter.accounts(self.meter.find(name).unwrap(), self.now)
    }

    /// Hears from node 7 that it has so many members in `a`, and what else it says of that.
    fn hear_count(&mut self, number: u64, members: u32, sums: news::Sums, peak: Peak) {
        let age = news::Age { created_unix_s: self.now.unix_s(), empty_ms: 0 };
        let count = news::Count { namespace: "a", members, uncounted: 0, sums, age, peak };
        let (from, to) = (number - 1, number);
        self.hear(number, News::Report { from, to, horizon: 0, items: vec![news::Item::Count(count)] });
    }
}

/// So many who ever came.
fn came(connections: u64) -> news::Sums {
    news::Sums { connections, ..news::Sums::default() }
}

/// The count that is all that the first report of these tells.
fn told_count(outputs: Vec<Output>) -> news::Count<Rc<str>> {
    let items = outputs.into_iter().find_map(|output| match output {
        Output::Send(Datagram { news: News::Report { items, .. }, .. }) => Some(items),
        _ => None,
    });
    let [news::Item::Count(count)] = &items.expect("a report")[..] else { panic!("it tells more") };
    count.clone()
}

fn endings(outputs: Vec<Output>) -> Vec<Ending> {
    let ended = |output| if let Output::Ended(ending) = output { Some(*ending) } else { None };
    outputs.into_iter().filter_map(ended).collect()
}

#[test]
fn an_event_lasts_until_it_is_empty_and_a_stay_from_join_to_leave() {
    let mut scene = Scene::new(|_| {});
    scene.join(0, "a");
    scene.join(1, "a");
    scene.pass(3.0);
    scene.leave(0);
    scene.pass(5.0);
    scene.leave(1);
    scene.pass(20.0);
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
    scene.join(0, "a");
    let peak = Peak { members: 9, at_unix_s: 77 };
    scene.hear_count(3, 2, came(9), peak);
    assert_eq!((scene.members("a"), scene.accounts("a").peak), (Some((3, 10)), peak));
    scene.hear_count(4, 12, came(19), peak);
    let own = Peak { members: 13, at_unix_s: scene.now.unix_s() };
    assert_eq!(scene.accounts("a").peak, own, "nobody else has seen that many");
}

#[test]
fn a_peak_that_only_this_node_has_seen_is_told() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join(0, "a");
    scene.wait(1.0);
    scene.hear_count(3, 5, came(5), Peak { members: 5, at_unix_s: 77 });
    assert_eq!(told_count(scene.wait(1.0)).peak.members, 6);
}

#[test]
fn what_only_a_bystander_has_seen_is_no_peak_of_its_own() {
    let mut scene = clustered();
    scene.meet(1);
    scene.hear_count(3, 5, came(5), Peak::default());
    assert_eq!(scene.accounts("a").peak.members, 5, "but there are as many now");
    scene.hear_count(4, 2, came(5), Peak::default());
    assert_eq!(scene.accounts("a").peak.members, 2);
    scene.join(0, "a");
    assert_eq!(scene.accounts("a").peak.members, 3);
}

#[test]
fn stays_at_other_nodes_are_stays() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join(0, "a");
    scene.wait(1.5);
    scene.leave(0);
    let mut elsewhere = [0; 16];
    (elsewhere[1], elsewhere[9]) = (300, 4);
    scene.hear_count(3, 1, news::Sums { stays: elsewhere, ..came(305) }, Peak::default());
    elsewhere[1] += 1;
    let accounts = scene.accounts("a");
    assert_eq!((accounts.connections, accounts.stays), (306, elsewhere));
    scene.hear_count(4, 0, news::Sums { stays: elsewhere, ..came(305) }, Peak::default());
    scene.hear(5, News::Bye);
    scene.wait(70.0);
    assert_eq!((scene.members("a"), scene.meter.book.stays.len()), (None, 0), "nothing is left behind");
}

#[test]
fn what_nobody_was_counted_in_has_no_end() {
    let mut scene = Scene::new(|_| {});
    scene.join_uncounted(0, "a");
    scene.join(1, "b");
    scene.leave(0);
    scene.leave(1);
    let ended = endings(scene.wait(70.0));
    assert_eq!(ended.iter().map(|ending| &*ending.namespace).collect::<Vec<_>>(), ["b"]);
    assert_eq!(scene.members("a"), None);
}

#[test]
fn what_goes_on_elsewhere_does_not_end_with_this_node() {
    let mut scene = clustered();
    scene.meet(1);
    scene.join(0, "a");
    scene.meter.announce_departure(scene.now);
    assert_eq!(scene.meter.last_endings(scene.now).count(), 0);
    scene.hear(3, News::Bye);
    assert_eq!(scene.meter.last_endings(scene.now).count(), 1);
}

#[test]
fn of_those_who_have_had_members_one_reports_and_if_none_is_left_one_of_all() {
    // Nodes 1 and 7 rank differently in each.
    let names: Vec<String> = (0..32).map(|number| format!("event{number}")).collect();
    let reported = |has_own: bool, has_other: bool, is_other_gone: bool| {
        let mut scene = clustered_with(ClusterRules { node_timeout: s(600.0), ..ClusterRules::default() });
        scene.meet(1);
        let names_here = names.iter().map(String::as_str).collect::<Vec<_>>();
        if has_other {
            let gone = |&namespace| {
                news::Item::Count(news::Count { uncounted: 0, ..count(namespace, 0, news::Age::default()) })
            };
            scene.hear(3, News::Report { from: 0, to: 9, horizon: 0, items: names_here.iter().map(gone).collect() });
        }
        for (member, name) in (0..).zip(&names_here).filter(|_| has_own) {
            scene.join(member, name);
            scene.leave(member);
        }
        if is_other_gone {
            scene.hear(4, News::Bye);
        }
        endings(scene.wait(70.0)).len()
    };
    assert_eq!((reported(true, false, false), reported(false, true, false)), (names.len(), 0));
    assert_eq!((reported(true, true, true), reported(false, true, true)), (names.len(), names.len()));
    let shared = reported(true, true, false);
    assert!((4..=28).contains(&shared), "{shared} of {}, and node 7 the others", names.len());
}

#[test]
fn no_sum_of_a_node_falls_and_who_is_there_knows_best_how_long() {
    let mut scene = clustered();
    scene.meet(1);
    let mut sums = news::Sums { member_ticks: 600, ..came(9) };
    scene.hear_count(3, 0, sums, Peak::default());
    scene.hear_count(4, 0, news::Sums { connections: 5, ..sums }, Peak::default());
    assert_eq!((scene.members("a"), scene.accounts("a").member_ms), (Some((0, 9)), 6_000));
    sums.member_ticks = 1_000;
    let age = news::Age::default();
    let grave = news::DepartedShare { node: NodeId(7), namespace: "a", sums, age, peak: Peak::default() };
    scene.hear(5, News::DepartedShares(vec![grave.clone()]));
    assert_eq!(scene.accounts("a").member_ms, 6_000, "it has not said so itself");
    scene.hear(6, News::Bye);
    scene.meet_node(8);
    let datagram = Datagram { sender: NodeId(8), number: 3, clock: 3, news: News::DepartedShares(vec![grave]) };
    assert_eq!(scene.meter.receive(&datagram, scene.now), Ok(()));
    assert_eq!(scene.accounts("a").member_ms, 10_000, "another heard more of it before it went");
}

#[test]
fn who_is_not_counted_has_not_come() {
    let mut scene = clustered();
    scene.meter.book.rules.increment_delay = s(3.0);
    scene.meter.keep_histories(1);
    scene.meet(1);
    scene.join(0, "a");
    scene.wait(4.0);
    scene.join_uncounted(1, "a");
    let mut cursor = scene.meter.read_history("a", scene.now).unwrap();
    let rows = std::iter::from_fn(|| scene.meter.next_history_row(&mut cursor, scene.now));
    assert_eq!(rows.map(|(_, row)| (row.joins, row.leaves)).collect::<Vec<_>>(), [(1, 0)]);
    // It waits to be counted then, and is uncounted nowhere.
    scene.wait(0.5);
    scene.count(1);
    let count = told_count(scene.wait(0.5));
    assert_eq!((count.members, count.uncounted), (1, 0));
}
