//! The instrument, with audiences so small that its figures mean nothing. The tests show that it measures what it says,
//! splits itself where one process is too small, draws its picture, ends what it starts, and says what is wrong.
//!
//! The soak is the exception: a short one is a test of the daemons too. Where no datagrams can be lost, the test says so by
//! its name on the standard error itself, which is shown even of tests that pass, and loses none.

#![expect(clippy::unwrap_used, reason = "in a test, a missing value is the failure")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use audience_kit::{Daemon, Deadline, children, isolate, program, source, wait_for};

/// The instrument, which lies beside the daemon.
const BENCH: &str = env!("CARGO_BIN_EXE_audience-bench");

/// How long a run may take, with everything else that runs on the machine.
const PATIENCE: Duration = Duration::from_secs(50);

/// The result of a run.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the benchmark in a shell, after a command.
#[track_caller]
fn run_after(shell: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    let command = isolate(&mut command).args(["-c", &format!("{shell} exec \"$0\" \"$@\""), BENCH]).args(args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_end(child, args)
}

/// Waits until a run is over.
#[track_caller]
fn wait_end(mut child: Child, args: &[&str]) -> Outcome {
    let deadline = Deadline::after(PATIENCE);
    while child.try_wait().unwrap().is_none() && deadline.left().is_some() {
        thread::park_timeout(Duration::from_millis(5));
    }
    let is_late = deadline.left().is_none() && child.kill().is_ok();
    let output = child.wait_with_output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!is_late, "{args:?} is running: {stdout}{stderr}");
    Outcome { code: output.status.code(), stdout, stderr }
}

/// Runs the benchmark to its good end, and returns its output.
#[track_caller]
fn run(args: &[&str]) -> String {
    let outcome = run_after("", args);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}: {outcome:?}");
    outcome.stdout
}

/// Fails unless the benchmark refuses these arguments with this code, in one line that has `names`.
#[track_caller]
fn refuses(args: &[&str], code: i32, names: &str) {
    let outcome = run_after("", args);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(code), ""), "{args:?}: {outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains(names), "{args:?} without {names:?}: {outcome:?}");
}

/// The first number in the row of a table that begins with this.
#[track_caller]
fn first<'a>(table: &'a str, row: &str) -> &'a str {
    let line = table.lines().find_map(|line| line.strip_prefix(row)).unwrap_or_else(|| panic!("no {row:?}: {table}"));
    line.split_whitespace().next().unwrap()
}

#[track_caller]
fn deliveries(table: &str) -> &str {
    first(table, "message: deliveries")
}

#[track_caller]
fn median(table: &str, row: &str) -> f64 {
    first(table, row).parse().unwrap()
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("audience-bench-{}-{name}", std::process::id()))
}

#[test]
fn a_load_is_measured_whole() {
    let table = run(&["-c", "60", "-e", "3", "-s", "0", "-r", "2", "--hold", "0.1"]);
    assert!(table.starts_with("members=60 events=3 rounds=2\n"), "{table}");
    // Ten messages in turn to three events of twenty.
    assert_eq!(deliveries(&table), "200", "{table}");
    for row in ["join: CPU per join", "leave: CPU per leave"] {
        assert!(median(&table, row) > 0.0, "{table}");
    }
}

#[test]
fn a_load_may_be_watched_by_as_many_as_a_daemon_takes() {
    let load = ["load", "-c", "30", "-e", "3", "-s", "0", "-r", "1", "--hold", "0"];
    let table = run(&[&load[..], &["--watchers", "2"]].concat());
    assert!(table.starts_with("members=30 events=3 watchers=2 rounds=1\n"), "{table}");
    refuses(&[&load[..], &["--watchers", "2000"]].concat(), 1, "--watchers");
}

