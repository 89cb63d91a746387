//! Watchers that do not take what they are told, and too many of them: no member and no other watcher notices.

use std::net::Ipv4Addr;

use super::watcher::*;
use audience_kit::*;

#[test]
fn who_does_not_listen_costs_nobody_anything_and_hears_the_newest_in_the_end() {
    let _quiet = heavy();
    let daemon = Daemon::start(&["--allow-listen"]);
    let name = |number: usize| format!("{number:0>250}");
    let join = |number: usize| Stream::open(daemon.audience(), join_request(&format!("/{}", name(number)), ""));
    let mut deaf = Watcher::of(daemon.audience(), "*");
    let mut other = Watcher::of(daemon.audience(), "*");
    other.wait("*", 0);
    // Each time, 300 totals of 250 bytes change: more than the kernel keeps for anybody in the end.
    let mut streams = Vec::new();
    for times in 1..=12 {
        streams.extend((0..300).map(join));
        other.wait("*", 300 * times);
        for number in 0..300 {
            other.wait(&name(number), times);
        }
    }
    deaf.wait("*", 3600);
    for number in 0..300 {
        deaf.wait(&name(number), 12);
    }
    assert!(deaf.tellings < other.tellings, "{} of {}", deaf.tellings, other.tellings);
    drop(streams);
    deaf.wait("*", 0);
}

#[test]
fn who_never_listens_is_sent_away_in_the_end() {
    let _quiet = heavy();
    // By default it would be given up as a dead peer just before.
    let daemon = Daemon::start(&["--allow-listen", "--peer-timeout", "100"]);
    let mut deaf = Watcher::of(daemon.audience(), "*");
    let mut other = Watcher::of(daemon.audience(), "*");
    deaf.wait("*", 0);
    other.wait("*", 0);
    // 30 tellings of which it takes nothing, and those until the kernel has no more room for it.
    let deadline = Deadline::after(ms(120_000));
    let (mut streams, mut total) = (Vec::new(), 0);
    while figure(&daemon, "closed", "too_slow") == 0 {
        assert!(deadline.left().is_some(), "it is still there after {total} tellings");
        total += 1;
        // Six times it is told 75 kB, more than the kernel keeps for it.
        let fill = if total > 6 { 0 } else { 300 };
        streams.extend((0..fill).map(|number| member(&daemon, &format!("/{number:0>250}"))));
        streams.push(member(&daemon, "/everywhere"));
        other.wait("*", streams.len() as u64);
    }
    // On a busy machine one of the first takes several.
    assert!(other.tellings > 30, "it was sent away after {} tellings", other.tellings);
    assert_eq!(process_page(&daemon)["watchers"], 1, "who listens stays");
}

#[test]
fn watchers_leave_half_of_the_stats_port_to_others() {
    let daemon = Daemon::start_after("ulimit -n 256", &[]);
    let own = Ipv4Addr::LOCALHOST;
    let another = Ipv4Addr::new(127, 0, 0, 2);
    let sources = [own, own, another];
    let mut watchers = Vec::from(sources.map(|source| Watcher::of_source(source, daemon.stats_port(), "*")));
    let reply = exchange(daemon.stats_port(), ask("GET", "/?watch=*", ""));
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("as many watch here as may"), "{:?}", reply.body);
    assert_eq!(daemon.stats_text(), "{}\n");
    assert!(daemon.stats_page("/process").body.contains("\"watchers\":3"));
    watchers.pop();
    wait_until("there is a place again", || {
        exchange(daemon.stats_port(), ask("HEAD", "/", "")).status == 200
            && daemon.stats_page("/process").body.contains("\"watchers\":2")
    });
    Watcher::of_source(another, daemon.stats_port(), "*").wait("*", 0);
}

/// What is told at the audience port when there is no room: a status other than 200 would end a browser's `EventSource`.
#[track_caller]
fn is_told_to_come_back(daemon: &Daemon, list: &str) {
    let mut stream = Stream::open(daemon.audience(), ask("GET", &format!("/?watch={list}"), ""));
    assert!(stream.head.starts_with("HTTP/1.1 200 "), "{}", stream.head);
    let Some(Block::Lines(lines)) = stream.next_block(SOON) else { panic!("nothing was told") };
    let ms: u64 = lines.strip_prefix("retry: ").and_then(|ms| ms.parse().ok()).expect(&lines);
    assert!((30_000..=60_000).contains(&ms), "{ms}");
    assert_eq!(stream.next_block(SOON), Some(Block::End));
}

#[test]
fn where_there_is_no_room_a_watcher_is_told_to_come_back() {
    let daemon = Daemon::start(&["--allow-listen", "--max-connections", "1"]);
    let (_stream, _) = member(&daemon, "/a");
    is_told_to_come_back(&daemon, "a");
    let process: serde_json::Value = serde_json::from_str(&daemon.stats_page("/process").body).unwrap();
    assert_eq!((&process["watchers"], &process["refused"]["watchers"]), (&0.into(), &1.into()));
    Watcher::of(daemon.stats_port(), "a").wait("a", 1);
}

#[test]
fn a_crowd_that_watches_keeps_nobody_from_the_stats_port() {
    let daemon = Daemon::start(&["--allow-listen"]);
    let list = (0..64).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let open = || Stream::open(daemon.audience(), ask("GET", &format!("/?watch={list}"), ""));
    // Half of what there is for all addresses: 15,360 patterns.
    let _crowd: Vec<Stream> = (0..120).map(|_| open()).collect();
    is_told_to_come_back(&daemon, "a");
    Watcher::of(daemon.stats_port(), &list).wait("63", 0);
    let another = Ipv4Addr::new(127, 0, 0, 2);
    Watcher::of_source(another, daemon.audience(), &list).wait("63", 0);
    assert_eq!(figure(&daemon, "refused", "watchers"), 1);
}

#[test]
fn an_address_leaves_slots_to_others_wherever_it_watches() {
    let daemon = Daemon::start_after(
        "ulimit -n 256",
        &["--allow-listen", "--max-connections", "8", "--trust-proxy", "127.0.0.0/30"],
    );
    for (address, share) in [(daemon.stats_port(), 2), (daemon.audience(), 4)] {
        let _streams: Vec<Watcher> = (0..share).map(|_| Watcher::of(address, "*")).collect();
        let mut refused = ask_from(Ipv4Addr::LOCALHOST, address, "*");
        let reply = lossy(&read_to_end(&mut refused));
        assert!(reply.contains("retry: ") || reply.starts_with("HTTP/1.1 503 "), "{reply}");
        Watcher::of_source(Ipv4Addr::new(127, 0, 0, 9), address, "*").wait("*", 0);
    }
    let watcher_count = |count| {
        let count = format!("\"watchers\":{count}");
        wait_until("there are so many watchers", || daemon.stats_page("/process").body.contains(&count));
    };
    watcher_count(0);
    // Behind a proxy the address is the client's.
    let watch = |client: &str| {
        let fields = format!("X-Forwarded-For: {client}\r\n");
        Stream::open(daemon.audience(), ask("GET", "/?watch=*", &fields))
    };
    let mut streams = vec![watch("192.0.2.1"), watch("192.0.2.1"), watch("192.0.2.1"), watch("192.0.2.1")];
    watcher_count(4);
    let mut next = watch("192.0.2.1");
    let Some(Block::Lines(lines)) = next.next_block(SOON) else { panic!("nothing came") };
    assert!(lines.starts_with("retry: ") && !lines.contains("event"), "{lines:?}");
    streams.push(watch("192.0.2.2"));
    watcher_count(5);
}
