//! What must hold when nobody reads the log: nothing waits for it, and the lines that were lost are counted in it.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::guests::*;
use audience_kit::*;

/// A daemon whose log goes through a process that can be stopped; `shell` says its id first.
#[track_caller]
fn start_behind(shell: &str, args: &[&str]) -> (Daemon, u32) {
    let command = || {
        let mut command = Command::new("bash");
        command.args(["-c", shell, program()]);
        command
    };
    let daemon = Daemon::start_with(command, args);
    let line = daemon.wait_log("its collector", |line| line.starts_with("collector="));
    let collector = line.trim_start_matches("collector=").parse().unwrap();
    (daemon, collector)
}

/// Its standard error is a pipe to `cat`.
const PIPE: &str = "exec 2> >(echo collector=$BASHPID >&2; exec cat >&2); exec \"$0\" \"$@\"";

/// Its standard error is a terminal.
const TERMINAL: &str = "echo collector=$$ >&2; exec script --quiet --flush --command \"exec $0 $*\" /dev/null >&2";

/// Opens so many connections one after the other, members that leave at once; each is a line of debug.
#[track_caller]
fn come_and_go(daemon: &Daemon, count: usize) {
    (0..count).for_each(|_| drop(member(daemon, "/brief")));
}

/// How many lines are lost by what the log says.
fn lost(log: &[String]) -> usize {
    let numbers = log.iter().filter_map(|line| line.strip_prefix("level=warn event=log_lines_lost number="));
    numbers.map(|number| number.parse::<usize>().unwrap()).sum()
}

/// More than a pipe or a terminal holds, by some 65 bytes each.
const MANY: usize = 1_800;

#[test]
fn a_pipe_that_nobody_reads_holds_nobody_up_and_no_line_is_missed_unsaid() {
    let _quiet = heavy();
    let (daemon, collector) = start_behind(PIPE, &[&QUIET[..], &["-d"]].concat());
    let stays = members(&daemon, "/ns", 3);
    let connections = Cell::new(0);
    let stat = |namespace, key| {
        connections.set(connections.get() + 1);
        daemon.stat(namespace, key)
    };
    send_signal(collector, "STOP");
    come_and_go(&daemon, MANY);
    assert_eq!(stat("ns", "members"), Some(3));
    wait_until("all have left", || stat("brief", "members") == Some(0));
    assert_eq!(stat("brief", "connections"), Some(MANY as u64));
    assert_eq!(lost(&daemon.log()), 0);

    send_signal(collector, "CONT");
    let mut more = 0;
    wait_until("what was lost is told", || {
        more += 1;
        come_and_go(&daemon, 1);
        lost(&daemon.log()) > 0
    });
    let closed = MANY + more + connections.get();
    wait_until("all lines are there, or told", || {
        let log = daemon.log();
        log.iter().filter(|line| line.contains(" event=close ")).count() + lost(&log) == closed
    });
    assert!(daemon.log().iter().all(|line| line.starts_with("level=") || line.starts_with("collector=")));
    drop(stays);
}

#[test]
fn a_terminal_that_has_stopped_holds_nobody_up() {
    let _quiet = heavy();
    if let Err(why) = output("script", &["--version"]) {
        return skip(&why);
    }
    let (daemon, collector) = start_behind(TERMINAL, &[&QUIET[..], &["-d"]].concat());
    let stays = members(&daemon, "/ns", 3);
    send_signal(collector, "STOP");
    come_and_go(&daemon, MANY);
    daemon.wait_members("brief", 0);
    assert_eq!(daemon.stat("ns", "members"), Some(3));
    send_signal(collector, "CONT");
    wait_until("what was lost is told", || {
        come_and_go(&daemon, 1);
        lost(&daemon.log()) > 0
    });
    // A line that was cut off has an end.
    let log = daemon.log();
    let is_own = |line: &String| line.starts_with("level=") || "time=2".starts_with(line.get(..6).unwrap_or(line));
    assert!(log.iter().skip(1).all(is_own), "{log:#?}");
    drop(stays);
}

#[test]
fn a_daemon_behind_a_terminal_ends_with_its_test_also_where_hangups_are_ignored() {
    if let Err(why) = output("script", &["--version"]) {
        return skip(&why);
    }
    let (daemon, collector) = start_behind(&format!("trap '' HUP; {TERMINAL}"), &QUIET);
    let [process] = children(collector)[..] else { panic!("one daemon") };
    send_signal(collector, "STOP");
    drop(daemon);
    wait_until("its end", || !is_there(process));
}