#[test]
fn a_crowd_that_is_too_large_for_one_process_takes_several_and_so_may_the_daemon() {
    // With 80 descriptors a process, 100 members and one more are three parts.
    let daemon = Daemon::start(&["-w", "1", "--notify-delta-ratio", "0", "--notify-min-delay", "0.1"]);
    let ports =
        [daemon.audience(), daemon.stats_port(), daemon.notification()].map(|address| address.port().to_string());
    let [audience, stats, notification] = &ports;
    let pid = daemon.pid().to_string();
    let at = ["-P", audience, "--stats-port", stats, "--notification-port", notification, "--pid", &pid];
    let args = [&["load", "-c", "100", "-e", "1", "-s", "0", "-r", "1", "--hold", "0"], &at[..]].concat();
    let outcome = run_after("ulimit -n 80;", &args);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    assert_eq!(deliveries(&outcome.stdout), "1000");
    let table = run(&["load", "-c", "30", "-e", "1", "-s", "0", "-w", "2", "-r", "1", "--hold", "0"]);
    assert_eq!(deliveries(&table), "300", "{table}");
}

#[test]
fn the_daemon_is_compared_with_the_floor() {
    let file = temporary("compare.json");
    let table = run(&["compare", "-c", "40", "-r", "1", "--json", file.to_str().unwrap()]);
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!((json["benchmark"].as_str(), json["members"].as_u64()), (Some("compare"), Some(40)));
    for key in ["join_cpu", "delivery_cpu", "leave_join_cpu"] {
        let figure = json["figures"].as_array().unwrap().iter().find(|figure| figure["key"] == key).unwrap();
        assert!(figure["daemon"]["median"].as_f64().unwrap() > 0.0, "{figure}");
        assert!(figure["floor"]["median"].as_f64().unwrap() > 0.0, "{figure}");
        assert!(table.contains(figure["name"].as_str().unwrap()), "{table}");
    }
    // Where each member has an event to itself, there are other targets.
    assert!(run(&["compare", "-c", "20", "-e", "20", "-r", "1"]).contains("1.30 x"));
}

#[test]
fn two_daemons_are_compared_in_turn() {
    let table = run(&["compare", "-c", "20", "-r", "2", "--program", program(), "--against-program", program()]);
    assert!(table.starts_with(&format!("program={0} against={0} members=20 ", program())), "{table}");
    let size = table.lines().find(|line| line.starts_with("size of the program")).unwrap();
    assert_eq!(size.split_whitespace().last(), Some("1.00"), "{table}");
    assert!(table.contains("against") && !table.contains("MISSED"), "{table}");
}

#[test]
fn fairness_is_measured_beside_a_large_audience() {
    let table = run(&["fairness", "-c", "50", "-r", "1", "--hold", "0.3"]);
    for row in [
        "join: 99 of 100 have their first count after",
        "small event: 99 of 100 are there after",
        "turn: the longest, waiting for a core included",
    ] {
        assert!(median(&table, row) > 0.0, "{table}");
    }
}

#[test]
fn a_cluster_is_measured_over_a_bus_between_hosts() {
    let measure = |bus| {
        run_after("", &["cluster", "--bus", bus, "-w", "3", "-e", "50", "--joins", "5", "--hold", "1", "-r", "1"])
    };
    for bus in ["nats", "peers"] {
        let outcome = measure(bus);
        if outcome.stderr.contains("this takes root and iproute2") {
            let line = format!("SKIPPED bench::a_cluster_is_measured: {}", outcome.stderr);
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return;
        }
        let Outcome { code, stdout: table, stderr } = outcome;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{table}");
        assert!(table.starts_with(&format!("bus={bus} nodes=3 quiet=50 changing=1000 rounds=1\n")), "{table}");
        for row in ["join: 99 of 100 after", "changing: sent per second and node", "quiet: CPU per node"] {
            assert!(median(&table, row) > 0.0, "{table}");
        }
        for row in ["broker restarted: all nodes are whole", "broker long away: all nodes are whole"] {
            assert_eq!(table.contains(row), bus == "nats", "{table}");
        }
    }
}

