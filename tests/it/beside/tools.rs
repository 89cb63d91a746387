//! What others wrote to take servers down or to measure them: slowhttptest, h2load and wrk, against the audience port and
//! those beside it. Meanwhile members stay, come and go; their counts are exact, nobody waits, and at the end every
//! connection of the tool is gone.
//!
//! The daemon ends each connection with its answer, and says so. h2load and wrk connect again then, so that what they tell
//! is of connections as well as of requests.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::faults::undisturbed::join_undisturbed;
use audience_kit::*;

/// Members that are there all the time.
const STAYING: usize = 3;

/// Descriptors of the daemon, of which 16 are for connections of each side port.
const LIMIT: &str = "ulimit -n 4096";

/// Connections of slowhttptest: many more than a side port may have.
const SLOW: &str = "300";

/// Ends a tool that still runs when the test fails.
struct Interrupt(u32);

impl Interrupt {
    fn send(&self) {
        let _ = output("kill", &["-INT", &self.0.to_string()]);
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.send();
    }
}

/// A daemon and those who stay there.
struct House {
    daemon: Daemon,
    staying: Vec<Stream>,
    _quiet: Quiet,
}

impl House {
    /// Opens it, unless a tool is missing: then the test is left out.
    fn open(tool: &str, options: &[&str]) -> Option<Self> {
        if skip_under_torture("the tools count an answer as missed that comes late") {
            return None;
        }
        if output("sh", &["-c", &format!("command -v {tool}")]).is_err() {
            skip(&format!("there is no {tool}"));
            return None;
        }
        let quick = ["--notify-delta-ratio", "0", "--notify-min-delay", "0.05", "--notify-max-delay", "600"];
        let quiet = heavy();
        let daemon = Daemon::start_after(LIMIT, &[&quick, options].concat());
        let staying = members(&daemon, "/stays", STAYING);
        Some(Self { daemon, staying, _quiet: quiet })
    }

    /// Runs a tool, and others come and go meanwhile. Returns what it printed; it is interrupted when `is_enough` says so.
    #[track_caller]
    fn while_running(&self, tool: &str, args: &[&str], mut is_enough: impl FnMut() -> bool) -> String {
        let mut command = Command::new(tool);
        let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        let id = child.id();
        let deadline = Deadline::after(ms(60_000));
        thread::scope(|scope| {
            let running = scope.spawn(|| child.wait_with_output().unwrap());
            let end = Interrupt(id);
            let mut is_interrupted = false;
            while !running.is_finished() {
                join_undisturbed(&self.daemon);
                assert_eq!(self.daemon.stat("stays", "members"), Some(STAYING as u64));
                if !is_interrupted && is_enough() {
                    end.send();
                    is_interrupted = true;
                }
                assert!(deadline.left().is_some(), "{tool} does not end");
                thread::park_timeout(ms(50));
            }
            std::mem::forget(end);
            let Output { stdout, stderr, .. } = running.join().unwrap();
            lossy(&stdout) + &lossy(&stderr)
        })
    }

