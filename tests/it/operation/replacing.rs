//! A worker that dies while its replacement lacks something: the others serve on, and the post is filled when it can be.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::workers::*;
use audience_kit::*;

/// Two workers with these arguments, from a command, and members at both.
#[track_caller]
fn start_from(command: impl Fn() -> Command, args: &[&str]) -> (Daemon, Vec<Stream>) {
    let daemon = Daemon::start_with(command, &[&["-w", "2"], &QUIET[..], args].concat());
    wait_started(&daemon, 2, SOON);
    let streams = members(&daemon, "/stay", 20);
    daemon.wait_members("stay", 20);
    (daemon, streams)
}

/// Kills the first worker, and returns the rest of the line about its death.
#[track_caller]
fn kill_one(daemon: &Daemon) -> String {
    let victim = children(daemon.pid())[0];
    send_signal(victim, "KILL");
    wait_died(daemon, victim)
}

/// Waits until there were this number of workers. Nothing ended but those that were killed, and joins are answered.
#[track_caller]
fn expect_filled(daemon: &Daemon, count: usize) {
    wait_started(daemon, count, SOON);
    expect_served(daemon);
    let page = daemon.stats_page("/readyz").body;
    wait_until("all is as it was", || daemon.stats_page("/readyz").body.trim() == "ready");
    assert!(page.starts_with("ready"), "{page}");
}

/// Joins come to all listeners there are, and each is answered at once.
#[track_caller]
fn expect_served(daemon: &Daemon) {
    drop(members(daemon, "/served", 40));
}

fn plain() -> Command {
    Command::new(program())
}