#[test]
fn a_supervisor_whose_log_nobody_reads_goes_on() {
    let _quiet = heavy();
    let (mut daemon, collector) = start_behind(PIPE, &[&QUIET[..], &["-d", "-w", "2"]].concat());
    let workers = || children(daemon.pid()).into_iter().filter(|child| *child != collector).collect::<Vec<_>>();
    wait_workers(&daemon);
    send_signal(collector, "STOP");
    come_and_go(&daemon, MANY);
    let before = workers();
    assert_eq!(before.len(), 2);
    send_signal(before[0], "KILL");
    let after = wait_for("a new worker", || {
        let workers = workers();
        (workers.len() == 2 && !workers.contains(&before[0])).then_some(workers)
    });
    assert!(after.contains(&before[1]), "a worker that only had to wait for its log was killed");
    wait_until("an answer of each", || daemon.stat("brief", "members") == Some(0));
    come_and_go(&daemon, 10);
    send_signal(collector, "CONT");
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit().code(), Some(0));
    wait_until("what was lost is told", || lost(&daemon.log()) > 0);
    wait_until("that it has stopped", || daemon.log().iter().any(|line| line == "level=info event=stopped"));
}

/// A daemon that says nothing, not even where it listens.
struct Unheard {
    child: Child,
    audience: SocketAddr,
    stats: SocketAddr,
}

impl Unheard {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        let mut port = |option: &str| {
            let port = free_port();
            command.args([option, &port.to_string()]);
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        let [audience, stats, ..] = ["--port", "--stats-port", "--notification-port", "--demo-port"].map(&mut port);
        command.args(["-d", "-w", "1"]).args(QUIET);
        let child = isolate(&mut command).stdout(Stdio::null()).spawn().unwrap();
        let this = Unheard { child, audience, stats };
        wait_until("it listens", || TcpStream::connect(this.stats).is_ok());
        this
    }

    /// The stats, as `nc` gets them.
    #[track_caller]
    fn stats(&self) -> String {
        let mut socket = connect(self.stats);
        socket.shutdown(Shutdown::Write).unwrap();
        lossy(&read_to_end(&mut socket))
    }

    /// Members come and go, are counted, and a signal ends it.
    #[track_caller]
    fn serve_and_end(mut self, rounds: u64) {
        let join = || {
            let mut stream = Stream::join(self.audience, "/ns");
            assert!(stream.next_count(SOON) > 0);
            stream
        };
        let stays = [join(), join()];
        (0..rounds).for_each(|_| drop(join()));
        let counts = format!("\"members\":2,\"connections\":{}", rounds + 2);
        wait_until("two are left", || self.stats().contains(&counts));
        send_signal(self.child.id(), "TERM");
        for mut stream in stays {
            stream.expect_closed();
        }
        let status = wait_for("its end", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The daemon, with this for its standard error.
fn binary(stderr: impl Into<Stdio>) -> Command {
    let mut command = Command::new(program());
    command.stderr(stderr);
    command
}

#[test]
fn a_log_that_can_never_be_written_holds_nobody_up() {
    Unheard::start(binary(OpenOptions::new().write(true).open("/dev/full").unwrap())).serve_and_end(20);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    Unheard::start(binary(writer)).serve_and_end(20);
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$0\" \"$@\" 2>&-", program()]);
    Unheard::start(closed).serve_and_end(20);
}

#[test]
fn a_socket_that_nobody_reads_holds_nobody_up() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    Unheard::start(binary(OwnedFd::from(theirs))).serve_and_end(800);
    let log = lossy(&{
        let mut log = Vec::new();
        ours.read_to_end(&mut log).unwrap();
        log
    });
    assert!(log.lines().all(|line| without_time(line).starts_with("level=")), "{log}");
    // 800 lines, and those of the start and the end.
    assert!(log.lines().count() < 700, "it took {} lines", log.lines().count());
}

#[test]
fn a_log_that_is_a_file_is_appended_to_where_others_write() {
    let path = std::env::temp_dir().join(format!("audience-meter-{}-log", std::process::id()));
    let mut command = Command::new("sh");
    command.args(["-c", "exec 2>\"$LOG\"; echo before >&2; \"$0\" \"$@\"; echo after >&2", program()]);
    command.env("LOG", &path);
    let unheard = Unheard::start(command);
    let daemon = wait_for("the daemon", || children(unheard.child.id()).first().copied());
    send_signal(daemon, "TERM");
    let log = wait_for("the last line", || {
        let log = fs::read_to_string(&path).unwrap();
        log.ends_with("after\n").then_some(log)
    });
    fs::remove_file(&path).unwrap();
    let lines = log.lines().map(without_time).collect::<Vec<_>>();
    assert_eq!((lines[0], lines[lines.len() - 2]), ("before", "level=info event=stopped"), "{log}");
}
