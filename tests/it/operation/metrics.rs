//! What Prometheus is told: checked with `promtool`, and against what happened.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use audience_kit::*;

/// Every change is told, and nodes tell their counters.
pub(super) const BRISK: [&str; 2] = ["--notify-min-delay", "0.05"];

pub(super) fn text(daemon: &Daemon) -> String {
    let reply = daemon.stats_page("/metrics");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    reply.body
}

/// The samples, by name and labels, without the process.
fn samples(daemon: &Daemon) -> BTreeMap<String, Vec<f64>> {
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text(daemon).lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let series = series.strip_prefix("audience_meter_").unwrap_or(series);
        let series = match series.split_once("process=\"") {
            Some((start, rest)) => [start, rest.split_once('"').unwrap().1].concat().replace("{,", "{"),
            None => series.to_owned(),
        };
        samples.entry(series).or_default().push(value.parse().unwrap());
    }
    samples
}

fn total(daemon: &Daemon, series: &str) -> f64 {
    samples(daemon).get(series).unwrap_or_else(|| panic!("{series} is not told")).iter().sum()
}

/// What `promtool` says of this, which is to be nothing.
#[track_caller]
pub(super) fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("promtool is there (Debian: prometheus)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", lossy(&said));
}

#[test]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let daemon = Daemon::start(&BRISK);
    let _members = members(&daemon, "/ns", 3);
    let _strange = members(&daemon, "/\"quoted\\name", 100);
    let told = text(&daemon);
    promtool(&["check", "metrics"], &told);
    assert!(told.contains("{namespace=\"\\\"quoted\\\\name\"} 100\n"), "{told}");
}

#[test]
fn what_happens_is_counted() {
    let daemon = Daemon::start(&[&BRISK[..], &["--max-connections", "3"]].concat());
    let mut inside = members(&daemon, "/ns", 3);
    let mut late = Stream::join(daemon.audience(), "/ns");
    assert!(matches!(late.next(SOON), Some(Event::Retry(30_000..=60_000))));
    inside[0].wait_count(3);
    daemon.notify("/ns/news/on").expect_confirmed();
    for stream in &mut inside {
        wait_for("the message", || (stream.next(SOON)? == Event::Message("news=on".to_owned())).then_some(()));
    }
    let at_first = total(&daemon, "closed_total{reason=\"peer_closed\"}");
    drop(inside.pop());
    daemon.wait_members("ns", 2);
    for (series, value) in [
        ("members{}", 2.0),
        ("joins_total{}", 3.0),
        ("refused_total{reason=\"members\"}", 1.0),
        ("refused_total{reason=\"namespaces\"}", 0.0),
        ("messages_total{}", 1.0),
        ("pushes_total{kind=\"message\"}", 3.0),
        ("namespaces{}", 1.0),
        ("audience_members", 2.0),
        ("audience_namespaces", 1.0),
        ("audience_nodes", 1.0),
        ("audience_silent_nodes", 0.0),
        ("audience_namespace_members{namespace=\"other\"}", 2.0),
        ("cluster_nodes{}", 1.0),
        ("draining{}", 0.0),
    ] {
        assert_eq!(total(&daemon, series).to_string(), value.to_string(), "{series}");
    }
    assert!(total(&daemon, "closed_total{reason=\"peer_closed\"}") > at_first);
    assert!(total(&daemon, "pushes_total{kind=\"count\"}") >= 2.0);
    assert!(total(&daemon, "sent_bytes_total{}") > 3.0 * 150.0);
    assert!(total(&daemon, "turn_seconds_bucket{le=\"+Inf\"}") > 10.0);
    assert!(total(&daemon, "turn_seconds_sum{}") > 0.0);
    // By their standard names, and those of 3.0.0.
    for prefix in ["process_", ""] {
        let of = |name: &str| total(&daemon, &format!("{prefix}{name}{{}}"));
        assert!((5.0..100.0).contains(&of("open_fds")) && of("max_fds") >= of("open_fds"));
        let started = of("start_time_seconds").to_string().parse::<u64>().unwrap();
        assert!((1_700_000_000..=unix_now()).contains(&started));
    }
}

