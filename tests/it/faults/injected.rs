//! What must hold when the kernel says no, clocks jump, and nobody reads the log: whose connection was broken is off the
//! count, all others are on it, nothing spins, and the stats answer.
//!
//! Errors of system calls are injected by strace, into a daemon that runs already, and it lets go of the daemon before the
//! counting: what is left is looked at in peace. Wall-clock time is made up by libfaketime, an uptime by a time namespace.
//!
//! Where a machine lacks a tool, or forbids what it does, a test says so by its name on the standard error itself, which is
//! shown even of tests that pass.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cluster::hosts::{self, output};
use audience_kit::{
    Daemon, Deadline, Event, SOON, Stream, children, connect, contains, end, free_port, is_there, is_tortured, isolate,
    join_request, lossy, member, members, ms, now, program, read_to_end, tell, unix_now, wait_for, wait_until,
};

/// Each change is told to all at once, so that there is much to go wrong.
const BUSY: [&str; 4] = ["--notify-min-delay", "0.01", "--notify-max-delay", "600"];

/// No count is pushed during the test, only first counts are told.
const QUIET: [&str; 4] = ["--notify-min-delay", "600", "--notify-max-delay", "600"];

/// Says that a test is left out, and why.
fn skip(test: &str, why: &str) {
    hosts::skip(&format!("injected::{test}"), why);
}

/// Lets time pass, to see what does not happen in it.
fn pass(while_: Duration) {
    let deadline = Deadline::after(while_);
    while let Some(left) = deadline.left() {
        thread::park_timeout(left);
    }
}