#[test]
fn a_folder_of_reports_that_is_gone_keeps_no_worker_from_starting() {
    let folder = ScratchFolder::create("reports");
    let inner = folder.file("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("reports").to_str().unwrap().to_owned();
    let (daemon, _streams) = start_from(plain, &["--report-file", &path, "--namespace-clean-delay", "0.2"]);
    fs::remove_dir_all(&inner).unwrap();
    kill_one(&daemon);
    expect_filled(&daemon, 3);
    daemon.wait_log("the warning", |line| line.starts_with("level=warn event=report_file_failed path="));
    fs::create_dir(&inner).unwrap();
    wait_until("reports are written", || fs::read_to_string(&path).is_ok_and(|text| text.contains("\"served\"")));
}

#[test]
fn a_report_file_that_cannot_be_written_is_one_error_at_the_start() {
    let mut command = Command::new(program());
    let args = ["-w", "2", "--port=0", "--stats-port=0", "--notification-port=0", "--demo-port=0"];
    let outcome = run_to_end(command.args(args).args(["--report-file", "/no/such/folder/x"]));
    outcome.expect_refusal(1, &["--report-file /no/such/folder/x: No such file"]);
}

#[test]
fn secrets_that_are_being_replaced_are_those_that_were_read_last() {
    let token = ScratchFile::with("token", "0123456789abcdef-first\n", 0o600);
    let key = ScratchFile::with("key", "a key of the cluster\n", 0o600);
    let options = ["--notification-token-file", token.path(), "--cluster-key-file", key.path()];
    let (daemon, mut streams) = start_from(plain, &options);
    for path in [token.path(), key.path()] {
        fs::remove_file(path).unwrap();
    }
    kill_one(&daemon);
    expect_filled(&daemon, 3);
    wait_until("a warning for each", || count(&daemon, "level=warn event=secret_kept error=") == 2);
    // Both workers are of one audience, and take the token.
    for _ in 0..10 {
        let authorized = "Host: localhost\r\nAuthorization: Bearer 0123456789abcdef-first\r\n";
        let sent = exchange(daemon.notification(), request("GET", "/stay/x/on", authorized));
        // The node of the killed worker is missed for some seconds.
        sent.expect_sent();
        assert_eq!(daemon.notify("/stay/x/off").status, 401);
    }
    streams.retain_mut(|stream| stream.next(ms(2_000)).is_some_and(|event| event != Event::Closed));
    assert!(!streams.is_empty());

    // A file that is right again is read for the next worker.
    fs::write(token.path(), "0123456789abcdef-second\n").unwrap();
    Command::new("chmod").args(["600", token.path()]).status().unwrap();
    for victim in children(daemon.pid()) {
        send_signal(victim, "KILL");
        wait_died(&daemon, victim);
    }
    wait_started(&daemon, 5, SOON);
    daemon.wait_members("stay", 0);
    let authorized = "Host: localhost\r\nAuthorization: Bearer 0123456789abcdef-second\r\n";
    assert_eq!(exchange(daemon.notification(), request("GET", "/gone/x/on", authorized)).status, 404);
}

#[test]
fn a_worker_takes_the_join_key_that_was_read_last() {
    let key = ScratchFile::with("join-key", "a key of the site\n", 0o600);
    let daemon = start(2, &["--join-key-file", key.path()]);
    fs::remove_file(key.path()).unwrap();
    for victim in children(daemon.pid()) {
        send_signal(victim, "KILL");
        wait_died(&daemon, victim);
    }
    wait_started(&daemon, 4, SOON);
    // By openssl dgst -sha256 -hmac.
    let target =
        "/signed?expires=4000000000&signature=f837de35ac3f1bd87b3fa53160b7ae704567234ae79e4a8b8891967b8ad69bd9";
    drop(members(&daemon, target, 20));
    for _ in 0..20 {
        assert_eq!(exchange(daemon.audience(), join_request("/signed", "")).status, 403);
    }
}

#[test]
fn the_name_of_a_stranger_keeps_no_worker_from_starting() {
    let daemon = start(2, &[]);
    let port = daemon.audience().port();
    // Any user may put up such a name.
    let script = format!(
        "import socket, time\nnames = []\nfor host in ('*', '127.0.0.1'):\n  for kind in ('demo', 'audience'):\n    \
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n    \
         s.bind('\\0audience-meter/{port}/' + host + '/x/' + kind + '/0')\n    names.append(s)\n\
         print('up', flush=True)\ntime.sleep(600)"
    );
    let mut stranger = Command::new("setpriv");
    stranger.args(["--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", &script]).stdout(Stdio::piped());
    let mut stranger = stranger.spawn().unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(stranger.stdout.as_mut().unwrap(), &mut up).unwrap();
    kill_one(&daemon);
    wait_started(&daemon, 3, SOON);
    // A supervisor and a process of the same audience beside it start, too.
    let beside = Daemon::start(&[&["--port", &port.to_string()], &QUIET[..]].concat());
    beside.wait_log("the warning", |line| line.starts_with("level=warn event=name_squatted port="));
    let _stream = member(&beside, "/both");
    daemon.wait_members("both", 1);
    end(&mut stranger);
}

/// A user of this test alone.
fn own_user() -> u32 {
    60_000 + std::process::id() % 5_000
}

#[test]
fn a_post_that_no_process_can_be_started_for_is_empty_until_one_can() {
    let user = own_user();
    // The supervisor, two workers, and some.
    let limited = || {
        let mut command = Command::new("setpriv");
        let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
        command.args([&*uid, &gid, "--clear-groups", "bash", "-c", "ulimit -u 6; exec \"$0\" \"$@\"", program()]);
        command
    };
    let (daemon, _streams) = start_from(limited, &[]);
    let mut filler = Command::new("setpriv");
    // It takes each place that is free.
    let fill = "import os, time\nprint('up', flush=True)\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(600)\n  \
                except BlockingIOError: time.sleep(0.005)";
    let limit = "ulimit -u 6; exec /usr/bin/python3 -c \"$0\"";
    filler.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "bash", "-c", limit, fill]);
    let mut filler = filler.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(filler.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();

    let victim = children(daemon.pid())[0];
    send_signal(victim, "KILL");
    let first = wait_died(&daemon, victim);
    assert!(first.contains("restart_in_ms=100"), "{first}");
    let is_refused = |line: &str| line.starts_with("level=warn event=worker_not_started error=");
    // The place of the victim may have been taken by then.
    wait_until("three that were not started", || daemon.log().iter().filter(|line| is_refused(line)).count() >= 3);
    let line = daemon.wait_log("why", is_refused);
    assert!(line.contains("cannot start a worker: ") && line.contains("restart_in_ms=200"), "{line}");
    // No client waits at the empty post.
    expect_served(&daemon);
    wait_until("it is missed", || {
        daemon.stats_page("/readyz").body.trim() == "ready; workers that are missing here: 1"
    });
    assert_eq!(daemon.stats_page("/readyz").status, 200);
    let metric = |name: &str| {
        let page = daemon.stats_page("/metrics").body;
        let line = page.lines().find(|line| line.starts_with(&format!("audience_meter_supervisor_{name}{{")));
        line.map(|line| line.rsplit_once(' ').unwrap().1.to_owned())
    };
    wait_until("the metric", || metric("posts_empty").as_deref() == Some("1"));
    assert_eq!(metric("restarts_total").as_deref(), Some("0"));
    end(&mut filler);
    expect_filled(&daemon, 3);
    wait_until("the metrics", || {
        [metric("posts_empty"), metric("restarts_total")] == [Some("0".into()), Some("1".into())]
    });
    let page: serde_json::Value = serde_json::from_str(&daemon.stats_page("/process").body).unwrap();
    assert_eq!(page["supervisor"], serde_json::json!({ "posts_empty": 0, "restarts": 1 }));
}

