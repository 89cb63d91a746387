//! What Prometheus and Grafana are told: checked with `promtool`, and against what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use audience_kit::*;

/// Every change is told, and nodes tell their counters.
const BRISK: [&str; 2] = ["--notify-min-delay", "0.05"];

fn text(daemon: &Daemon) -> String {
    let reply = daemon.stats_page("/metrics");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    reply.body
}

/// The samples, by name and labels, without the node.
fn samples(daemon: &Daemon) -> BTreeMap<String, Vec<f64>> {
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text(daemon).lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let series = series.strip_prefix("audience_meter_").unwrap_or_else(|| panic!("{line}"));
        let node = series.find("node=\"").map(|at| at..at + "node=\"0123456789abcdef\"".len());
        let series = node.map_or(series.to_owned(), |node| [&series[..node.start], &series[node.end..]].concat());
        samples.entry(series.replace("{,", "{")).or_default().push(value.parse().unwrap());
    }
    samples
}

fn total(daemon: &Daemon, series: &str) -> f64 {
    samples(daemon).get(series).unwrap_or_else(|| panic!("{series} is not told")).iter().sum()
}

/// What `promtool` says of this, which is to be nothing.
#[track_caller]
fn promtool(arguments: &[&str], input: &str) {
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
    let _strange = members(&daemon, "/\"quoted\\name", 2);
    let told = text(&daemon);
    promtool(&["check", "metrics"], &told);
    assert!(told.contains("{namespace=\"\\\"quoted\\\\name\"} 2\n"), "{told}");
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
        ("namespace_members{namespace=\"ns\"}", 2.0),
        ("namespace_members{namespace=\"other\"}", 0.0),
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
    assert!((5.0..100.0).contains(&total(&daemon, "open_fds{}")));
    let started = total(&daemon, "start_time_seconds{}");
    assert!(started > 1.7e9 && started <= total(&daemon, "start_time_seconds{}"));
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
    let last_words = "18\r\nid: farewell\nretry: -1\n\n\r\n0\r\n\r\n";
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
        [("/a", 1), ("/b", 3), ("/c", 2), ("/other", 4)].map(|(name, count)| members(&daemon, name, count)).into();
    let told = samples(&daemon);
    let largest = told.iter().filter(|(series, _)| series.starts_with("namespace_members"));
    let largest: Vec<_> = largest.map(|(series, values)| (series.as_str(), values[0].to_string())).collect();
    let of = |name: &str, members: &str| (format!("namespace_members{{namespace=\"{name}\"}}"), members.to_owned());
    let expected = [of("b", "3"), of("c", "2"), of("other", "5")];
    assert!(
        largest.iter().map(|(series, members)| ((*series).to_owned(), members.clone())).eq(expected),
        "{largest:?}"
    );
}

#[test]
fn whichever_node_answers_it_answers_for_all() {
    let port = free_port().to_string();
    let options = [&BRISK[..], &["--port", &port, "--cluster-notify-interval", "0.1"]].concat();
    let daemons = [Daemon::start(&options), Daemon::start(&options)];
    let _members = members(&daemons[0], "/ns", 8);
    let nodes = |daemon: &Daemon| -> BTreeSet<String> {
        let told = text(daemon);
        let lines = told.lines().filter_map(|line| line.strip_prefix("audience_meter_members{node=\""));
        lines.map(|line| line[..16].to_owned()).collect()
    };
    wait_until("that each tells of both", || daemons.iter().all(|daemon| nodes(daemon).len() == 2));
    wait_until("that each tells the same of both", || {
        let [first, second] = daemons.each_ref().map(|daemon| samples(daemon).remove("members{}").unwrap());
        let sum = |values: &[f64]| values.iter().sum::<f64>().to_string();
        sum(&first) == "8" && sum(&second) == "8"
    });
    assert_eq!(nodes(&daemons[0]), nodes(&daemons[1]));
    let [first, second] = daemons;
    drop(second);
    wait_until("that the one that is gone is told of no more", || nodes(&first).len() == 1);
}

