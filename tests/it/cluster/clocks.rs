//! Hosts whose wall clocks are wrong: in 1970, and two days ahead. Processes of one host stand for them.

use super::siblings::*;
use audience_kit::*;

/// A process whose clock is right, and two whose clocks are not: one hour after the beginning of 1970, and two days ahead.
fn three_clocks(name: &str, options: &[&str]) -> Result<([Daemon; 3], [Time; 2]), String> {
    let times = ["1970", "ahead"].map(|clock| Time::start(&format!("{name}-{clock}")));
    times[0].jump(&format!("-{}", unix_now() - 3_600));
    times[1].jump("+2d");
    let right = start(options);
    let port = right.audience().port().to_string();
    let all = [&["-w", "1", "--port", &port], options].concat();
    let daemons = [right, times[0].daemon(true, &all)?, times[1].daemon(true, &all)?];
    for daemon in &daemons {
        wait_nodes(daemon, 3);
    }
    Ok((daemons, times))
}

/// By how many seconds the clock of each is off.
fn off_s() -> [i64; 3] {
    [0, 3_600 - unix_now().cast_signed(), 2 * 86_400]
}

/// A moment from `began` to `ended`, which the process may show as a second earlier: what it knows from another may be half a
/// second off, and is shown in whole seconds.
#[track_caller]
fn check_date(daemon: &Daemon, off_s: i64, key: &str, began: u64, ended: u64) {
    let shown = daemon.stat("ns", key).unwrap().cast_signed() - off_s;
    let between = began.cast_signed() - 1..=ended.cast_signed() + 1;
    assert!(between.contains(&shown), "{key} is {shown}, not in {between:?}");
}

#[test]
fn an_event_begins_when_it_began_whatever_the_clocks_of_other_hosts_say() {
    let (daemons, times) = match three_clocks("events", &BRISK) {
        Ok(started) => started,
        Err(why) => return skip(&why),
    };
    let off_s = off_s();
    let began = unix_now();
    let _first = join_at(&daemons[1], "/ns").0;
    let joined = unix_now();
    wait_totals(&daemons, "ns", 1);
    pass(ms(2_100));
    let peaks = unix_now();
    let _others = [join_at(&daemons[0], "/ns").0, join_at(&daemons[2], "/ns").0];
    wait_totals(&daemons, "ns", 3);
    let peaked = unix_now();
    pass(ms(2_100));
    for (daemon, off_s) in daemons.iter().zip(off_s) {
        check_date(daemon, off_s, "created", began, joined);
        check_date(daemon, off_s, "peak_at", peaks, peaked);
        // One member for two seconds, and three for as long.
        let average = daemon.stats()["ns"]["average"].as_f64().unwrap();
        assert!((1.3..2.7).contains(&average), "{average}");
    }
    // A clock that is set right shows right what happened before.
    for time in &times {
        time.jump("+0");
    }
    for daemon in &daemons {
        wait_until("the clock is right", || {
            daemon.stat("ns", "created").is_some_and(|created| created.abs_diff(began) < 60)
        });
        check_date(daemon, 0, "created", began, joined);
    }
}

#[test]
fn a_person_that_moves_counts_once_whatever_the_clocks_of_the_hosts_say() {
    let (daemons, _times) = match three_clocks("persons", &[&["--enable-uuid"], &BRISK[..]].concat()) {
        Ok(started) => started,
        Err(why) => return skip(&why),
    };
    let mut latest = join_at(&daemons[2], "/ns/me").0;
    wait_totals(&daemons, "ns", 1);
    for at in [1, 0, 2, 0, 1, 2] {
        let newer = join_at(&daemons[at], "/ns/me").0;
        latest.wait_farewell();
        wait_totals(&daemons, "ns", 1);
        latest = newer;
    }
}