#[test]
fn names_that_cannot_be_looked_up_any_more_keep_no_worker_from_starting() {
    if let Err(why) = output("unshare", &["--mount", "true"]) {
        return skip(&why);
    }
    let (with, without) = ("127.0.0.1 localhost\n127.0.0.9 peer.internal\n", "127.0.0.1 localhost\n");
    let hosts = ScratchFile::with("hosts", with, 0o644);
    let resolver = ScratchFile::with("resolv", "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n", 0o644);
    let shell = format!(
        "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"",
        hosts.path(),
        resolver.path()
    );
    let command = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &shell, program()]);
        command
    };
    let (daemon, _streams) = start_from(command, &["--cluster-peers", "peer.internal:23070"]);
    fs::write(hosts.path(), without).unwrap();
    kill_one(&daemon);
    expect_filled(&daemon, 3);
}

/// Connections that have asked to join, and are not accepted yet at a worker that has stopped.
#[track_caller]
fn queue_at(daemon: &Daemon, stopped: u32, count: usize) -> Vec<TcpStream> {
    send_signal(stopped, "STOP");
    let join = || {
        let socket = connect(daemon.audience());
        std::io::Write::write_all(&mut &socket, join_request("/queued", "").as_bytes()).unwrap();
        socket
    };
    (0..count).map(|_| join()).collect()
}

#[test]
fn connections_that_a_killed_worker_has_not_accepted_are_answered_by_its_replacement() {
    let daemon = start(2, &[]);
    let victim = started(&daemon)[0];
    // By chance all come to the other worker once in 10^18 runs.
    let queued = queue_at(&daemon, victim, 60);
    send_signal(victim, "KILL");
    wait_started(&daemon, 3, SOON);
    for socket in queued {
        Stream::over(socket).next_count(SOON);
    }
}

#[test]
fn a_replacement_hears_where_its_predecessor_was_deaf() {
    let daemon = start(2, &["--drain-delay", "0.2"]);
    for (count, signal) in (3..).zip(["TERM", "KILL", "TERM", "TERM"]) {
        // One that drains is deaf for a moment, and is killed then, or goes on to close its ports.
        let victim = *started(&daemon).last().unwrap();
        send_signal(victim, "TERM");
        if signal == "KILL" {
            send_signal(victim, "KILL");
        }
        wait_died(&daemon, victim);
        let replacement = wait_started(&daemon, count, SOON);
        let before = sockets(replacement).len();
        let mut streams = Vec::new();
        while streams.len() < 100 && sockets(replacement).len() <= before {
            streams.push(member(&daemon, "/heard").0);
        }
        assert!(sockets(replacement).len() > before, "{} joins, none at the replacement", streams.len());
    }
}

#[test]
fn a_replacement_needs_no_privilege_for_ports_that_are_open() {
    if let Err(why) = output("unshare", &["--net", "true"]) {
        return skip(&why);
    }
    let begin = "ip link set lo up && echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start && \
                 exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" \"$@\"";
    let command = || {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", begin, program()]);
        command
    };
    let args = ["-w", "2", "--port", "80", "--stats-port", "81", "--notification-port", "82", "--demo-port", "83"];
    let daemon = Daemon::start_with(command, &args);
    wait_started(&daemon, 2, SOON);
    let within = format!("--target={}", daemon.pid());
    run("nsenter", &[&within, "--net", "sh", "-c", "echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start"]);
    let worker = kill_one(&daemon);
    assert!(worker.contains("restart_in_ms=100"), "{worker}");
    wait_started(&daemon, 3, SOON);
    let page = run("nsenter", &[&within, "--net", "curl", "--silent", "http://127.0.0.1:81/readyz"]);
    assert!(page.starts_with("ready"), "{page}");
    // For a process on its own it would take privilege.
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut other = Command::new("nsenter");
    other.args([&within, "--net", "setpriv"]).args(user).arg(program()).args(["-w", "1"]).args(&args[2..]);
    run_to_end(&mut other).expect_refusal(1, &["--port: cannot listen on", "it takes privilege"]);
}
