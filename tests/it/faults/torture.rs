//! A daemon whose every read takes a byte, whose writes are short, and whose calls fail now and then for no reason: slower,
//! and right all the same. `tests/all` has the other tests meet such daemons too; these are about the option itself.

use std::process::Command;

use audience_kit::*;

/// The daemon, and nothing of the environment that would have it tortured.
fn untouched() -> Command {
    let mut command = Command::new(program());
    command.env_remove("AUDIENCE_METER_TORTURE");
    command
}

/// How many turns it takes to let ten more in one by one, and to say so.
#[track_caller]
fn turns_of_ten_joins(daemon: &Daemon) -> u64 {
    let turns = || process_page(daemon)["turns"]["count"].as_u64().unwrap();
    let before = turns();
    drop(members(daemon, "/brief", 10));
    turns() - before
}

/// What a member is told next, beside counts.
#[track_caller]
fn next_but_counts(stream: &mut Stream) -> Event {
    loop {
        match stream.next_event(SOON) {
            Some(Event::Count(_)) => {}
            other => return other.expect("something"),
        }
    }
}

#[test]
fn a_crowd_is_counted_exactly_and_hears_everything_whole_and_in_order() {
    const CROWD: usize = 150;
    const MESSAGES: usize = 40;
    let options = "--notify-delta-ratio 0 --notify-min-delay 0.02 --notify-max-delay 600 --drain-delay 0.2";
    let options: Vec<&str> = options.split(' ').collect();
    for seed in ["0", "18446744073709551615"] {
        let mut daemon = Daemon::start_with(untouched, &[&options[..], &["--torture", seed]].concat());
        daemon.wait_log("the torture", |line| line == format!("level=warn event=torture seed={seed}"));
        let mut crowd = Vec::new();
        for before in 0..CROWD {
            let (stream, first) = member(&daemon, "/ns");
            assert_eq!(first, before as u64 + 1);
            crowd.push(stream);
        }
        crowd.iter_mut().take(CROWD - 1).for_each(|stream| stream.wait_count(CROWD as u64));
        for number in 0..MESSAGES {
            let text = "x".repeat(number * 50);
            daemon.notify(&format!("/ns/{number}/{text}")).expect_confirmed();
        }
        for stream in &mut crowd {
            for number in 0..MESSAGES {
                let told = Event::Message(format!("{number}={}", "x".repeat(number * 50)));
                assert_eq!(next_but_counts(stream), told);
            }
        }
        drop(crowd.split_off(CROWD / 3));
        for stream in &mut crowd {
            stream.wait_count(CROWD as u64 / 3);
        }
        assert_eq!(daemon.stat("ns", "members"), Some(CROWD as u64 / 3));
        assert_eq!(daemon.stat("ns", "connections"), Some(CROWD as u64));
        let turns = turns_of_ten_joins(&daemon);
        assert!(turns > 200, "the 680 bytes were read in {turns} turns");
        daemon.signal("TERM");
        for stream in &mut crowd {
            assert_eq!(next_but_counts(stream), Event::Closed);
        }
        assert_eq!(daemon.wait_exit().code(), Some(0));
    }
}

#[test]
fn workers_are_tortured_with_their_supervisor() {
    let tortured = || {
        let mut command = untouched();
        command.env("AUDIENCE_METER_TORTURE", "17");
        command
    };
    let by_option = Daemon::start_with(untouched, &["-w", "2", "--torture=17"]);
    for daemon in [Daemon::start_with(tortured, &["-w", "2"]), by_option] {
        let told = |line: &String| line == "level=warn event=torture seed=17";
        wait_until("both workers", || daemon.log().into_iter().filter(told).count() == 2);
        drop(members(&daemon, "/ns", 10));
        daemon.wait_members("ns", 0);
    }
}

#[test]
fn nobody_is_tortured_unasked() {
    let daemon = Daemon::start_with(untouched, &[]);
    let turns = turns_of_ten_joins(&daemon);
    assert!(turns < 100, "{turns} turns");
    assert!(!daemon.log().iter().any(|line| line.contains("torture")), "{:#?}", daemon.log());
}