#[test]
fn a_broker_that_is_not_installed_is_named_with_its_package() {
    let outcome = run_after("PATH=/no/such/folder;", &["cluster", "--bus", "redis"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
    assert!(outcome.stderr.contains("install it: apt install redis-server"), "{outcome:?}");
}

#[test]
fn turns_are_measured_under_each_load() {
    let table = run(&["turns", "--divide", "1000"]);
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|row| row.split('|').map(str::trim).collect()).collect();
    let (idle, loads) = rows.split_last().unwrap();
    assert!(loads.len() == 6 && idle[1].contains("does nothing") && idle[3].ends_with(" ms"), "{table}");
    for row in loads {
        assert!(row[2].parse::<u64>().unwrap() > 0 && row[3].contains(" ms") && row[5].ends_with(" ms"), "{table}");
    }
}

#[test]
fn whatever_happens_every_count_is_exact_when_it_is_quiet() {
    let soak = ["soak", "--duration", "3s", "-c", "200", "--seed", "7"];
    let mut outcome = run_after("", &soak);
    let loses = !outcome.stderr.contains("--loss 0 does without");
    if !loses {
        let line = format!("SKIPPED bench::whatever_happens, with lost datagrams: {}", outcome.stderr);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        outcome = run_after("", &[&soak[..], &["--loss", "0"]].concat());
    }
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.starts_with("seed=7 ") && outcome.stderr.lines().count() == 1, "{outcome:?}");
    for row in ["daemons killed", "daemons stopped for longer than the node timeout", "daemons restarted"] {
        assert_eq!(first(&outcome.stdout, row), "1", "{outcome:?}");
    }
    for row in [
        "joins",
        "leaves",
        "resets",
        "half heads",
        "members whose uuid was claimed anew or given up",
        "messages received",
        "totals that they received",
        "pages read",
        "events with one report, and every join in it",
    ] {
        assert!(median(&outcome.stdout, row) > 0.0, "{row}: {outcome:?}");
    }
    // Each event of the two storms had a visit.
    assert_eq!(first(&outcome.stdout, "events of storms"), "800", "{outcome:?}");
    for row in ["times that the disk was full", "times that the interfaces were made anew"] {
        assert_eq!(first(&outcome.stdout, row), if loses { "1" } else { "0" }, "{row}: {outcome:?}");
    }
    assert_eq!(first(&outcome.stdout, "datagrams lost") != "-", loses, "{outcome:?}");
    // The start, two quiet points, and seven checks without members.
    assert_eq!(first(&outcome.stdout, "checks passed"), "10", "{outcome:?}");
}

#[test]
fn a_soak_that_is_ended_takes_its_daemons_with_it() {
    let args = ["soak", "--loss", "0", "-c", "20", "--seed", "7"];
    let mut command = Command::new(BENCH);
    let command = isolate(&mut command).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let daemons = wait_for("three daemons", || Some(children(child.id())).filter(|daemons| daemons.len() == 3));
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let outcome = wait_end(child, &args);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
    assert!(outcome.stderr.ends_with("ended by signal 15; seed 7\n"), "{outcome:?}");
    assert!(!daemons.iter().any(|daemon| Path::new(&format!("/proc/{daemon}")).exists()), "{daemons:?}");
}

#[test]
fn the_picture_of_the_figures_is_drawn_from_the_figures_beside_it() {
    let figures = source().join("tests/figures");
    let drawn = run(&["plot", figures.join("growth.json").to_str().unwrap()]);
    let committed = std::fs::read_to_string(figures.join("growth.svg")).unwrap();
    assert!(
        drawn == committed,
        "draw it again: audience-bench plot tests/figures/growth.json >tests/figures/growth.svg"
    );
}

#[test]
fn what_is_wrong_is_one_line() {
    refuses(&["plot", "/no/such/file"], 1, "/no/such/file");
    refuses(&["soak", "--inside", "--duration", "0s"], 1, "not a network that was made for the soak");
    refuses(&["jump"], 2, "unrecognized subcommand 'jump'");
    refuses(&["load", "-c", "0"], 2, "'--concurrent-clients <num>': 0 is too few; give at least 1; see --help");
    refuses(&["compare", "--program", "/no/such/daemon"], 1, "cargo build --release --workspace");
    refuses(&["load", "-P", "1", "--stats-port", "0", "--notification-port", "0", "-r", "1"], 1, "cannot connect to");
    refuses(&["compare", "-c", "2", "-r", "1", "--json", "/no/such/folder/x"], 1, "/no/such/folder/x");
}
