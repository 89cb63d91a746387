//! Members whose streams are lost, and who come back or do not.

use super::*;

fn patient(change: impl FnOnce(&mut Rules)) -> Scene {
    Scene::new(|rules| {
        rules.leave_delay = s(10.0);
        change(rules);
    })
}

impl Scene {
    fn waiting(&self, name: &str) -> u64 {
        self.meter.find(name).map_or(0, |id| self.meter.book.at(id).waiting())
    }

    fn stream(&mut self, name: &str, uuid: &str) -> Option<u64> {
        self.meter.uuids(self.now).stream(name, uuid)
    }

    fn say(&mut self, stream: Option<u64>, is_away: bool) {
        self.meter.uuids(self.now).leave("a", "u", Leaving { stream, is_away });
    }

    fn stays(&self, name: &str) -> u64 {
        let id = self.meter.find(name).unwrap();
        self.meter.accounts(id, self.now).stays.iter().sum()
    }
}

#[test]
fn a_lost_member_that_comes_back_was_never_gone() {
    let mut scene = patient(|_| {});
    scene.claim(0, "a", "u");
    scene.join(1, "a");
    scene.pass(30.0);
    scene.leave(0);
    assert_eq!((scene.members("a"), scene.waiting("a")), (Some((2, 2)), 1));
    assert!(scene.pass(9.9).is_empty(), "nothing has changed");
    assert_eq!(scene.claim(2, "a", "u"), Some(2));
    assert_eq!((scene.members("a"), scene.waiting("a"), scene.stays("a")), (Some((2, 2)), 0, 0));
    assert!(scene.pushed().is_empty());
    scene.pass(60.0);
    assert_eq!(scene.members("a"), Some((2, 2)), "the time that it had waited until is over");
    scene.say(None, false);
    let id = scene.meter.find("a").unwrap();
    let accounts = scene.meter.accounts(id, scene.now);
    assert_eq!(accounts.stays.iter().rposition(|&count| count == 1), Some(7), "one stay of 99.9 s: {accounts:?}");
    assert_eq!(accounts.member_ms, 2 * 99_900, "of both");
}

#[test]
fn a_lost_member_that_stays_away_is_counted_for_the_delay() {
    let mut scene = patient(|_| {});
    scene.claim(0, "a", "u");
    scene.join(1, "a");
    scene.join(2, "a");
    scene.pass(30.0);
    scene.leave(0);
    assert_eq!(scene.pass(20.0).first(), Some(&(10_010, 2)));
    assert_eq!((scene.members("a"), scene.waiting("a"), scene.stays("a")), (Some((2, 3)), 0, 1));
    assert_eq!(scene.claim(0, "a", "u"), Some(3), "it is a new one");
    assert_eq!(scene.members("a"), Some((3, 4)));
}

#[test]
fn a_member_without_a_uuid_or_a_count_waits_for_nothing() {
    let mut scene = patient(|rules| rules.increment_delay = s(1.0));
    scene.join(0, "a");
    scene.claim(1, "b", "u");
    scene.meter.join_uncounted(MemberId::new(2), "c", Some("u"), scene.now);
    scene.pass(0.5);
    scene.leave(1);
    scene.leave(2);
    assert_eq!((scene.members("b"), scene.members("c")), (None, None), "they leave no trace");
    scene.pass(5.0);
    scene.leave(0);
    assert_eq!(scene.members("a"), Some((0, 1)));
    let mut prompt = Scene::new(|_| {});
    prompt.claim(0, "a", "u");
    assert_eq!(prompt.stream("a", "u"), None);
    prompt.leave(0);
    assert_eq!(prompt.members("a"), Some((0, 1)), "without a delay none waits");
}

#[test]
fn a_place_that_waits_alone_keeps_its_event_and_ends_it_when_it_is_over() {
    let mut scene = patient(|rules| rules.namespace_clean_delay = s(1.0));
    scene.claim(0, "a", "u");
    scene.pass(3.0);
    scene.leave(0);
    assert!(scene.pass(9.0).is_empty(), "there is no member to push to");
    assert_eq!(scene.members("a"), Some((1, 1)));
    // It was over after ten seconds, and that it was is announced for as long.
    scene.pass(14.0);
    assert_eq!(scene.members("a"), None);
}

#[test]
fn a_second_stream_of_a_uuid_takes_the_place_over() {
    let mut scene = patient(|_| {});
    scene.claim(0, "a", "u");
    let first = scene.stream("a", "u");
    scene.pass(5.0);
    assert_eq!(scene.claim(1, "a", "u"), Some(1));
    assert_eq!(scene.meter.poll_output(), Some(Output::Farewell(MemberId::new(0))));
    assert!(scene.stream("a", "u") > first);
    scene.leave(0);
    assert_eq!((scene.members("a"), scene.waiting("a"), scene.stays("a")), (Some((1, 1)), 0, 0));
    scene.meter.join_uncounted(MemberId::new(2), "a", Some("u"), scene.now);
    assert_eq!((scene.members("a"), scene.stays("a")), (Some((0, 1)), 1), "one that is not counted takes no place");
}

#[test]
fn a_page_that_leaves_ends_its_own_stream_and_no_later_one() {
    let mut scene = patient(|_| {});
    scene.claim(0, "a", "u");
    let first = scene.stream("a", "u");
    scene.claim(1, "a", "u");
    let second = scene.stream("a", "u");
    scene.outputs();
    for is_away in [false, true] {
        scene.say(first, is_away);
        assert_eq!((scene.meter.poll_output(), scene.waiting("a")), (None, 0), "it came late");
    }
    scene.say(second, false);
    assert_eq!(scene.meter.poll_output(), Some(Output::Left(MemberId::new(1))));
    assert_eq!(scene.members("a"), Some((0, 1)));
}

#[test]
fn the_place_of_a_page_that_is_away_is_kept_for_five_seconds() {
    let mut scene = patient(|_| {});
    scene.join(9, "a");
    for is_lost_first in [false, true] {
        scene.claim(0, "a", "u");
        let stream = scene.stream("a", "u");
        if is_lost_first {
            scene.leave(0);
        }
        scene.say(stream, true);
        let last_word = scene.meter.poll_output();
        assert_eq!(last_word, (!is_lost_first).then_some(Output::Left(MemberId::new(0))));
        scene.leave(0);
        assert_eq!(scene.waiting("a"), 1);
        scene.pass(4.9);
        assert_eq!(scene.waiting("a"), 1);
        scene.say(stream, true);
        scene.pass(0.2);
        assert_eq!(
            (scene.waiting("a"), scene.members("a").map(|(total, _)| total)),
            (0, Some(1)),
            "once more is no longer"
        );
    }
    let mut short = patient(|rules| rules.leave_delay = s(1.0));
    short.claim(0, "a", "u");
    short.say(None, true);
    short.outputs();
    short.pass(1.1);
    assert_eq!(short.members("a"), Some((0, 1)), "no longer than the delay");
}
