//! The page `/process`: which process answers, how full it is, how long its turns were, and why connections ended.

use std::io::Write;
use std::net::TcpStream;

use audience_kit::*;
use serde_json::Value;

/// How many turns each bucket has, after a look at its bounds.
#[track_caller]
fn turns_by_length(page: &Value, figure: &str) -> Vec<u64> {
    let histogram = page[figure]["histogram"].as_array().unwrap();
    let bounds: Vec<Option<u64>> = histogram.iter().map(|bucket| bucket["below_us"].as_u64()).collect();
    let powers = (4..=14).map(|power| Some(1 << power));
    assert_eq!(bounds, powers.chain([None]).collect::<Vec<_>>());
    histogram.iter().map(|bucket| bucket["turns"].as_u64().unwrap()).collect()
}

#[test]
fn the_process_page_says_who_answers_how_full_it_is_and_how_long_its_turns_were() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let before = process_page(&daemon);
    let open = members(&daemon, "/watched", 3);
    let _silent = connect(daemon.audience());
    // Connections are accepted in order: this one comes after the silent one.
    let _other = member(&daemon, "/other");
    // The one that asks is open, too.
    wait_until("that earlier ones are gone", || process_page(&daemon)["open"] == 6);
    let page = process_page(&daemon);
    let cluster: Value = serde_json::from_str(&get(daemon.stats_port(), "/cluster").body).unwrap();
    assert_eq!(page["audience_port"], daemon.audience().port());
    assert_eq!((&page["node"], &page["pid"]), (&cluster["node"], &daemon.pid().into()));
    assert_eq!((&page["members"], &before["members"]), (&4.into(), &0.into()));
    assert!(page["uptime_s"].as_u64() < Some(3_600), "{page}");
    let keys = [
        "audience_port",
        "closed",
        "members",
        "node",
        "open",
        "pid",
        "refused",
        "turns",
        "turns_cpu",
        "uptime_s",
        "watchers",
    ];
    assert!(page.as_object().unwrap().keys().eq(keys), "{page}");

    for figure in ["turns", "turns_cpu"] {
        let count = |page: &Value| page[figure]["count"].as_u64().unwrap();
        assert!(count(&page) > count(&before), "{before} {page}");
        assert_eq!(turns_by_length(&page, figure).iter().sum::<u64>(), count(&page));
        let longest = page[figure]["longest_us"].as_u64().unwrap();
        assert!(longest >= before[figure]["longest_us"].as_u64().unwrap());
        // The longest is in the last bucket that has any.
        let last = turns_by_length(&page, figure).iter().rposition(|&turns| turns > 0).unwrap();
        let bound = page[figure]["histogram"][last]["below_us"].as_u64();
        assert!(bound.is_none_or(|bound| longest < bound) && (last == 0 || longest >= 8 << last), "{page}");
    }
    assert!(page["turns_cpu"]["longest_us"].as_u64() <= page["turns"]["longest_us"].as_u64(), "{page}");
    assert_eq!(page["turns_cpu"]["count"], page["turns"]["count"]);
    drop(open);
    wait_until("that they have left", || process_page(&daemon)["members"] == 1);
}

#[test]
fn closes_are_counted_by_reason() {
    let daemon = Daemon::start(&["--notify-min-delay", "600", "--max-conn-duration", "2", "--head-timeout", "0.3"]);
    let before = process_page(&daemon)["closed"].clone();
    let reasons = [
        "lingered",
        "max_duration",
        "no_head_room",
        "no_memory",
        "peer_closed",
        "peer_reset",
        "peer_timeout",
        "proxy_head",
        "shutdown",
        "too_much",
        "too_slow",
    ];
    assert!(before.as_object().unwrap().keys().eq(reasons), "{before}");
    let since =
        |reason: &str| process_page(&daemon)["closed"][reason].as_u64().unwrap() - before[reason].as_u64().unwrap();
    // Each of those who ask closes in turn, so this reason is only ever more.
    drop(members(&daemon, "/left", 3));
    wait_until("those who left", || since("peer_closed") >= 3);
    let mut stays = members(&daemon, "/stays", 2);
    // With something unread, the kernel sends a reset.
    let unread = connect_unread(&daemon);
    drop(unread);
    wait_until("the one who broke off", || since("peer_reset") == 1);
    for stream in &mut stays {
        stream.expect_closed();
    }
    wait_until("those who stayed", || since("max_duration") == 2);
    // One who is told that its head is late, and does not close.
    let _silent = connect(daemon.audience());
    wait_until("the one who lingers", || since("lingered") == 1);
    assert_eq!((since("too_slow"), since("too_much"), since("peer_timeout")), (0, 0, 0));
}

/// A member that has not read what it was told.
#[track_caller]
fn connect_unread(daemon: &Daemon) -> TcpStream {
    let mut socket = connect(daemon.audience());
    socket.write_all(join_request("/unread", "").as_bytes()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    assert!(socket.peek(&mut [0; 64]).unwrap() > 0);
    socket
}
