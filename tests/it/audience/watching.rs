//! Listening without being counted: what a watcher is told, at which port, and how often; and the pages of the stats port that
//! go with it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::watcher::*;
use audience_kit::*;

#[test]
fn a_watcher_hears_of_all_it_asked_for_and_is_counted_nowhere() {
    let daemon = Daemon::start(&[]);
    let _there = (member(&daemon, "/sport-1"), member(&daemon, "/sport-2"), member(&daemon, "/other"));
    let mut watcher = Watcher::of(daemon.stats_port(), "sport-2,none,sport-*,*");
    watcher.wait("*", 3);
    watcher.wait("other", 1);
    let all = [("*", 3), ("none", 0), ("other", 1), ("sport-*", 2), ("sport-1", 1), ("sport-2", 1)];
    assert_eq!(watcher.known(), all);

    let (one_more, _) = member(&daemon, "/sport-2");
    watcher.wait("sport-2", 2);
    watcher.wait("sport-*", 3);
    drop(one_more);
    watcher.wait("*", 3);
    let heard = watcher.known().len();
    let new = member(&daemon, "/new");
    watcher.wait("new", 1);
    assert_eq!(watcher.known().len(), heard + 1);
    drop(new);
    watcher.wait("new", 0);

    let process: serde_json::Value = serde_json::from_str(&daemon.stats_page("/process").body).unwrap();
    assert_eq!((&process["members"], &process["watchers"]), (&3.into(), &1.into()));
    assert_eq!(daemon.stat("sport-2", "connections"), Some(2));
    assert!(!daemon.namespaces().contains(&"none".to_owned()), "to watch it makes no namespace");
    drop(watcher);
    wait_until("the watcher is gone", || daemon.stats_page("/process").body.contains("\"watchers\":0"));
}

#[test]
fn what_changes_often_is_told_once_a_second() {
    let daemon = Daemon::start(&[]);
    let mut watcher = Watcher::of(daemon.stats_port(), "*");
    watcher.wait("*", 0);
    let began = now();
    let mut streams = Vec::new();
    for total in 1..=60 {
        streams.extend(members(&daemon, "/crowd", 1));
        let deadline = Deadline::after(ms(25));
        while let Some(left) = deadline.left() {
            watcher.hear(left);
        }
        assert_eq!(streams.len(), total);
    }
    watcher.wait("crowd", 60);
    let most = 3 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(watcher.tellings <= most, "{} tellings in {:?}", watcher.tellings, began.elapsed());
}

#[test]
fn a_list_that_cannot_be_watched_is_refused_with_its_remedy() {
    let daemon = Daemon::start(&["--allow-listen"]);
    let too_many = (0..65).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let long = "n".repeat(256);
    for (list, error) in [
        ("", "nothing is named; ask for ?watch=name,prefix*,*\n"),
        (",%2C", "nothing is named; ask for ?watch=name,prefix*,*\n"),
        (&*too_many, "at most 64 names and prefixes can be watched at once\n"),
        (&*long, "a name is at most 255 bytes long\n"),
    ] {
        for address in [daemon.stats_port(), daemon.audience()] {
            let reply = get(address, &format!("/?watch={list}"));
            assert_eq!((reply.status, &*reply.body), (400, error), "{list}");
        }
    }
}

#[test]
fn the_audience_port_takes_watchers_when_it_is_allowed_to() {
    let closed = Daemon::start(&[]);
    let reply = get(closed.audience(), "/?watch=a");
    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("--allow-listen"), "{:?}", reply.body);

    let daemon = Daemon::start(&["--allow-listen", "--allow-origin", "https://a.example"]);
    let (_stream, _) = member(&daemon, "/a?watch=b");
    let of = |origin: &str| ask("GET", "/?watch=a", &format!("Origin: https://{origin}\r\n"));
    assert_eq!(exchange(daemon.audience(), of("b.example")).status, 403);
    let stream = Stream::open(daemon.audience(), of("a.example"));
    assert!(stream.head.contains("\r\nAccess-Control-Allow-Origin: https://a.example\r\n"), "{}", stream.head);
    assert!(stream.head.contains("\r\nX-Accel-Buffering: no"), "{}", stream.head);
    let head = exchange(daemon.audience(), ask("HEAD", "/?watch=a", ""));
    assert_eq!((head.status, &*head.body), (200, ""));
    let mut watcher = Watcher::of(daemon.audience(), "a");
    watcher.wait("a", 1);
    // With the parameter, a namespace is joined as without.
    assert_eq!(daemon.stat("a", "members"), Some(1));
}

#[test]
fn nobody_elsewhere_may_watch_at_the_stats_port() {
    let daemon = Daemon::start(&[]);
    for field in ["Origin: https://a.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(exchange(daemon.stats_port(), ask("GET", "/?watch=*", field)).status, 403);
    }
}

#[test]
fn names_come_in_their_canonical_spelling() {
    let daemon = Daemon::start(&[]);
    let names = ["__proto__", "caf%C3%A9", "a=b=1", "<img%20src=x>", "a\"b'c", "50%"];
    let _streams: Vec<_> = names.iter().map(|name| member(&daemon, &format!("/{name}"))).collect();
    let list = names.join("%2C");
    let mut watcher = Watcher::of(daemon.stats_port(), &list);
    for name in names {
        watcher.wait(name, 1);
    }
    assert_eq!(watcher.known().len(), names.len());
}