/// The processor time that a process has used, in ticks of 10 ms.
fn cpu_ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    // utime and stime are the fields 14 and 15, and the first after the name is the third.
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// How often a process has gone to sleep. Under strace it does so at each system call.
fn sleeps(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// Waits until a process does nothing to speak of while nobody does anything to it. One that spins never comes to that.
#[track_caller]
fn wait_rest(process: u32) {
    wait_until("it rests", || {
        let before = (cpu_ticks(process), sleeps(process));
        pass(ms(300));
        // To spin takes some 30 ticks of 10 ms, or thousands of sleeps.
        cpu_ticks(process) - before.0 < 10 && sleeps(process) - before.1 < 100
    });
}

// ---------------------------------------------------------------------------------------------
// Guests, who are members or broken
// ---------------------------------------------------------------------------------------------

/// A client whose connection may break at any time.
struct Guest {
    socket: TcpStream,
    heard: Vec<u8>,
}

impl Guest {
    fn join(daemon: &Daemon) -> Self {
        let mut socket = connect(daemon.audience());
        // If it is broken already, reading will tell.
        let _ = socket.write_all(join_request("/ns", "").as_bytes());
        Guest { socket, heard: Vec::new() }
    }

    /// Whether it hears this before its connection ends.
    #[track_caller]
    fn hears(&mut self, part: &str) -> bool {
        let deadline = Deadline::after(SOON);
        let mut buffer = [0; 4096];
        while !contains(&self.heard, part.as_bytes()) {
            let left = deadline.left().unwrap_or_else(|| panic!("no {part:?}: {:?}", lossy(&self.heard)));
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.heard.extend(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Joins, each told a count or broken; a third of them have left again.
#[track_caller]
fn churn(daemon: &Daemon) -> Vec<Guest> {
    let mut guests = Vec::new();
    for round in 0..45 {
        let mut guest = Guest::join(daemon);
        guest.hears("data: ");
        guests.push(guest);
        if round % 3 == 2 {
            guests.remove(round / 3);
        }
    }
    guests
}

/// In peace: the members are those guests who still hear, neither more nor less. Says how many these are.
#[track_caller]
fn count_open(daemon: &Daemon, guests: &mut [Guest]) -> usize {
    daemon.notify("/ns/are/there").expect_empty();
    let open = guests.iter_mut().map(|guest| guest.hears("data: are=there")).filter(|hears| *hears).count();
    let count = u64::try_from(open).unwrap();
    daemon.wait_members("ns", count);
    assert_eq!(member(daemon, "/ns").1, count + 1);
    daemon.wait_members("ns", count);
    wait_rest(daemon.pid());
    open
}

// ---------------------------------------------------------------------------------------------
// Errors of system calls
// ---------------------------------------------------------------------------------------------

/// strace at a process.
pub(crate) struct Tracer {
    child: Child,
    hear: Receiver<String>,
    lines: JoinHandle<Vec<String>>,
}

impl Tracer {
    /// Attaches it with these options, or says why the test of this name is left out.
    #[track_caller]
    pub(crate) fn attach(test: &str, process: u32, options: &[&str]) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(options).args(["-p", &process.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return skip_none(test, &format!("strace: {error}")),
        };
        let (told, hear): (_, Receiver<String>) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.inspect(|line| drop(told.send(line.clone()))).collect::<Vec<_>>()
        });
        let first = hear.recv_timeout(SOON).unwrap();
        if first.ends_with(" attached") {
            return Some(Tracer { child, hear, lines });
        }
        child.wait().unwrap();
        assert!(first.contains("attach: "), "{first}");
        skip_none(test, &first)
    }

    /// Waits until it has seen a call, which is not before it has interrupted the one that the process was in.
    #[track_caller]
    fn wait_call(&self) {
        self.hear.recv_timeout(SOON).unwrap();
    }

    /// Has it let go; what it saw.
    #[track_caller]
    pub(crate) fn detach(mut self) -> Vec<String> {
        tell(self.child.id(), "INT");
        self.child.wait().unwrap();
        self.lines.join().unwrap()
    }
}

fn skip_none<T>(test: &str, why: &str) -> Option<T> {
    skip(test, why);
    None
}

/// What strace did to a daemon: which of its calls failed by injection.
fn injected(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.ends_with("(INJECTED)")).collect()
}

/// What an injected error does to the connections that it meets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// All go on.
    None,
    /// Some are closed.
    Some,
}

/// Guests come and go while some calls fail, each rule in turn: `call:error=<name>:when=<first>+<step>`.
#[track_caller]
fn inject(test: &str, harm: Harm, rules: &[&str]) {
    for rule in rules {
        let daemon = Daemon::start(&BUSY);
        let call = rule.split(':').next().unwrap();
        let options = ["-e", &format!("trace={call}"), "-e", &format!("inject={rule}")];
        let Some(tracer) = Tracer::attach(test, daemon.pid(), &options) else { return };
        let mut guests = churn(&daemon);
        wait_rest(daemon.pid());
        let lines = tracer.detach();
        assert!(injected(&lines).len() >= 3, "{rule}: {lines:#?}");
        let open = count_open(&daemon, &mut guests);
        let as_expected = if harm == Harm::None { open == guests.len() } else { (1..guests.len()).contains(&open) };
        assert!(as_expected, "{rule}: {open} of {} guests are there", guests.len());
    }
}

#[test]
fn an_accept_that_fails_takes_nobody_out() {
    let rules = ["ECONNABORTED:when=3+5", "EINTR:when=2+3", "EPROTO:when=1+4", "ENETUNREACH:when=1+2"];
    let rules = rules.map(|rule| format!("accept4:error={rule}"));
    inject("an_accept_that_fails_takes_nobody_out", Harm::None, &rules.each_ref().map(String::as_str));
}

#[test]
fn an_accept_for_which_there_is_no_room_comes_later() {
    let rules = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"].map(|error| format!("accept4:error={error}:when=2+7"));
    inject("an_accept_for_which_there_is_no_room_comes_later", Harm::None, &rules.each_ref().map(String::as_str));
}

#[test]
fn a_write_that_takes_nothing_is_taken_up_again() {
    let rules = ["sendto:error=EAGAIN:when=2+3", "sendto:error=EINTR:when=3+4"];
    inject("a_write_that_takes_nothing_is_taken_up_again", Harm::None, &rules);
}

#[test]
fn a_write_that_fails_ends_one_member() {
    let rules = ["EPIPE", "ECONNRESET", "ENOBUFS", "ETIMEDOUT"].map(|error| format!("sendto:error={error}:when=9+31"));
    inject("a_write_that_fails_ends_one_member", Harm::Some, &rules.each_ref().map(String::as_str));
}

#[test]
fn a_read_that_takes_nothing_is_taken_up_again() {
    let rules = ["recvfrom:error=EINTR:when=2+3", "recvfrom:error=EAGAIN:when=1+2"];
    inject("a_read_that_takes_nothing_is_taken_up_again", Harm::None, &rules);
}

#[test]
fn a_read_that_fails_ends_one_member() {
    // A join is read in one call or two, or in some forty. Some who are met have left by the end, so it is to meet many.
    let step = if is_tortured() { 301 } else { 5 };
    let rules = ["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"];
    let rules = rules.map(|error| format!("recvfrom:error={error}:when=5+{step}"));
    inject("a_read_that_fails_ends_one_member", Harm::Some, &rules.each_ref().map(String::as_str));
}

#[test]
fn a_wait_that_is_interrupted_goes_on() {
    inject("a_wait_that_is_interrupted_goes_on", Harm::None, &["epoll_pwait:error=EINTR:when=1+2"]);
}

/// Which of the calls of `epoll_ctl` that follow adds the connection of one who joins, counted from 1.
#[track_caller]
fn find_adding_call(test: &str, daemon: &Daemon) -> Option<usize> {
    wait_settled(daemon);
    let tracer = Tracer::attach(test, daemon.pid(), &["-e", "trace=epoll_ctl"])?;
    tracer.wait_call();
    let guest = member(daemon, "/ns").0;
    let lines = tracer.detach();
    drop(guest);
    daemon.wait_members("ns", 0);
    let mut calls = lines.iter().filter(|line| line.starts_with("epoll_ctl("));
    Some(calls.position(|line| line.contains("EPOLL_CTL_ADD")).unwrap() + 1)
}

/// Waits until a daemon has nothing left to do.
#[track_caller]
fn wait_settled(daemon: &Daemon) {
    let mut last = 0;
    wait_until("it has settled", || {
        pass(ms(300));
        std::mem::replace(&mut last, sleeps(daemon.pid())) == sleeps(daemon.pid())
    });
}

#[test]
fn a_connection_that_the_kernel_cannot_watch_is_closed_and_others_come_in() {
    let test = "a_connection_that_the_kernel_cannot_watch_is_closed_and_others_come_in";
    let daemon = Daemon::start(&[&QUIET[..], &["--cluster-notify-interval", "0.1"]].concat());
    let Some(call) = find_adding_call(test, &daemon) else { return };
    for error in ["ENOMEM", "ENOSPC"] {
        wait_settled(&daemon);
        let rule = format!("inject=epoll_ctl:error={error}:when={call}");
        let Some(tracer) = Tracer::attach(test, daemon.pid(), &["-e", "trace=epoll_ctl", "-e", &rule]) else { return };
        tracer.wait_call();
        assert!(!Guest::join(&daemon).hears("data: "));
        let mut guests = churn(&daemon);
        let lines = tracer.detach();
        let injected = injected(&lines);
        assert!(injected.len() == 1 && injected[0].contains("EPOLL_CTL_ADD"), "{lines:#?}");
        assert_eq!(count_open(&daemon, &mut guests), guests.len());
        drop(guests);
        daemon.wait_members("ns", 0);
    }
}

/// Waits until a daemon of two workers has both.
#[track_caller]
fn wait_workers(daemon: &Daemon) {
    let ready = |log: Vec<String>| log.iter().filter(|line| line.contains("event=worker_started")).count();
    wait_until("both workers", || ready(daemon.log()) == 2);
}

#[test]
fn a_supervisor_that_is_killed_takes_workers_with_it_that_hang() {
    let test = "a_supervisor_that_is_killed_takes_workers_with_it_that_hang";
    let mut daemon = Daemon::start(&["-w", "2"]);
    wait_workers(&daemon);
    let workers = children(daemon.pid());
    // A wait that is interrupted is begun anew, so from now on it never ends.
    let rule = "inject=epoll_pwait:error=EINTR:delay_exit=50000";
    let options = ["-e", "trace=epoll_pwait", "-e", rule, "-o", "/dev/null"];
    let mut tracers = Vec::new();
    for worker in &workers {
        let Some(tracer) = Tracer::attach(test, *worker, &options) else { return };
        tracers.push(tracer);
    }
    daemon.signal("KILL");
    daemon.wait_exit();
    let begun = now();
    wait_until("both are gone", || workers.iter().all(|worker| !is_there(*worker)));
    // They did not end by themselves: that would have been at once, with a last line.
    assert!(now() - begun > ms(2_500), "{:?}", now() - begun);
    assert!(!daemon.log().iter().any(|line| line.contains("event=stopped")));
    for tracer in tracers {
        tracer.detach();
    }
}

#[test]
fn a_worker_that_cannot_be_started_is_tried_again() {
    let test = "a_worker_that_cannot_be_started_is_tried_again";
    let daemon = Daemon::start(&["-w", "2"]);
    wait_workers(&daemon);
    let calls = "clone,clone3,fork,vfork";
    let options = ["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EAGAIN:when=1..2")];
    let Some(tracer) = Tracer::attach(test, daemon.pid(), &options) else { return };
    let before = children(daemon.pid());
    tell(before[0], "KILL");
    let of = |event: &str| daemon.log().iter().filter(|line| line.contains(event)).count();
    wait_until("a new worker", || of("event=worker_started") == 3);
    assert_eq!(of("event=worker_not_started"), 2, "{:#?}", daemon.log());
    assert_eq!(injected(&tracer.detach()).len(), 2);
    assert!(children(daemon.pid()).contains(&before[1]));
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_told_later() {
    let test = "lines_that_a_full_disk_does_not_take_are_told_later";
    let daemon = Daemon::start(&[&BUSY[..], &["-d"]].concat());
    let rule = ["-e", "trace=write", "-e", "inject=write:error=ENOSPC"];
    let Some(tracer) = Tracer::attach(test, daemon.pid(), &rule) else { return };
    let mut guests = churn(&daemon);
    wait_rest(daemon.pid());
    let lost = injected(&tracer.detach()).len();
    assert!(lost >= 10, "{lost}");
    assert_eq!(count_open(&daemon, &mut guests), guests.len());
    let told = format!("level=warn event=log_lines_lost number={lost}");
    daemon.wait_log("what was lost", |line| line == told);
}

// ---------------------------------------------------------------------------------------------
// Time
// ---------------------------------------------------------------------------------------------

#[test]
fn a_process_that_was_stopped_serves_first_and_counts_right() {
    // So long that a busy machine gets from the connection to the stop within it.
    let daemon = Daemon::start(&[&BUSY[..], &["--head-timeout", "6"]].concat());
    let mut guests = churn(&daemon);
    // Accepted by the time that the next one is a member.
    let mut late = connect(daemon.audience());
    guests.push(Guest::join(&daemon));
    assert!(guests.last_mut().unwrap().hears("data: "));

    daemon.signal("STOP");
    late.write_all(join_request("/ns", "").as_bytes()).unwrap();
    guests.push(Guest { socket: late, heard: Vec::new() });
    guests.extend((0..20).map(|_| Guest::join(&daemon)));
    guests.drain(..7);
    // Longer than a head may take.
    pass(ms(6_200));
    daemon.signal("CONT");
    assert!(guests.iter_mut().all(|guest| guest.hears("data: ")));
    assert_eq!(count_open(&daemon, &mut guests), guests.len());
}

/// A file that says which time libfaketime makes up.
struct Time(PathBuf);

impl Time {
    fn start(name: &str) -> Self {
        let time = Time(std::env::temp_dir().join(format!("audience-meter-{}-{name}", std::process::id())));
        time.jump("+0");
        time
    }

    /// By so much from the true time; at one blow, for somebody reads it all the time.
    fn jump(&self, offset: &str) {
        let draft = self.0.with_extension("draft");
        fs::write(&draft, format!("{offset}\n")).unwrap();
        fs::rename(draft, &self.0).unwrap();
    }

    /// A daemon that lives in it, or why there is none.
    #[track_caller]
    fn daemon(&self, is_monotonic_true: bool, args: &[&str]) -> Result<Daemon, String> {
        let library = output("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"])?;
        let command = || {
            let mut command = Command::new(program());
            command.env("LD_PRELOAD", library.trim()).env("FAKETIME_TIMESTAMP_FILE", &self.0);
            command.env("FAKETIME_NO_CACHE", "1");
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", if is_monotonic_true { "1" } else { "0" });
            command
        };
        Ok(Daemon::start_with(command, args))
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_wall_clock_may_jump() {
    const DAY_S: u64 = 86_400;
    let time = Time::start("wall");
    let args = [&BUSY[..], &["--enable-uuid", "--namespace-clean-delay", "0.3", "--max-conn-duration", "600"]].concat();
    let daemon = match time.daemon(true, &args) {
        Ok(daemon) => daemon,
        Err(why) => return skip("the_wall_clock_may_jump", &why),
    };
    let mut guests = churn(&daemon);
    let mut identified = member(&daemon, "/who/uuid").0;
    let now_s = unix_now();
    let jumps = [("+1d", now_s + DAY_S), ("-10d", now_s - 10 * DAY_S), ("-100y", 0), ("+0", now_s)];
    for (jump, is) in jumps {
        time.jump(jump);
        let new = wait_for("a namespace of that time", || {
            let new = member(&daemon, "/new").0;
            let created = daemon.stat("new", "created").unwrap();
            if (is..is + 60).contains(&created) {
                return Some(new);
            }
            // It may have come in a turn that had begun before. Once it is forgotten, it is new again.
            drop(new);
            wait_until("it is forgotten", || daemon.stat("new", "members").is_none());
            None
        });
        wait_until("a count is told", || daemon.stat("new", "modified") >= Some(is));
        drop(new);
        wait_until("it is forgotten", || daemon.stat("new", "members").is_none());
        // The newest claim is the newest, whatever the clock says.
        let newer = member(&daemon, "/who/uuid").0;
        while identified.next_event(SOON) != Some(Event::Farewell) {}
        identified = newer;
        assert_eq!(daemon.stat("who", "members"), Some(1));
        guests.extend(churn(&daemon));
    }
    assert_eq!(count_open(&daemon, &mut guests), guests.len());
}

#[test]
fn a_process_may_run_for_decades() {
    let time = Time::start("uptime");
    let daemon = match time.daemon(false, &[&BUSY[..], &["--max-conn-duration", "0"]].concat()) {
        Ok(daemon) => daemon,
        Err(why) => return skip("a_process_may_run_for_decades", &why),
    };
    let mut guests = churn(&daemon);
    for jump in ["+50d", "+2y", "+40y"] {
        time.jump(jump);
        guests.extend(churn(&daemon));
        assert_eq!(count_open(&daemon, &mut guests), guests.len(), "{jump}");
        for guest in &mut guests {
            guest.heard.clear();
        }
    }
}

#[test]
fn a_machine_may_have_been_up_for_a_century() {
    const UPTIME: &str = "3155760000";
    let space = ["-T", "--monotonic", UPTIME, "--boottime", UPTIME, "--fork", "--kill-child"];
    if let Err(why) = output("unshare", &[&space[..], &["true"]].concat()) {
        return skip("a_machine_may_have_been_up_for_a_century", &why);
    }
    let command = || {
        let mut command = Command::new("unshare");
        let line = "echo pid=$$ uptime=$(cat /proc/uptime) >&2; exec \"$0\" \"$@\"";
        command.args(space).args(["sh", "-c", line, program()]);
        command
    };
    let lasting = ["--head-timeout", "2", "--max-conn-duration", "4"];
    let daemon = Daemon::start_with(command, &[&BUSY[..], &lasting].concat());
    let log = daemon.log();
    // The machine's own time is added to it.
    let mut words = log[0].split(['=', ' ']);
    let pid = words.nth(1).unwrap().parse().unwrap();
    assert!(words.nth(1).unwrap().parse::<f64>().unwrap() >= UPTIME.parse().unwrap(), "{log:?}");

    let mut streams = members(&daemon, "/ns", 20);
    streams[0].wait_count(20);
    drop(streams.split_off(15));
    daemon.wait_members("ns", 15);
    let late = Stream::join(daemon.audience(), "/ns");
    // Deadlines come as they should: heads are late, streams last for four seconds.
    let head = read_to_end(&mut connect(daemon.audience()));
    assert!(contains(&head, b"HTTP/1.1 408 "), "{:?}", lossy(&head));
    for mut stream in streams.into_iter().chain([late]) {
        while stream.next_event(SOON) != Some(Event::Closed) {}
    }
    daemon.wait_members("ns", 0);
    wait_rest(pid);
}

// ---------------------------------------------------------------------------------------------
// A log that nobody reads
// ---------------------------------------------------------------------------------------------

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
    let (daemon, collector) = start_behind(PIPE, &[&QUIET[..], &["-d"]].concat());
    let stays = members(&daemon, "/ns", 3);
    let connections = Cell::new(0);
    let stat = |namespace, key| {
        connections.set(connections.get() + 1);
        daemon.stat(namespace, key)
    };
    tell(collector, "STOP");
    come_and_go(&daemon, MANY);
    assert_eq!(stat("ns", "members"), Some(3));
    wait_until("all have left", || stat("brief", "members") == Some(0));
    assert_eq!(stat("brief", "connections"), Some(MANY as u64));
    assert_eq!(lost(&daemon.log()), 0);

    tell(collector, "CONT");
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
    if let Err(why) = output("script", &["--version"]) {
        return skip("a_terminal_that_has_stopped_holds_nobody_up", &why);
    }
    let (daemon, collector) = start_behind(TERMINAL, &[&QUIET[..], &["-d"]].concat());
    let stays = members(&daemon, "/ns", 3);
    tell(collector, "STOP");
    come_and_go(&daemon, MANY);
    daemon.wait_members("brief", 0);
    assert_eq!(daemon.stat("ns", "members"), Some(3));
    tell(collector, "CONT");
    wait_until("what was lost is told", || {
        come_and_go(&daemon, 1);
        lost(&daemon.log()) > 0
    });
    // A line that was cut off has an end.
    let log = daemon.log();
    let is_own = |line: &String| line.starts_with("level=") || "level=".starts_with(line.as_str());
    assert!(log.iter().skip(1).all(is_own), "{log:#?}");
    drop(stays);
}

#[test]
fn a_daemon_behind_a_terminal_ends_with_its_test_also_where_hangups_are_ignored() {
    if let Err(why) = output("script", &["--version"]) {
        return skip("a_daemon_behind_a_terminal_ends_with_its_test_also_where_hangups_are_ignored", &why);
    }
    let (daemon, collector) = start_behind(&format!("trap '' HUP; {TERMINAL}"), &QUIET);
    let [process] = children(collector)[..] else { panic!("one daemon") };
    tell(collector, "STOP");
    drop(daemon);
    wait_until("its end", || !is_there(process));
}

#[test]
fn a_supervisor_whose_log_nobody_reads_goes_on() {
    let (mut daemon, collector) = start_behind(PIPE, &[&QUIET[..], &["-d", "-w", "2"]].concat());
    let workers = || children(daemon.pid()).into_iter().filter(|child| *child != collector).collect::<Vec<_>>();
    wait_workers(&daemon);
    tell(collector, "STOP");
    come_and_go(&daemon, MANY);
    let before = workers();
    assert_eq!(before.len(), 2);
    tell(before[0], "KILL");
    let after = wait_for("a new worker", || {
        let workers = workers();
        (workers.len() == 2 && !workers.contains(&before[0])).then_some(workers)
    });
    assert!(after.contains(&before[1]), "a worker that only had to wait for its log was killed");
    wait_until("an answer of each", || daemon.stat("brief", "members") == Some(0));
    come_and_go(&daemon, 10);
    tell(collector, "CONT");
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
        tell(self.child.id(), "TERM");
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
    assert!(log.lines().all(|line| line.starts_with("level=")), "{log}");
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
    tell(daemon, "TERM");
    let log = wait_for("the last line", || {
        let log = fs::read_to_string(&path).unwrap();
        log.ends_with("after\n").then_some(log)
    });
    fs::remove_file(&path).unwrap();
    let lines = log.lines().collect::<Vec<_>>();
    assert_eq!((lines[0], lines[lines.len() - 2]), ("before", "level=info event=stopped"), "{log}");
}

#[test]
fn a_listener_that_always_fails_rests_and_the_turns_go_on() {
    let test = "a_listener_that_always_fails_rests_and_the_turns_go_on";
    for error in ["EPERM", "ECONNABORTED"] {
        let mut daemon = Daemon::start(&QUIET);
        let mut inside = member(&daemon, "/ns").0;
        let rule = format!("inject=accept4:error={error}");
        let options = ["-e", "trace=accept4", "-e", &rule, "-o", "/dev/null"];
        let Some(tracer) = Tracer::attach(test, daemon.pid(), &options) else { return };
        let mut waits = connect(daemon.audience());
        waits.write_all(join_request("/ns", "").as_bytes()).unwrap();
        drop(inside.socket.shutdown(Shutdown::Write));
        inside.expect_closed();
        tracer.detach();
        // It comes in late, but it does.
        Stream::over(waits).expect_count(1);
        let tracer = Tracer::attach(test, daemon.pid(), &options).unwrap();
        let _waits = connect(daemon.audience());
        daemon.signal("TERM");
        assert_eq!(daemon.wait_exit().code(), Some(0), "{error}");
        tracer.detach();
    }
}