    /// Fails unless all that the tool opened is gone, and those who stay are exactly those who came.
    #[track_caller]
    fn check(&mut self) {
        // Those who stay, and the one who asks.
        wait_until("the end of all connections", || open_connections(&self.daemon) == STAYING as u64 + 1);
        let (comes, count) = member(&self.daemon, "/stays");
        assert_eq!(count, STAYING as u64 + 1);
        for stream in &mut self.staying {
            stream.wait_count(STAYING as u64 + 1);
        }
        drop(comes);
        for stream in &mut self.staying {
            stream.wait_count(STAYING as u64);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// slowhttptest
// ---------------------------------------------------------------------------------------------

/// Runs slowhttptest, which has to find the service available all the time; returns why it ended.
#[track_caller]
fn slowhttptest(
    house: &House,
    args: &[&str],
    address: SocketAddr,
    path: &str,
    is_enough: impl FnMut() -> bool,
) -> String {
    let folder = std::env::temp_dir().join(format!("audience-meter-slow-{}-{}", std::process::id(), address.port()));
    std::fs::create_dir_all(&folder).unwrap();
    let (prefix, url) = (folder.join("figures"), format!("http://{address}{path}"));
    let fixed = ["-v", "1", "-g", "-o", prefix.to_str().unwrap(), "-r", SLOW, "-p", "4", "-u", &url];
    let printed = house.while_running("slowhttptest", &[args, &fixed].concat(), is_enough);
    let figures = std::fs::read_to_string(prefix.with_extension("csv")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let mut seconds = figures.lines();
    assert_eq!(seconds.next(), Some("Seconds,Closed,Pending,Connected,Service Available"));
    // The last column is 0 in a second in which a request of its own was not answered.
    let unavailable = seconds.clone().find(|second| second.ends_with(",0"));
    assert_eq!((unavailable, seconds.count() > 0), (None, true), "{figures}");
    let end = printed.lines().find_map(|line| line.split_once("Exit status:")).map(|(_, end)| end);
    let end = end.unwrap_or_else(|| panic!("no end in {printed}"));
    // Without the colours.
    ["No open connections left", "Hit test time limit", "Cancelled by user"]
        .into_iter()
        .find(|why| end.contains(why))
        .unwrap_or(end)
        .to_owned()
}

#[test]
fn slow_heads_keep_nobody_from_any_port_and_are_gone_after_the_head_timeout() {
    let options = ["--head-timeout", "1.5"];
    let Some(mut house) = House::open("slowhttptest", &options) else { return };
    let heads = ["-H", "-c", SLOW, "-i", "1", "-x", "24", "-l", "25"];
    let (audience, demo, stats) = (house.daemon.audience(), house.daemon.demo(), house.daemon.stats_port());
    let mut most = 0;
    let end = slowhttptest(&house, &heads, audience, "/slow", || {
        most = most.max(open_connections(&house.daemon));
        false
    });
    assert_eq!((&*end, figure(&house.daemon, "refused", "heads")), ("No open connections left", 0));
    assert!(most > 50, "{most} at most");
    house.check();
    // They take their time, and come in greater numbers than these ports have room for.
    for address in [demo, stats] {
        let refused = figure(&house.daemon, "refused", "heads");
        let end = slowhttptest(&house, &heads, address, "/", || false);
        assert_eq!(end, "No open connections left");
        assert!(figure(&house.daemon, "refused", "heads") > refused);
        house.check();
    }
}

#[test]
fn slow_bodies_wait_for_nothing_and_are_counted_if_they_join() {
    let Some(mut house) = House::open("slowhttptest", &[]) else { return };
    let bodies = ["-B", "-c", SLOW, "-i", "1", "-x", "24", "-s", "4096"];
    let address = house.daemon.audience();
    // The answer does not wait for the body, and the connection ends with it.
    let end = slowhttptest(&house, &[&bodies[..], &["-l", "25"]].concat(), address, "/body", || false);
    assert_eq!(end, "No open connections left");
    assert_eq!(house.daemon.stat("body", "members"), None);
    house.check();

    let joining = [&bodies[..], &["-m", "text/event-stream", "-l", "25"]].concat();
    let end = slowhttptest(&house, &joining, address, "/body", || {
        house.daemon.stat("body", "members").is_some_and(|members| members.to_string() == SLOW)
    });
    assert_eq!((&*end, house.daemon.stat("body", "connections")), ("Cancelled by user", SLOW.parse().ok()));
    house.daemon.wait_members("body", 0);
    house.check();
}

#[test]
fn slow_readers_are_let_go_while_they_still_read() {
    let Some(mut house) = House::open("slowhttptest", &[]) else { return };
    let reads = ["-X", "-c", SLOW, "-n", "1", "-z", "5", "-w", "1", "-y", "64"];
    // They hold on to what they were sent. The daemon does not, and ends connections that they do not end.
    for (address, path) in [(house.daemon.demo(), "/test"), (house.daemon.stats_port(), "/process")] {
        let lingered = || figure(&house.daemon, "closed", "lingered");
        let before = lingered();
        let end = slowhttptest(&house, &[&reads[..], &["-l", "25"]].concat(), address, path, || {
            lingered() >= before + SLOW.parse::<u64>().unwrap()
        });
        assert_eq!(end, "Cancelled by user");
        house.check();
    }
}

// ---------------------------------------------------------------------------------------------
// h2load and wrk
// ---------------------------------------------------------------------------------------------

#[test]
fn h2load_gets_every_answer_and_its_streams_are_members() {
    let Some(mut house) = House::open("h2load", &[]) else { return };
    let (audience, demo, stats) = (house.daemon.audience(), house.daemon.demo(), house.daemon.stats_port());
    for (address, path, clients) in [
        (audience, "/", 50),
        (audience, "/client/audience.js", 50),
        // One connection for each request, all at once.
        (audience, "/", 2_000),
        (demo, "/test", 200),
        (stats, "/", 10),
        (stats, "/process", 10),
    ] {
        let (clients, url) = (clients.to_string(), format!("http://{address}{path}"));
        let printed = house.while_running("h2load", &["--h1", "-n", "2000", "-c", &clients, &url], || false);
        let all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(printed.contains(all) && printed.contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{url}: {printed}");
        house.check();
    }
    let args = ["--h1", "-n", "100", "-c", "100", "-N", "2s", "-H", "Accept: text/event-stream"];
    let url = format!("http://{audience}/h2load");
    let mut most = 0;
    let printed = house.while_running("h2load", &[&args[..], &[&url]].concat(), || {
        most = most.max(house.daemon.stat("h2load", "members").unwrap_or(0));
        false
    });
    // A stream has no end until it waits no more, which to it is a request that has failed.
    assert!(printed.contains("100 total, 100 started, 0 done") && printed.contains("100 2xx"), "{printed}");
    assert_eq!((most > 0, house.daemon.stat("h2load", "connections")), (true, Some(100)));
    house.daemon.wait_members("h2load", 0);
    house.check();
}

#[test]
fn wrk_gets_every_answer_and_its_streams_are_members() {
    let Some(mut house) = House::open("wrk", &[]) else { return };
    let (audience, demo, stats) = (house.daemon.audience(), house.daemon.demo(), house.daemon.stats_port());
    for (address, path, connections) in
        [(audience, "/", "50"), (audience, "/a/b/c?d", "500"), (demo, "/test", "200"), (stats, "/", "10")]
    {
        let url = format!("http://{address}{path}");
        let printed = house.while_running("wrk", &["-t", "1", "-c", connections, "-d", "1s", &url], || false);
        assert!(!printed.contains("Socket errors") && !printed.contains("Non-2xx"), "{url}: {printed}");
        let requests = printed.lines().find_map(|line| line.trim().split_once(" requests in "));
        let requests: u64 = requests.unwrap_or_else(|| panic!("{printed}")).0.parse().unwrap();
        assert!(requests > 100, "{url}: {printed}");
        house.check();
    }
    let args = ["-t", "1", "-c", "100", "-d", "2s", "-H", "Accept: text/event-stream"];
    let url = format!("http://{audience}/wrk");
    let mut most = 0;
    let printed = house.while_running("wrk", &[&args[..], &[&url]].concat(), || {
        most = most.max(house.daemon.stat("wrk", "members").unwrap_or(0));
        false
    });
    assert!(printed.contains(" 0 requests in "), "{printed}");
    assert_eq!((most > 0, house.daemon.stat("wrk", "connections")), (true, Some(100)));
    house.daemon.wait_members("wrk", 0);
    house.check();
}
