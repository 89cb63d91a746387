//! What a meter makes of what it has missed: it asks for that once more, or hears everything anew.

use super::*;

#[test]
fn who_has_missed_that_a_namespace_was_left_and_forgotten_asks_for_everything_anew() {
    let mut scene = clustered();
    let alive = |version, horizon| news::Alive { version, horizon, ..news::Alive::default() };
    // What was forgotten before it came was never heard of here.
    scene.meet_as(1, alive(3, 2));
    let age = news::Age { created_unix_s: 1, empty_ms: 0 };
    let item = news::Item::Count(count("a", 5, age));
    scene.hear(3, News::Report { from: 0, to: 3, horizon: 0, items: vec![item] });
    assert_eq!(scene.members("a"), Some((5, 5)));
    // Its members have left with version 4, which did not arrive, and it does not tell that any more.
    scene.hear(4, News::Alive(alive(6, 4)));
    scene.outputs();
    assert_eq!(scene.members("a"), Some((0, 5)));
    scene.hear(5, News::Alive(alive(6, 4)));
    assert_eq!(scene.asked().map(|ask| ask.wanted), Some(news::Wanted::Items { since: 0 }));
}

#[test]
fn a_report_does_not_make_up_for_what_is_not_told_any_more() {
    let mut scene = clustered();
    let report = |(from, to), horizon, name, members| {
        let item = news::Item::Count(count(name, members, news::Age::default()));
        News::Report { from, to, horizon, items: vec![item] }
    };
    scene.meet_as(1, news::Alive { version: 3, horizon: 2, ..news::Alive::default() });
    scene.hear(3, report((0, 3), 2, "a", 5));
    // It has left `a` with version 4, which did not arrive, and has forgotten it before it told of `b` with version 5.
    scene.hear(4, report((3, 5), 4, "b", 1));
    assert_eq!((scene.members("a"), scene.members("b")), (Some((5, 5)), Some((1, 5))));
    scene.outputs();
    scene.pass_in_company(0.05);
    let alive = News::Alive(news::Alive { version: 5, horizon: 4, ..news::Alive::default() });
    scene.hear(5, alive.clone());
    scene.outputs();
    assert_eq!((scene.members("a"), scene.members("b")), (Some((0, 5)), Some((0, 5))), "it is heard anew");
    scene.hear(6, alive);
    assert_eq!(scene.asked().map(|ask| ask.wanted), Some(news::Wanted::Items { since: 0 }));
}

#[test]
fn a_newcomer_that_hears_of_all_that_is_left_and_forgotten_meanwhile_need_not_begin_anew() {
    let mut scene = clustered();
    let report = |(from, to), horizon, name, members| {
        let item = news::Item::Count(count(name, members, news::Age::default()));
        News::Report { from, to, horizon, items: vec![item] }
    };
    scene.meet_as(1, news::Alive { version: 9, ..news::Alive::default() });
    scene.hear(3, report((9, 10), 0, "a", 5));
    scene.hear(4, report((10, 11), 0, "a", 0));
    scene.hear(5, News::Alive(news::Alive { version: 11, horizon: 11, ..news::Alive::default() }));
    scene.hear(6, report((0, 8), 11, "b", 1));
    scene.hear(7, report((8, 11), 11, "c", 2));
    assert_eq!(scene.asked(), None, "nothing is missing");
    assert_eq!(scene.totals(), [0, 1, 2]);
}

#[test]
fn what_was_told_before_a_node_was_found_to_be_there_is_not_heard_after_it() {
    let mut scene = clustered();
    let item = news::Item::Count(count("a", 5, news::Age::default()));
    let report = |horizon, items| News::Report { from: 0, to: 6, horizon, items };
    // Meanwhile it was left, with version 6, and forgotten.
    scene.meet_as(2, news::Alive { version: 6, horizon: 6, ..news::Alive::default() });
    scene.hear(1, report(0, vec![item]));
    scene.hear(4, report(6, vec![]));
    assert_eq!(scene.members("a"), None);
    assert_eq!(scene.asked(), None, "nothing is missing");
}

#[test]
fn who_has_heard_what_there_was_is_not_behind_for_what_has_changed_since() {
    let mut scene = clustered();
    scene.pass_in_company(0.1);
    let alive = |version, echo| News::Alive(news::Alive { version, echo, ..news::Alive::default() });
    assert!(scene.meter.has_met_all(scene.now), "there is nobody");
    scene.hear(1, alive(3, None));
    assert!(!scene.meter.has_met_all(scene.now), "somebody may be there");
    let echo = scene.asked().map(|ask| news::Echo { asker: NodeId(1), nonce: ask.nonce });
    scene.hear(2, alive(3, echo));
    assert!(!scene.meter.has_met_all(scene.now), "and has counted somebody");
    let report = |from, to| News::Report { from, to, horizon: 0, items: Vec::new() };
    scene.hear(3, report(0, 2));
    assert!(!scene.meter.has_met_all(scene.now));
    scene.hear(4, report(2, 3));
    assert!(scene.meter.has_met_all(scene.now));
    scene.hear(5, alive(9, None));
    assert!(scene.meter.has_met_all(scene.now) && !scene.meter.knows_all(), "there is always something new");

    // It comes back, or somebody says so, and answers nothing.
    scene.hear(6, News::Bye);
    scene.hear(7, alive(9, None));
    assert!(!scene.meter.has_met_all(scene.now), "a newcomer waits for it");
    scene.pass_in_company(4.0);
    scene.hear(8, alive(9, None));
    scene.pass_in_company(4.0);
    assert!(scene.meter.has_met_all(scene.now) && !scene.meter.knows_all(), "and not for ever");
}