#[test]
fn no_counter_falls_when_another_node_ends_and_one_comes() {
    let port = free_port().to_string();
    let options = [&BRISK[..], &["--port", &port, "--drain-delay", "0"]].concat();
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
    wait_until("that both are told of", || {
        let after = joins();
        assert!(after[0] >= before[0], "from {before:?} to {after:?}");
        after.len() == 2
    });
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
    wait_until("that both are told of", || samples(&first)["cluster_nodes{}"] == [2.0, 2.0]);
    assert_eq!(samples(&first)["cluster_lost_nodes_total{}"], [0.0, 0.0]);
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

/// What each rule says to half an hour of two nodes, scraped every 15 seconds, as `promtool test rules` takes it.
fn tests_of(rules: &str) -> String {
    // After five minutes: 1,000 members, and 100 joins a second for five minutes; a node that is gone a few seconds after it
    // fell silent; another node without a key for five minutes; and 950 descriptors of 1,000.
    let series = [
        ("joins_total{node=\"a\"}", "0+15x20 315+1500x20 30315+15x80"),
        ("members{node=\"a\"}", "1000x120"),
        ("cluster_lost_nodes_total{node=\"a\"}", "0x20 1x100"),
        ("cluster_lost_nodes_total{node=\"b\"}", "0x20"),
        ("cluster_trouble{node=\"a\",kind=\"unkeyed\"}", "0x20 1x20 0x80"),
        ("cluster_trouble{node=\"b\",kind=\"clock_skew\"}", "0x120"),
        ("open_fds{node=\"a\"}", "100x20 950x20 100x80"),
        ("max_fds{node=\"a\"}", "1000x120"),
    ];
    let series = series.map(|(series, values)| format!("{{series: 'audience_meter_{series}', values: '{values}'}}"));
    let alerts = rules.split("- alert: ").skip(1).flat_map(|rule| {
        let (alert, summary) = (rule.lines().next().unwrap(), rule.split_once("summary: ").unwrap().1);
        let labels = if rule.contains("max by (kind)") { "exp_labels: {kind: unkeyed}, " } else { "" };
        let on = format!("[{{{labels}exp_annotations: {{summary: '{}'}}}}]", summary.lines().next().unwrap());
        [(4, "[]"), (9, &on), (25, "[]")]
            .map(|(minutes, expected)| format!("{{eval_time: {minutes}m, alertname: {alert}, exp_alerts: {expected}}}"))
    });
    let (series, alerts) = (series.join(", "), alerts.collect::<Vec<_>>().join(", "));
    let test = format!("{{interval: 15s, input_series: [{series}], alert_rule_test: [{alerts}]}}");
    format!("rule_files: [audience-meter.rules.yml]\ntests: [{test}]\n")
}

/// The names of metrics in an expression.
fn names_in(text: &str) -> BTreeSet<&str> {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    text.match_indices("audience_meter_")
        .map(|(at, _)| text[at..].split(|char| !is_of_name(char)).next().unwrap())
        .collect()
}

#[test]
fn the_dashboard_and_the_rules_of_the_manual_ask_for_what_is_told() {
    let daemon = Daemon::start(&BRISK);
    let told = text(&daemon);
    let told = names_in(&told);
    let reply = daemon.stats_page("/grafana.json");
    assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("application/json")));
    let dashboard: Value = serde_json::from_str(&reply.body).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 5);
    for name in names_in(&reply.body) {
        assert!(told.contains(name), "the dashboard asks for {name}");
    }
    let folder = std::env::temp_dir().join(format!("audience-meter-metrics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rules = manual::block("yaml", "# audience-meter.rules.yml");
    for name in names_in(&rules) {
        assert!(told.contains(name), "a rule asks for {name}");
    }
    std::fs::write(folder.join("tests.yml"), tests_of(&rules)).unwrap();
    std::fs::write(folder.join("audience-meter.rules.yml"), rules).unwrap();
    std::fs::write(folder.join("prometheus.yml"), manual::block("yaml", "# prometheus.yml")).unwrap();
    promtool(&["check", "rules", folder.join("audience-meter.rules.yml").to_str().unwrap()], "");
    promtool(&["test", "rules", folder.join("tests.yml").to_str().unwrap()], "");
    promtool(&["check", "config", folder.join("prometheus.yml").to_str().unwrap()], "");
    std::fs::remove_dir_all(&folder).unwrap();
}
