//! When a count is pushed: the notify rule in each of its clauses.
//!
//! Times are held against bounds that a busy machine cannot break: a lower bound is measured from before the cause, an upper one
//! is told apart from the next later reason by a second or more.

use super::stream::{NO_REPEAT, prompt};
use audience_kit::*;

#[test]
fn the_first_change_after_a_quiet_min_delay_is_told_at_once() {
    let _quiet = timed();
    let min_delay = ms(1_000);
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "1"]].concat());
    let (mut first, _) = member(&daemon, "/quiet");
    first.expect_silence(min_delay + ms(100));

    let before_second = now();
    let (second, _) = member(&daemon, "/quiet");
    assert_eq!(first.next_count(ms(800)), 2, "at once, not a delay later");
    let (third, _) = member(&daemon, "/quiet");
    first.expect_count(3);
    let since = before_second.elapsed();
    assert!(since + TICK >= min_delay, "twice within the delay: {since:?}");
    drop((second, third));
}

#[test]
fn a_change_is_told_no_later_than_the_default_min_delay_of_two_seconds() {
    let _quiet = timed();
    let daemon = Daemon::start(&[]);
    let (mut first, _) = member(&daemon, "/default");
    let (second, _) = member(&daemon, "/default");
    assert_eq!(first.next_count(ms(2_900)), 2);
    drop(second);
}

#[test]
fn counts_are_never_pushed_twice_within_the_min_delay() {
    let min_delay = ms(250);
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "0.25"]].concat());
    let (mut watcher, _) = member(&daemon, "/often");
    let before = now();
    let (mut pushes, mut others, mut heard) = (0, Vec::new(), 1);
    while pushes < 5 {
        others.extend(members(&daemon, "/often", 3));
        let count = watcher.next_count(SOON);
        assert!(count > heard, "{count} after {heard}");
        (heard, pushes) = (count, pushes + 1);
    }
    let since = before.elapsed();
    assert!(since + TICK >= min_delay * 4, "{pushes} pushes in {since:?}");
}

#[test]
fn with_a_budget_counts_come_at_the_pace_of_the_audience() {
    let args = ["--notify-delta-ratio", "0", "--notify-min-delay", "0", "--notify-budget", "16"];
    let daemon = Daemon::start(&[&NO_REPEAT[..], &args].concat());
    let mut streams = members(&daemon, "/many", 8);
    // A count of another event takes its part of the budget.
    let others = members(&daemon, "/more", 8);
    streams[0].wait_count(8);
    let mut pushed = Vec::new();
    for _ in 0..3 {
        streams.push(member(&daemon, "/many").0);
        streams[0].next_count(SOON);
        pushed.push(now());
    }
    let since = pushed[2] - pushed[0];
    assert!(since + TICK >= ms(2_000), "three counts to 17 members or more in {since:?}");
    drop(others);
}

#[test]
fn a_message_does_not_wait_for_the_budget() {
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "0", "--notify-budget", "1"]].concat());
    let mut streams = members(&daemon, "/many", 120);
    // The count waits for two minutes by now.
    daemon.notify("/many/news/on").expect_confirmed();
    let next = std::iter::from_fn(|| streams[0].next(SOON)).find(|event| matches!(event, Event::Message(_)));
    assert_eq!(next, Some(Event::Message("news=on".to_owned())));
    streams[0].expect_silence(ms(300));
}

#[test]
fn changes_within_the_min_delay_are_told_as_one_count() {
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "0.8"]].concat());
    let (mut watcher, _) = member(&daemon, "/gather");
    watcher.expect_silence(ms(900));
    let first = member(&daemon, "/gather");
    watcher.expect_count(2);
    let others = members(&daemon, "/gather", 10);
    watcher.expect_count(12);
    drop((first, others));
}

#[test]
fn a_change_below_the_delta_ratio_is_not_told() {
    let daemon = prompt(&["--notify-delta-ratio", "0.5"]);
    let mut streams = members(&daemon, "/ratio", 3);
    for stream in &mut streams[..2] {
        stream.wait_count(3);
    }
    // floor(3 * 0.5) = 1: one more is told.
    streams.push(member(&daemon, "/ratio").0);
    streams[0].expect_count(4);
    // floor(4 * 0.5) = 2: one more is not.
    streams.push(member(&daemon, "/ratio").0);
    streams[0].expect_silence(ms(500));
    // Two are.
    streams.push(member(&daemon, "/ratio").0);
    streams[0].expect_count(6);
    // floor(6 * 0.5) = 3: it holds for those who leave, too.
    streams.truncate(4);
    daemon.wait_members("ratio", 4);
    streams[0].expect_silence(ms(500));
    streams.truncate(3);
    streams[0].expect_count(3);
}

#[test]
fn by_default_a_tenth_must_differ() {
    let daemon = prompt(&[]);
    let mut streams = members(&daemon, "/tenth", 20);
    streams[0].wait_count(20);
    streams.push(member(&daemon, "/tenth").0);
    streams[0].expect_silence(ms(400));
    streams.push(member(&daemon, "/tenth").0);
    streams[0].expect_count(22);
}

#[test]
fn an_unchanged_count_is_told_again_after_the_max_delay() {
    let max_delay = ms(500);
    let daemon = Daemon::start(&["--notify-min-delay", "0.1", "--notify-max-delay", "0.5"]);
    let before = now();
    let (mut stream, _) = member(&daemon, "/again");
    for times in 1..=3 {
        stream.expect_count(1);
        let since = before.elapsed();
        assert!(since + TICK >= max_delay * times, "time {times} after {since:?}");
    }
}

#[test]
fn a_change_below_the_ratio_is_told_after_the_max_delay() {
    let args = ["--notify-min-delay", "0.1", "--notify-max-delay", "1", "--notify-delta-ratio", "50"];
    let daemon = Daemon::start(&args);
    let before = now();
    let (mut first, _) = member(&daemon, "/late");
    let (second, _) = member(&daemon, "/late");
    first.expect_count(2);
    let since = before.elapsed();
    assert!(since + TICK >= ms(1_000), "told after {since:?}");
    drop(second);
}

#[test]
fn those_who_stay_hear_that_others_left() {
    let daemon = prompt(&[]);
    let mut streams = members(&daemon, "/leave", 4);
    streams[0].wait_count(4);
    for left in (1..4).rev() {
        streams.pop();
        streams[0].expect_count(left);
    }
}

#[test]
fn nobody_is_pushed_the_number_its_first_count_has_told() {
    let daemon = prompt(&[]);
    let mut streams = members(&daemon, "/once", 3);
    streams[0].wait_count(3);
    streams[2].expect_silence(ms(300));
    streams[0].expect_silence(ms(1));
}

#[test]
fn a_member_alone_hears_its_count_once() {
    let daemon = prompt(&[]);
    let (mut stream, count) = member(&daemon, "/alone");
    assert_eq!(count, 1);
    stream.expect_silence(ms(400));
}

#[test]
fn namespaces_do_not_hear_each_other() {
    let daemon = prompt(&[]);
    let (mut one, _) = member(&daemon, "/one");
    let (mut two, count) = member(&daemon, "/two");
    assert_eq!(count, 1);
    let (third, count) = member(&daemon, "/two");
    assert_eq!(count, 2);
    two.expect_count(2);
    one.expect_silence(ms(300));
    drop(third);
}
