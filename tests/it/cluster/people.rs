//! Different people over several processes: with clients that others wrote, whatever ends and comes meanwhile.

use std::process::{Command, Stdio};

use super::siblings::{LOOPBACK_GROUP, within};
use crate::beside::browser::chromium;
use audience_kit::*;

const REQUESTS: &str = "
import requests, sys
with requests.get(sys.argv[1], headers={'Accept': 'text/event-stream'}, stream=True) as reply:
    for line in reply.iter_lines(): pass
";

const HTTPX: &str = "
import httpx, sys
with httpx.stream('GET', sys.argv[1], headers={'Accept': 'text/event-stream'}, timeout=None) as reply:
    for line in reply.iter_lines(): pass
";

/// Programs that call themselves by different names, and so are three people.
const CLIENTS: [(&str, &[&str]); 3] = [
    ("curl", &["-sN", "-o", "/dev/null", "-H", "Accept: text/event-stream"]),
    ("python3", &["-c", REQUESTS]),
    ("python3", &["-c", HTTPX]),
];

/// A page that joins at each address of its fragment.
const PAGE: &str = "<script>for (const url of location.hash.slice(1).split(',')) new EventSource(url)</script>";

/// A program with an open stream.
#[track_caller]
fn open_tab((program, arguments): (&str, &[&str]), url: &str) -> Running {
    let mut command = Command::new(program);
    let modules = format!("{}/tests/browser/.python", env!("CARGO_MANIFEST_DIR"));
    command.args(arguments).arg(url).env("PYTHONPATH", modules).stdin(Stdio::null()).stdout(Stdio::null());
    Running::start(&mut command)
}

/// A browser whose page joins at each of these addresses.
#[track_caller]
fn open_browser(urls: &[String], folder: &ScratchFolder) -> Running {
    let mut command = Command::new(chromium());
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    command.arg(format!("--user-data-dir={}", folder.file("profile").display()));
    command.arg(format!("file://{}#{}", folder.file("page.html").display(), urls.join(",")));
    Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Daemons of one audience, each with a port of its own.
fn daemons<const N: usize>(group: &str, options: &[&str]) -> [Daemon; N] {
    std::array::from_fn(|_| daemon(group, options))
}

fn daemon(group: &str, options: &[&str]) -> Daemon {
    let cluster = ["-m", group, "--cluster-interface", "127.0.0.1", "--retry-min", "1"];
    Daemon::start(&[&cluster, options].concat())
}

fn group() -> String {
    format!("{LOOPBACK_GROUP}:{}", free_port())
}

/// What a daemon says of the people of an event: their number, and its error.
fn distinct(daemon: &Daemon, name: &str) -> Option<(u64, u64)> {
    let stats = daemon.stats();
    let event = stats.get(name)?;
    Some((event["distinct"].as_u64()?, event["distinct_error"].as_u64()?))
}

/// Waits until all daemons know of this number of joins, and say the same of the people.
#[track_caller]
fn agreed(daemons: &[&Daemon], name: &str, joins: u64) -> (u64, u64) {
    let mut said = Vec::new();
    within(SOON, "all daemons say the same", || {
        let has_all = daemons.iter().all(|daemon| daemon.stat(name, "connections") == Some(joins));
        said = daemons.iter().map(|daemon| distinct(daemon, name)).collect();
        has_all
            && said.iter().all(|of| of.is_some_and(|(people, error)| (people, error) == said[0].unwrap_or_default()))
    });
    said[0].unwrap()
}

#[test]
fn a_person_counts_once_in_four_tabs_over_three_processes_and_after_reconnects() {
    let daemons = daemons::<3>(&group(), &[]);
    let all: Vec<&Daemon> = daemons.iter().collect();
    let urls: Vec<String> =
        daemons.iter().flat_map(|daemon| vec![format!("http://{}/final", daemon.audience()); 4]).collect();
    let folder = ScratchFolder::create("browser");
    std::fs::write(folder.file("page.html"), PAGE).unwrap();
    let tabs = || {
        let of_programs = CLIENTS.iter().flat_map(|&client| urls.iter().map(move |url| open_tab(client, url)));
        of_programs.chain([open_browser(&urls, &folder)]).collect::<Vec<Running>>()
    };
    let open = tabs();
    within(SOON, "four people", || agreed(&all, "final", 48) == (4, 0));
    drop(open);
    for daemon in &daemons {
        daemon.wait_members("final", 0);
    }
    let _open = tabs();
    within(SOON, "the same four people", || agreed(&all, "final", 96) == (4, 0));
}

#[test]
fn a_uuid_is_a_person_at_whatever_process() {
    let daemons = daemons::<3>(&group(), &["--enable-uuid"]);
    let mut open = Vec::new();
    for round in 0..4 {
        for (number, daemon) in daemons.iter().enumerate() {
            let uuid = if number < 2 { "one" } else { "other" };
            open.push(Stream::join(daemon.audience(), &format!("/final/{uuid}-{}", round / 2)));
        }
    }
    let all: Vec<&Daemon> = daemons.iter().collect();
    within(SOON, "four people", || agreed(&all, "final", 12) == (4, 0));
}

#[test]
fn people_stay_when_their_process_is_killed_and_a_newcomer_learns_of_all() {
    let group = group();
    let mut daemons = daemons::<3>(&group, &["--enable-uuid", "--cluster-node-timeout", "1"]);
    // Each comes to two processes, and there are more than are counted one by one.
    let mut open = Vec::new();
    for (number, daemon) in (0..600).zip(daemons.iter().cycle()) {
        open.push(Stream::join(daemon.audience(), &format!("/final/person-{}", number / 2)));
    }
    // Until they have agreed on a key, each knows those of its own members, and all may say the same of that.
    let (all, mut before) = (daemons.iter().collect::<Vec<_>>(), (0, 0));
    within(SOON, "some 300 people", || {
        before = agreed(&all, "final", 600);
        (285..=315).contains(&before.0) && (4..=6).contains(&before.1)
    });
    daemons[0].signal("KILL");
    daemons[0].wait_exit();
    let newcomer = daemon(&group, &["--enable-uuid", "--cluster-node-timeout", "1"]);
    let all = [&daemons[1], &daemons[2], &newcomer];
    within(SOON, "what was known before", || agreed(&all, "final", 600) == before);
}

#[test]
fn people_are_not_counted_where_they_are_not_wanted() {
    let daemon = Daemon::start(&["--distinct-namespaces", "0"]);
    let (_stream, _) = member(&daemon, "/final");
    let event = &daemon.stats()["final"];
    assert!(event["distinct"].is_null() && event["distinct_error"].is_null(), "{event}");
    let one = Daemon::start(&["--distinct-namespaces", "1"]);
    let _streams = [members(&one, "/large", 3), members(&one, "/small", 1)];
    assert_eq!((distinct(&one, "large"), distinct(&one, "small")), (Some((1, 0)), None));
    let _alike = members(&one, "/small", 6);
    assert_eq!((distinct(&one, "large"), distinct(&one, "small")), (Some((1, 0)), None), "they are alike in size");
    let _more = members(&one, "/small", 1);
    assert_eq!((distinct(&one, "large"), distinct(&one, "small")), (None, Some((1, 7))), "seven joined unseen");
}
