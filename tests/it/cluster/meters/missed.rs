//! What a meter makes of what it has missed: it asks for that once more, or for everything anew.

use super::*;
use audience_meter::meter::news::Wanted;

#[test]
fn a_meter_that_has_missed_an_end_that_is_announced_no_more_asks_for_everything_anew() {
    let mut scene = clustered();
    let alive = |version, horizon| Alive { version, horizon, ..Alive::default() };
    // What was forgotten before the two met was never known here.
    scene.meet_as(1, alive(3, 2));
    let age = Age { existed_ms: 0, empty_ms: 0 };
    let item = Item::Count(count("a", 5, age));
    scene.receive(3, News::Report { from: 0, to: 3, horizon: 0, name: 0, items: vec![item] });
    assert_eq!(scene.members("a"), Some((5, 5)));
    // Its members have left with version 4, which did not arrive, and it does not announce that any more.
    scene.receive(4, News::Alive(alive(6, 4)));
    scene.wake();
    scene.outputs();
    assert_eq!(scene.members("a"), Some((0, 5)));
    assert_eq!(scene.receive_from(PEER, 5, News::Alive(alive(6, 4))), Err(Rejection::Unproven));
    assert_eq!(scene.asked().map(|ask| ask.wanted), Some(Wanted::Items { since: 0 }));
}

#[test]
fn a_report_does_not_make_up_for_what_is_announced_no_more() {
    let mut scene = clustered();
    scene.meet_as(1, Alive { version: 3, horizon: 2, ..Alive::default() });
    scene.receive(3, report_of((0, 3), 2, "a", 5));
    // Members left `a` with version 4, which did not arrive, and the peer forgot it before version 5 announced `b`.
    scene.receive(4, report_of((3, 5), 4, "b", 1));
    assert_eq!((scene.members("a"), scene.members("b")), (Some((5, 5)), Some((1, 5))));
    scene.wake();
    scene.outputs();
    scene.pass(0.05);
    let alive = News::Alive(Alive { version: 5, horizon: 4, ..Alive::default() });
    scene.receive(5, alive.clone());
    scene.wake();
    scene.outputs();
    assert_eq!((scene.members("a"), scene.members("b")), (Some((0, 5)), Some((0, 5))), "it is received anew");
    assert_eq!(scene.receive_from(PEER, 6, alive), Err(Rejection::Unproven));
    assert_eq!(scene.asked().map(|ask| ask.wanted), Some(Wanted::Items { since: 0 }));
}

#[test]
fn a_newcomer_that_receives_all_that_is_forgotten_meanwhile_need_not_begin_anew() {
    let mut scene = clustered();
    scene.meet_as(1, Alive { version: 9, ..Alive::default() });
    assert_eq!(scene.asked().map(|ask| ask.wanted), Some(Wanted::Items { since: 0 }));
    scene.receive(3, report_of((9, 10), 0, "a", 5));
    scene.receive(4, report_of((10, 11), 0, "a", 0));
    scene.receive(5, News::Alive(Alive { version: 11, horizon: 11, ..Alive::default() }));
    scene.receive(6, report_of((0, 8), 11, "b", 1));
    scene.receive(7, report_of((8, 11), 11, "c", 2));
    assert_eq!(scene.asked(), None, "nothing is missing");
    assert_eq!(scene.totals(), [0, 1, 2]);
}

#[test]
fn a_report_from_before_a_node_was_met_has_no_effect_after_it() {
    let mut scene = clustered();
    let item = Item::Count(count("a", 5, Age::default()));
    let report = |horizon, items| News::Report { from: 0, to: 6, horizon, name: 0, items };
    // Meanwhile the members have left, with version 6, and the namespace is forgotten.
    scene.meet_as(2, Alive { version: 6, horizon: 6, ..Alive::default() });
    assert_eq!(scene.asked().map(|ask| ask.wanted), Some(Wanted::Items { since: 0 }));
    assert_eq!(scene.receive_from(PEER, 1, report(0, vec![item])), Err(Rejection::BeforeProof));
    scene.receive(4, report(6, vec![]));
    assert_eq!(scene.members("a"), None);
    assert_eq!(scene.asked(), None, "nothing is missing");
}
