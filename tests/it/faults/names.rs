//! Thousands of events that one client makes up: what others see of them, what they cost, and what is left afterwards.

use std::fs;
use std::net::SocketAddr;
use std::thread;

use audience_kit::*;

/// More than the lines of some seconds.
const NAMES: usize = 3_000;

const CLIENTS: usize = 4;

/// All join and leave as fast as they can, each an event of its own.
fn make_up(address: SocketAddr, count: usize) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in (client..count).step_by(CLIENTS) {
                    let mut stream = Stream::join(address, &format!("/made-up-{number}"));
                    assert!(
                        matches!(stream.next(SOON), Some(Event::Retry(2_000..=10_000))),
                        "there is room for {number}"
                    );
                }
            });
        }
    });
}

/// The sum of the numbers in the lines of this event.
fn sum_of(log: &[String], event: &str) -> usize {
    let lines = log.iter().filter_map(|line| line.split_once(&format!("event={event} number=")));
    lines.map(|(_, rest)| rest.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn a_storm_of_names_shuts_no_event_out_and_all_are_reported() {
    let reports = std::env::temp_dir().join(format!("audience-meter-it-{}-storm", std::process::id()));
    let _ = fs::remove_file(&reports);
    let path = reports.display().to_string();
    let options = ["--max-namespaces", "500", "--namespace-clean-delay", "5", "--report-file", &path];
    let daemon = Daemon::start(&options);
    let launch = member(&daemon, "/launch").0;
    let final_of_the_cup = thread::scope(|scope| {
        let storm = scope.spawn(|| make_up(daemon.audience(), NAMES));
        wait_until("it is full", || daemon.namespaces().len() >= 500);
        let (stream, count) = member(&daemon, "/final-of-the-cup");
        assert_eq!(count, 1, "an event can begin meanwhile");
        storm.join().unwrap();
        stream
    });
    assert!(daemon.namespaces().len() <= 500);
    wait_until("all but two are forgotten", || daemon.namespaces() == ["final-of-the-cup", "launch"]);
    drop((launch, final_of_the_cup));
    wait_until("the last two are", || daemon.namespaces().is_empty());
    // Each is in the file, and in the log with a line of its own or in a number.
    wait_until("all are reported", || fs::read_to_string(&reports).unwrap_or_default().lines().count() == NAMES + 2);
    let logged = |log: &[String]| log.iter().filter(|line| line.contains("event=ended report=")).count();
    wait_until("all are logged", || {
        let log = daemon.log();
        logged(&log) + sum_of(&log, "ended_unlogged") == NAMES + 2
    });
    let log = daemon.log();
    assert!(logged(&log) < NAMES / 2, "{} lines", logged(&log));
    let evicted = sum_of(&log, "namespaces_evicted");
    assert!(evicted >= 1, "it is said that some are forgotten early");
    let metrics = daemon.stats_page("/metrics").body;
    let metric = metrics.lines().find(|line| line.starts_with("audience_meter_namespaces_evicted_total")).unwrap();
    assert!(metric.rsplit(' ').next().unwrap().parse::<usize>().unwrap() >= evicted, "{metric}");
    fs::remove_file(&reports).unwrap();
}