#[test]
fn milestones_come_with_the_counts() {
    let daemon = Daemon::start(&["--milestones", "3,100"]);
    let mut watcher = Watcher::of(daemon.stats_port(), "a,b*");
    watcher.wait("b*", 0);
    let mut at_a = members(&daemon, "/a", 1);
    watcher.wait_milestones(&["occupied: a=1"]);
    at_a.extend(members(&daemon, "/a", 2));
    watcher.wait("a", 3);
    watcher.wait_milestones(&["crossed 3: a=3", "peak: a=3"]);
    at_a.clear();
    let at_b = members(&daemon, "/b1", 1);
    watcher.wait("b*", 1);
    watcher.wait("a", 0);
    watcher.wait_milestones(&["crossed 3: a=0", "occupied: b*=1", "occupied: b1=1", "vacated: a=0"]);
    drop(at_b);
    watcher.wait_milestones(&["vacated: b*=0", "vacated: b1=0"]);
}

#[test]
fn the_script_of_the_manual_says_which_events_are_over() {
    let daemon = Daemon::start(&[]);
    let script = manual::block("sh", "# vacated.sh");
    let port = daemon.stats_port().port().to_string();
    // Should it say nothing, it ends all the same.
    let mut shell = Command::new("timeout");
    shell.args(["20", "bash", "-c", &script.replace("1442", &port)]).stdout(Stdio::piped());
    let mut running = Running::start(&mut shell);
    let mut said = BufReader::new(running.0.stdout.take().unwrap());
    wait_until("it listens", || daemon.stats_page("/process").body.contains("\"watchers\":1"));
    let _stays = member(&daemon, "/stays");
    // It has to be seen there before it goes.
    let mut watcher = Watcher::of(daemon.stats_port(), "a=b");
    let (leaves, _) = member(&daemon, "/a=b");
    watcher.wait("a=b", 1);
    drop(leaves);
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "a=b is over\n");
}

#[test]
fn any_process_tells_of_the_whole_audience() {
    let daemon = Daemon::start(&["-w", "3", "--allow-listen"]);
    let streams = members(&daemon, "/a", 24);
    let mut watchers: Vec<Watcher> = (0..6).map(|_| Watcher::of(daemon.audience(), "a")).collect();
    for watcher in &mut watchers {
        watcher.wait("a", 24);
    }
    drop(streams);
    for watcher in &mut watchers {
        watcher.wait("a", 0);
    }
}

#[test]
fn quiet_is_broken_by_a_comment() {
    let daemon = Daemon::start(&["--notify-max-delay", "1"]);
    let mut watcher = Watcher::of(daemon.stats_port(), "a");
    watcher.wait("a", 0);
    let deadline = Deadline::after(SOON);
    for _ in 0..2 {
        assert!(watcher.hear(deadline.left().unwrap_or_default()), "a comment within {SOON:?}");
    }
    assert_eq!(watcher.tellings, 1);
}

#[test]
fn watchers_are_let_go_when_the_process_ends() {
    let mut daemon = Daemon::start(&["--allow-listen", "--drain-delay", "0.5"]);
    let mut watchers = [Watcher::of(daemon.stats_port(), "*"), Watcher::of(daemon.audience(), "*")];
    for watcher in &mut watchers {
        watcher.wait("*", 0);
    }
    daemon.signal("TERM");
    for watcher in &mut watchers {
        let deadline = Deadline::after(SOON);
        while watcher.stream.next_block(deadline.left().unwrap_or_default()).expect("an end") != Block::End {}
    }
    assert!(daemon.wait_exit().success());
}

#[test]
fn one_namespace_is_told_of_alone() {
    let daemon = Daemon::start(&[]);
    let (_stream, _) = member(&daemon, "/caf%C3%A9");
    let reply = daemon.stats_page("/namespace/caf%C3%A9");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    let mut alone: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    let mut among_all = daemon.stats()["caf%C3%A9"].take();
    for growing in ["member_seconds", "average", "average_watch"] {
        assert!(alone[growing].take().is_number() && among_all[growing].take().is_number());
    }
    assert_eq!(alone, among_all);
    assert_eq!(daemon.stats_page("/namespace/none").status, 404);
}

#[test]
fn a_browser_gets_the_dashboard_and_others_the_figures() {
    let daemon = Daemon::start(&[]);
    let accept = |value: &str| exchange(daemon.stats_port(), ask("GET", "/", &format!("Accept: {value}\r\n")));
    let page = accept("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: br, gzip");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("Content-Encoding"), Some("gzip"));
    assert!(page.header("Content-Security-Policy").unwrap().starts_with("default-src 'none';"));
    let length: usize = page.header("Content-Length").unwrap().parse().unwrap();
    assert!(length < 30_000, "{length} bytes");
    for value in ["text/html", "*/*", "application/json", "application/json, text/plain, */*"] {
        let reply = accept(value);
        assert_eq!((reply.header("Content-Type"), &*reply.body), (Some("application/json"), "{}\n"), "{value}");
    }
}
