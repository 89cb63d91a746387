//! What events come to: in the stats, in the report when one is over, and minute by minute.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use audience_kit::*;

/// A path that no other test has, and nothing is there.
fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("audience-meter-it-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// The lines of a report file, each of which has to be whole.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line: {text:?}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))).collect()
}

/// What is in the log of a daemon of the events that are over.
fn logged(daemon: &Daemon) -> Vec<Value> {
    let lines = daemon.log();
    let reports = lines.iter().filter_map(|line| line.strip_prefix("level=info event=ended report="));
    // A quoted string is one of JSON.
    let texts = reports.map(|report| serde_json::from_str::<String>(report).unwrap());
    texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
}

fn float(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn stays(value: &Value) -> Vec<u64> {
    value["stays"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

/// How far a moment may be off that is seen from outside, in seconds.
const SLACK_S: f64 = 1.0;

#[test]
fn the_accounts_agree_with_real_time() {
    let daemon = Daemon::start(&[]);
    let began = unix_now();
    let first = (member(&daemon, "/a"), now());
    let others = (members(&daemon, "/a", 3), now());
    daemon.wait_members("a", 4);
    let peaked = unix_now();
    // Time itself is what is measured here.
    wait_until("more than a second has passed", || others.1.elapsed() > ms(1_500));
    let mut watched = others.1.elapsed().as_secs_f64() * 3.0;
    drop(others);
    daemon.wait_members("a", 1);
    wait_until("a little longer", || first.1.elapsed() > ms(2_500));
    let stats = daemon.stats();
    let now_s = first.1.elapsed().as_secs_f64();
    watched += now_s;
    let entry = &stats["a"];
    assert_eq!((entry["peak"].as_u64(), entry["connections"].as_u64()), (Some(4), Some(4)));
    let peak_at = entry["peak_at"].as_u64().unwrap();
    assert!((began..=peaked).contains(&peak_at), "{peak_at} is not from {began} to {peaked}");
    let member_seconds = float(entry, "member_seconds");
    assert!((member_seconds - watched).abs() < SLACK_S, "{member_seconds} of {watched}");
    assert!((float(entry, "average_watch") - watched / 4.0).abs() < SLACK_S / 4.0, "{entry}");
    // `created` is a whole second, so the event may seem longer by one.
    let average = float(entry, "average");
    let (least, most) = ((watched - SLACK_S) / (now_s + 1.5), (watched + SLACK_S) / now_s);
    assert!((least..=most).contains(&average), "{average} is not from {least} to {most}");
    assert_eq!(stays(entry).iter().sum::<u64>(), 3, "{entry}");
    assert_eq!(stays(entry)[1..3].iter().sum::<u64>(), 3, "they stayed for some two seconds: {entry}");
}

#[test]
fn new_fields_come_after_those_of_2011() {
    let daemon = Daemon::start(&[]);
    let (_stream, _) = member(&daemon, "/a");
    let text = daemon.stats_text();
    let order = ["created", "members", "connections", "modified", "peak", "peak_at", "member_seconds", "average"];
    let places = order.map(|field| text.find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field}: {text}")));
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn who_leaves_before_it_is_counted_leaves_no_trace() {
    let daemon = Daemon::start(&["--increment-delay", "0.3"]);
    let _stays = Stream::join(daemon.audience(), "/a");
    daemon.wait_members("a", 1);
    drop(Stream::join(daemon.audience(), "/a"));
    wait_until("the other is gone", || get(daemon.stats_port(), "/process").body.contains("\"open\":2"));
    let entry = daemon.stats()["a"].clone();
    assert_eq!(
        (entry["connections"].as_u64(), entry["peak"].as_u64(), stays(&entry).iter().sum::<u64>()),
        (Some(1), Some(1), 0)
    );
}

#[test]
fn processes_of_one_audience_say_the_same() {
    let daemon = Daemon::start(&["-w", "3"]);
    let (stay, gone) = (members(&daemon, "/a", 7), members(&daemon, "/a", 8));
    daemon.wait_members("a", 15);
    drop(gone);
    daemon.wait_members("a", 7);
    // Whoever answers: enough questions reach all three.
    wait_until("all of them agree", || {
        (0..24).all(|_| {
            let entry = daemon.stats()["a"].clone();
            let sums = (entry["peak"].as_u64(), entry["connections"].as_u64());
            sums == (Some(15), Some(15)) && stays(&entry).iter().sum::<u64>() == 8
        })
    });
    drop(stay);
}

#[test]
fn one_of_several_processes_reports_an_event_that_is_over() {
    let path = scratch("over");
    let file = path.to_str().unwrap();
    let daemon = Daemon::start(&["-w", "3", "--namespace-clean-delay", "1", "--report-file", file]);
    for name in ["/a", "/b", "/c", "/d"] {
        drop(members(&daemon, name, 6));
    }
    wait_until("all events are reported", || lines(&path).len() >= 4);
    wait_until("all are forgotten everywhere", || (0..12).all(|_| daemon.namespaces().is_empty()));
    let mut names: Vec<String> =
        lines(&path).iter().map(|line| line["namespace"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c", "d"]);
    for line in lines(&path) {
        assert_eq!((line["connections"].as_u64(), stays(&line).iter().sum::<u64>()), (Some(6), 6), "{line}");
        assert!(line["created"].as_u64() <= line["ended"].as_u64() && line["peak"].as_u64() <= Some(6), "{line}");
        wait_until("it is in the log, too", || logged(&daemon).contains(&line));
    }
    assert_eq!(logged(&daemon).len(), 4);
    fs::remove_file(&path).unwrap();
}

#[test]
fn events_that_end_with_the_audience_are_reported_once() {
    for workers in ["1", "3"] {
        let path = scratch("shut-down");
        let args = ["-w", workers, "--drain-delay", "0.3", "--report-file", path.to_str().unwrap()];
        let mut daemon = Daemon::start(&args);
        let streams = [members(&daemon, "/a", 9), members(&daemon, "/b", 3)];
        daemon.wait_members("a", 9);
        daemon.wait_members("b", 3);
        daemon.signal("TERM");
        assert!(daemon.wait_exit().success());
        drop(streams);
        let mut told: Vec<(String, u64, u64)> = lines(&path)
            .iter()
            .map(|line| {
                let count = line["connections"].as_u64().unwrap();
                (line["namespace"].as_str().unwrap().to_owned(), count, stays(line).iter().sum())
            })
            .collect();
        told.sort();
        assert_eq!(told, [("a".to_owned(), 9, 9), ("b".to_owned(), 3, 3)], "{workers} processes");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_full_disk_does_no_harm_and_nothing_is_torn() {
    let folder = scratch("tiny");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("reports");
    // The daemon alone sees it, and it goes with the daemon.
    let mount = format!("mount -t tmpfs -o size=64k tmpfs {}; exec \"$0\" \"$@\"", folder.display());
    let command = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &mount, program()]);
        command
    };
    let args = ["--namespace-clean-delay", "0.2", "--report-file", file.to_str().unwrap()];
    let daemon = Daemon::start_with(command, &args);
    let seen = PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), folder.display()));
    let path = seen.join("reports");
    // There is one page left, into which a dozen reports fit.
    fs::write(seen.join("filler"), vec![b'x'; 60 * 1024]).unwrap();
    let trace = ["-e", "trace=fallocate,ftruncate"];
    let tracer = Tracer::attach(daemon.pid(), &trace);
    let mut rounds = 0;
    wait_until("the disk is full", || {
        rounds += 1;
        drop(member(&daemon, &format!("/event{rounds}")));
        daemon.log().iter().any(|line| line.contains("event=report_file_failed"))
    });
    if let Some(calls) = tracer.map(Tracer::detach) {
        assert!(calls.iter().any(|call| call.contains("ENOSPC")), "{calls:#?}");
        let is_cut = calls.iter().any(|call| call.starts_with("ftruncate"));
        assert!(!is_cut, "who reads meanwhile saw a line that is torn: {calls:#?}");
    }
    let written = lines(&path).len();
    assert!(written > 3, "{written} lines were written before");
    let (_stream, count) = member(&daemon, "/a");
    assert_eq!(count, 1, "it counts as before");
    // There is room again, and what has waited is written.
    fs::remove_file(seen.join("filler")).unwrap();
    daemon.wait_log("the end of it", |line| line == "level=info event=report_file_written lost=0");
    let all = wait_for("the rest", || Some(lines(&path)).filter(|all| all.len() >= rounds));
    let names: Vec<String> = all.iter().map(|line| line["namespace"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = (1..=rounds).map(|round| format!("event{round}")).collect();
    assert_eq!(names, expected);
    drop(daemon);
    fs::remove_dir(&folder).unwrap();
}

#[test]
fn a_file_that_may_not_grow_ends_nobody_and_its_lines_wait() {
    let path = scratch("limited");
    // The shell counts in blocks of 512 or 1,024 bytes; beyond the limit the kernel would end who writes.
    fs::write(&path, "{}\n".repeat(500)).unwrap();
    let args = ["--namespace-clean-delay", "0.2", "--report-file", path.to_str().unwrap()];
    let daemon = Daemon::start_after("ulimit -f 1", &args);
    drop(member(&daemon, "/first"));
    daemon.wait_log("a file that is too large", |line| line.contains("event=report_file_failed"));
    let (_stream, count) = member(&daemon, "/a");
    assert_eq!(count, 1, "it counts as before");
    assert_eq!(lines(&path).len(), 500);
    fs::remove_file(&path).unwrap();
    wait_until("what has waited is written to the next file", || !lines(&path).is_empty());
    assert_eq!(lines(&path)[0]["namespace"], "first");
    drop(daemon);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_pipe_takes_reports_and_one_that_nobody_reads_keeps_nobody_waiting() {
    let path = scratch("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // It can be opened for both without waiting, as a reader that is slow to read.
    let pipe = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut filler = pipe.try_clone().unwrap();
    let daemon = Daemon::start(&["--namespace-clean-delay", "0.2", "--report-file", path.to_str().unwrap()]);
    let mut reader = BufReader::new(pipe);
    drop(member(&daemon, "/first"));
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"namespace\":\"first\",") && line.ends_with("}\n"), "{line:?}");
    // Full, but for less than a page.
    filler.write_all(&vec![b'x'; 64 * 1024 - 100]).unwrap();
    drop(member(&daemon, "/second"));
    daemon.wait_log("a full pipe", |line| line.contains("event=report_file_failed"));
    let (_stream, count) = member(&daemon, "/a");
    assert_eq!(count, 1);
    let mut filling = vec![0; 64 * 1024 - 100];
    reader.read_exact(&mut filling).unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"namespace\":\"second\","), "{line:?}");
    drop(daemon);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_report_file_that_cannot_be_written_is_refused_at_the_start() {
    let mut command = Command::new(program());
    let port = free_port().to_string();
    command.args(["-w", "1", "--port", &port, "--demo-port", "0", "--stats-port", "0", "--notification-port", "0"]);
    let output = command.args(["--report-file", "/no/such/folder/x"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("--report-file /no/such/folder/x: No such file or directory"), "{error}");
}

#[test]
fn the_history_of_an_event_outlives_it() {
    let daemon = Daemon::start(&["--namespace-clean-delay", "0.2"]);
    let three = members(&daemon, "/a.csv", 3);
    let history = |target: &str| get(daemon.stats_port(), target);
    let rows = |target: &str| -> Vec<Vec<f64>> {
        let history: Value = serde_json::from_str(&history(target).body).unwrap();
        let rows = history["rows"].as_array().unwrap().iter();
        rows.map(|row| row.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(0.0)).collect()).collect()
    };
    let json = history("/history/a.csv.json");
    assert_eq!((json.status, json.header("Content-Type")), (200, Some("application/json")));
    drop(three);
    wait_until("it is forgotten", || daemon.namespaces().is_empty());
    let rows = rows("/history/a.csv.json");
    // A minute may have ended in between.
    let sum = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>();
    assert_eq!((sum(4), sum(5)), (3.0, 3.0), "{rows:?}");
    assert!((rows.last().unwrap()[6] - 1.0).abs() < 0.5, "one client, three times: {rows:?}");
    assert!(
        rows.iter().any(|row| row[3] > 2.5) && rows.iter().all(|row| row[1] <= row[2] && row[2] <= row[3]),
        "{rows:?}"
    );
    let (minute, seconds) = (rows[0][0], std::time::Duration::from_secs(unix_now()).as_secs_f64());
    assert!(minute % 60.0 < 0.5 && (seconds - 120.0..=seconds).contains(&minute), "{rows:?}");
    let csv = history("/history/a.csv.csv");
    assert!(csv.header("Content-Type").unwrap().starts_with("text/csv"), "{csv:?}");
    let text: Vec<&str> = csv.body.split("\r\n").collect();
    assert_eq!((text[0], text.len() >= rows.len() + 2), ("time,min,average,max,joins,leaves,people", true), "{text:?}");
    assert_eq!(history("/history/a").status, 404);
    assert_eq!(history("/history/").status, 404);
    let mut socket = connect(daemon.stats_port());
    socket.write_all(b"HEAD /history/a.csv.json HTTP/1.0\r\n\r\n").unwrap();
    let head = lossy(&read_to_end(&mut socket));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head:?}");
}

#[test]
fn a_name_that_a_path_would_change_is_asked_for_by_the_query() {
    let daemon = Daemon::start(&[]);
    let names = ["a#b", "..", "\"<{}>", "caf%C3%A9", "50%"];
    let _streams: Vec<Stream> = names.iter().flat_map(|name| members(&daemon, &format!("/{name}"), 2)).collect();
    let _other = members(&daemon, "/a", 1);
    for (name, encoded) in names.iter().zip(["a%23b", "%2E%2e", "%22%3C{}%3e", "caf%25C3%25A9", "50%"]) {
        let figures = get(daemon.stats_port(), &format!("/namespace/?name={encoded}"));
        assert!(figures.body.contains("\"members\":2,"), "{name}: {figures:?}");
        let history = get(daemon.stats_port(), &format!("/history/?x&name={encoded}"));
        let history: Value = serde_json::from_str(&history.body).unwrap_or_else(|_| panic!("{name}: {history:?}"));
        assert_eq!(history["namespace"], **name);
        let csv = get(daemon.stats_port(), &format!("/history/.csv?name={encoded}"));
        assert!(csv.header("Content-Type").unwrap().starts_with("text/csv"), "{csv:?}");
    }
    // Where the path has a name, that is it.
    assert!(get(daemon.stats_port(), "/namespace/a?name=50%25").body.contains("\"members\":1,"));
    for target in
        ["/namespace/", "/namespace/?name", "/namespace/?name=b", "/history/.json?name=%ff", "/namespace?name=a"]
    {
        assert_eq!(get(daemon.stats_port(), target).status, 404, "{target}");
    }
}

#[test]
fn only_so_many_histories_are_kept() {
    let none = Daemon::start(&["--history-namespaces", "0"]);
    let (_stream, _) = member(&none, "/a");
    assert_eq!(get(none.stats_port(), "/history/a").status, 404);
    let one = Daemon::start(&["--history-namespaces", "1"]);
    let _streams = (members(&one, "/small", 2), members(&one, "/large", 3));
    assert_eq!(get(one.stats_port(), "/history/small").status, 404);
    assert_eq!(get(one.stats_port(), "/history/large").status, 200);
}