#[test]
fn bytes_are_counted_as_clients_receive_them() {
    let daemon = Daemon::start(&["--enable-uuid"]);
    let read = |target: &str, address| {
        let mut socket = connect(address);
        socket.write_all(request("GET", target, "Host: localhost\r\n").as_bytes()).unwrap();
        read_to_end(&mut socket)
    };
    let scrape = || read("/metrics", daemon.stats_port());
    let sent = |metrics: &[u8]| -> usize {
        let text = lossy(metrics);
        let line = text.lines().find(|line| line.starts_with("audience_meter_sent_bytes_total{")).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    // As many namespaces as the stats take several pieces for. They are remembered when their members have left.
    for namespace in 0..100 {
        drop(member(&daemon, &format!("/a-namespace-with-a-name-of-some-length-{namespace}")));
    }
    let mut farewell = connect(daemon.audience());
    farewell.write_all(join_request("/ns/uuid", "").as_bytes()).unwrap();
    wait_until("that all have left but one", || {
        daemon.stats().as_object().unwrap().values().filter(|event| event["members"] != 0).count() == 1
    });
    let first = scrape();
    let received = [
        // A long reply, with a head and without one.
        read("/", daemon.stats_port()),
        {
            let mut silent = connect(daemon.stats_port());
            silent.shutdown(std::net::Shutdown::Write).unwrap();
            read_to_end(&mut silent)
        },
        // A short one; it ends the stream of the member that has claimed the uuid.
        read("/ns/uuid", daemon.audience()),
        // Last words, and all that has come before.
        read_to_end(&mut farewell),
    ];
    assert!(received[0].len() > 20_000 && received[1].len() > 20_000, "more than one piece");
    let last_words = "25\r\nid: left\nretry: -1\nevent: left\ndata\n\n\r\n0\r\n\r\n";
    assert!(lossy(&received[3]).ends_with(last_words), "{}", lossy(&received[3]));
    // What the member was sent before its last words was counted before the first scrape.
    let words_before = received[3].len() - last_words.len();
    let received = received.iter().map(Vec::len).sum::<usize>() - words_before;
    assert_eq!(sent(&scrape()) - sent(&first), first.len() + received);
}

#[test]
fn the_largest_namespaces_have_series_and_others_are_summed_up() {
    let daemon = Daemon::start(&[&BRISK[..], &["--metrics-namespaces", "2"]].concat());
    let _all: Vec<_> =
        [("/a", 1), ("/b", 102), ("/c", 101), ("/other", 4)].map(|(name, count)| members(&daemon, name, count)).into();
    let told = samples(&daemon);
    let largest = told.iter().filter(|(series, _)| series.starts_with("audience_namespace_members"));
    let largest: Vec<_> = largest.map(|(series, values)| (series.as_str(), values[0].to_string())).collect();
    let of =
        |name: &str, members: &str| (format!("audience_namespace_members{{namespace=\"{name}\"}}"), members.to_owned());
    let expected = [of("b", "102"), of("c", "101"), of("other", "5")];
    assert!(
        largest.iter().map(|(series, members)| ((*series).to_owned(), members.clone())).eq(expected),
        "{largest:?}"
    );
}

/// The options of processes that share all their ports.
fn shared() -> Vec<String> {
    let ports = [("--port", free_port()), ("--stats-port", free_port())];
    let ports = ports.iter().flat_map(|(option, port)| [(*option).to_owned(), port.to_string()]);
    BRISK.map(str::to_owned).into_iter().chain(ports).collect()
}

/// The processes that an answer tells of, by their numbers, with their nodes.
fn builds(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("audience_meter_build_info{process=\""));
    let build =
        |line: &str| line.split_once("\",node=\"").map(|(process, rest)| (process.to_owned(), rest[..16].to_owned()));
    let builds: Vec<_> = lines.filter_map(build).collect();
    let by_process: BTreeMap<_, _> = builds.iter().cloned().collect();
    assert_eq!(by_process.len(), builds.len(), "each process is there once: {text}");
    by_process
}

/// What any number of answers have in common.
fn common<T: PartialEq + std::fmt::Debug>(what: impl Fn() -> T) -> Option<T> {
    let first = what();
    (0..12).all(|_| what() == first).then_some(first)
}

#[test]
fn whichever_process_answers_it_answers_for_all_of_its_host() {
    let options = shared();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let daemons = [Daemon::start(&options), Daemon::start(&options)];
    // One of the same audience that has another stats port, so it is another target's.
    let apart = Daemon::start(&options[..4]);
    let _members = members(&daemons[0], "/ns", 9);
    wait_until("that each tells the same of both", || {
        let sum = |daemon: &Daemon| samples(daemon)["members{}"].iter().sum::<f64>();
        let both = common(|| sum(&daemons[0]));
        both.is_some_and(|both| (both + sum(&apart)).to_string() == "9")
    });
    for daemon in [&daemons[0], &apart] {
        let told = samples(daemon);
        assert_eq!(
            (told["audience_members"][0].to_string(), told["audience_nodes"][0].to_string()),
            ("9".into(), "3".into())
        );
    }
    let told = builds(&text(&daemons[0]));
    assert_eq!(told.keys().map(String::as_str).collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(builds(&text(&apart)).keys().map(String::as_str).collect::<Vec<_>>(), ["0"]);
    // The one that comes next has the number of the one that has gone.
    let [first, second] = daemons;
    drop(first);
    let third = Daemon::start(&options);
    wait_until("the number of the first one again", || {
        let now = common(|| builds(&text(&second)));
        now.is_some_and(|now| now.len() == 2 && now["0"] != told["0"] && now["1"] == told["1"])
    });
    drop(third);
    wait_until("that the one that is gone is told of no more", || builds(&text(&second)).len() == 1);
}

#[test]
fn a_process_that_starts_tells_of_its_siblings_from_its_first_answer_on() {
    let options = shared();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let first = Daemon::start(&options);
    let _members = members(&first, "/ns", 5);
    for _ in 0..3 {
        let second = Daemon::start(&options);
        for _ in 0..20 {
            let told = text(&second);
            assert!(
                builds(&told).contains_key("0") && told.contains("audience_meter_members{process=\"0\"} 5\n"),
                "{told}"
            );
        }
        drop(second);
        wait_until("that it is gone", || builds(&text(&first)).len() == 1);
    }
}

#[test]
fn no_counter_falls_when_another_process_ends_and_one_comes() {
    let options = [&shared()[..], &["--drain-delay".to_owned(), "0".to_owned()]].concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let first = Daemon::start(&options);
    let joins = || samples(&first).remove("joins_total{}").unwrap();
    let mut second = Daemon::start(&options);
    wait_until("that both are told of", || joins().len() == 2);
    second.signal("TERM");
    second.wait_exit();
    wait_until("that nobody else is there", || joins().len() == 1);
    let _members = members(&first, "/ns", 3);
    let before = joins();
    assert_eq!(before.iter().sum::<f64>().to_string(), "3");
    // Now what is told is what the others were told, which was before.
    let _third = Daemon::start(&options);
    for _ in 0..50 {
        let after = joins();
        assert!(after[0] >= before[0], "from {before:?} to {after:?}");
    }
    wait_until("that both are told of", || joins().len() == 2);
}

#[test]
fn processor_time_and_memory_are_those_of_the_kernel() {
    let daemon = Daemon::start(&BRISK);
    let cpu = || total(&daemon, "process_cpu_seconds_total{}");
    wait_until("processor time", || {
        drop(members(&daemon, "/ns", 50));
        cpu() >= 0.05
    });
    // In ticks of 10 ms, before and after: the process uses some for the answer.
    let ticks = || f64::from(u32::try_from(cpu_ticks(daemon.pid())).unwrap()) / 100.0;
    let (before, told, after) = (ticks(), cpu(), ticks());
    assert!((before..=after).contains(&told), "{before} {told} {after}");
    let resident = total(&daemon, "process_resident_memory_bytes{}");
    assert!((1e6..1e8).contains(&resident) && resident % 1024.0 == 0.0, "{resident}");
}

#[test]
fn what_changes_all_the_time_makes_nobody_unready() {
    let port = free_port().to_string();
    let options = [&BRISK[..], &["--port", &port]].concat();
    let daemons = [Daemon::start(&options), Daemon::start(&options)];
    wait_until("that both are ready", || daemons.iter().all(|daemon| daemon.stats_page("/readyz").status == 200));
    let until = Deadline::after(ms(1_500));
    let mut inside = Vec::new();
    while until.left().is_some() {
        inside.extend(members(&daemons[0], "/ns", 2));
        inside.drain(..inside.len().saturating_sub(5));
        for daemon in &daemons {
            let reply = daemon.stats_page("/readyz");
            assert_eq!((reply.status, reply.body.as_str()), (200, "ready\n"));
        }
    }
}

#[test]
fn a_message_for_nobody_is_none() {
    let daemon = Daemon::start(&BRISK);
    let _member = member(&daemon, "/ns");
    daemon.notify("/ns/news/on").expect_confirmed();
    assert_eq!(daemon.notify("/nobody/news/on").status, 404);
    assert_eq!(total(&daemon, "messages_total{}").to_string(), "1");
}

#[test]
fn a_node_that_fell_silent_is_counted_for_good() {
    let port = free_port().to_string();
    let options = [&BRISK[..], &["--port", &port, "--cluster-node-timeout", "1"]].concat();
    let first = Daemon::start(&options);
    let second = Daemon::start(&options);
    wait_until("that both are known", || samples(&first)["audience_nodes"] == [2.0]);
    assert_eq!(samples(&first)["cluster_lost_nodes_total{}"], [0.0]);
    drop(second);
    wait_until("that it is missed", || samples(&first)["cluster_lost_nodes_total{}"] == [1.0]);
}

#[test]
fn health_and_readiness_are_told_and_the_drain_is_not_ready() {
    let daemon = Daemon::start(&["--drain-delay", "5"]);
    let ask = |path: &str| daemon.stats_page(path);
    assert_eq!((ask("/healthz").status, ask("/healthz").body.as_str()), (200, "alive\n"));
    assert_eq!((ask("/readyz").status, ask("/readyz").body.as_str()), (200, "ready\n"));
    let _member = member(&daemon, "/ns");
    // Whoever is connected when the ports are closed still gets its answer.
    let mut early = connect(daemon.stats_port());
    early.write_all(b"GET /readyz HTTP/1.1\r\n").unwrap();
    wait_until("that it is taken in", || ask("/healthz").status == 200);
    daemon.signal("TERM");
    daemon.wait_log("the drain", |line| line.contains("event=draining"));
    early.write_all(b"Host: localhost\r\n\r\n").unwrap();
    let reply = Reply::parse(&read_to_end(&mut early));
    assert_eq!((reply.status, reply.body.as_str()), (503, "draining\n"));
}
