//! What must hold when clients or the machine misbehave: after any churn the counts are exactly what
//! is open, a full process turns joins away so that they come back, a reader that reads nothing costs
//! a bounded amount, an idle daemon sleeps, and signals end it politely.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use audience_kit::{
    Daemon, Deadline, Event, Reply, SOON, Stream, connect, get, join_request, member, members, ms, read_to_end,
    request, wait_for, wait_until,
};

/// No count is pushed during the test, only first counts are told.
const QUIET: [&str; 4] = ["--notify-min-delay", "600", "--notify-max-delay", "600"];

// ---------------------------------------------------------------------------------------------
// Churn
// ---------------------------------------------------------------------------------------------

/// The ways of a client that will not stay.
#[derive(Clone, Copy)]
enum Going {
    /// Closes after having heard its count.
    Closing,
    /// Closes with bytes unread, so that the kernel sends a reset.
    Resetting,
    /// Ends its sending side only, and then waits for the daemon to let go.
    HalfClosing,
}

#[track_caller]
fn join_and_go(address: SocketAddr, target: &str, going: Going) {
    let mut socket = connect(address);
    socket.write_all(join_request(target, "").as_bytes()).unwrap();
    match going {
        Going::Closing => drop(read_count(Stream::over(socket))),
        Going::Resetting => {
            socket.set_read_timeout(Some(SOON)).unwrap();
            assert!(socket.peek(&mut [0; 64]).unwrap() > 0);
        }
        Going::HalfClosing => {
            let stream = read_count(Stream::over(socket));
            stream.socket.shutdown(Shutdown::Write).unwrap();
        }
    }
}

#[track_caller]
fn read_count(mut stream: Stream) -> Stream {
    assert!(stream.next_count(SOON) > 0);
    stream
}

#[test]
fn a_client_that_vanishes_at_any_byte_leaves_no_trace() {
    let daemon = Daemon::start(&QUIET);
    let request = join_request("/cut", "User-Agent: x\r\n");
    let stays = member(&daemon, "/cut").0;
    for cut in 0..request.len() {
        for politely in [true, false] {
            let mut socket = connect(daemon.audience());
            socket.write_all(&request.as_bytes()[..cut]).unwrap();
            if politely {
                socket.shutdown(Shutdown::Write).unwrap();
            }
        }
    }
    // Connections are accepted in order: this one comes after all that have vanished.
    assert_eq!(member(&daemon, "/cut").1, 2);
    daemon.wait_members("cut", 1);
    assert_eq!(daemon.stat("cut", "connections"), Some(2));
    assert_eq!(daemon.namespaces(), ["cut"]);
    drop(stays);
    daemon.wait_members("cut", 0);
}

#[test]
fn after_any_churn_members_is_what_is_open_and_connections_what_has_joined() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 30;
    let daemon = Daemon::start(&["--notify-min-delay", "0.02", "--notify-max-delay", "0.1"]);
    let address = daemon.audience();
    let open = thread::scope(|scope| {
        let threads = (0..THREADS).map(|number| {
            scope.spawn(move || {
                let mut open = Vec::new();
                for round in 0..ROUNDS {
                    let going = [Going::Closing, Going::Resetting, Going::HalfClosing];
                    join_and_go(address, "/churn", going[(round + number) % 3]);
                    drop(connect(address));
                    if round % 3 == 0 {
                        open.push(read_count(Stream::join(address, "/churn")));
                    }
                }
                open
            })
        });
        let threads = threads.collect::<Vec<_>>();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    daemon.wait_members("churn", u64::try_from(open.len()).unwrap());
    let joined = u64::try_from(THREADS * ROUNDS + open.len()).unwrap();
    assert_eq!(daemon.stat("churn", "connections"), Some(joined));
    assert_eq!(member(&daemon, "/churn").1, u64::try_from(open.len() + 1).unwrap());
    drop(open);
    daemon.wait_members("churn", 0);
}

#[test]
fn a_member_that_ends_its_sending_side_has_left() {
    let daemon = Daemon::start(&QUIET);
    let (mut stream, _) = member(&daemon, "/half");
    stream.socket.shutdown(Shutdown::Write).unwrap();
    daemon.wait_members("half", 0);
    stream.expect_closed();
}

#[test]
fn of_many_joins_with_one_uuid_at_once_exactly_one_stays() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 25;
    let daemon = Daemon::start(&[&QUIET[..], &["--enable-uuid"]].concat());
    let address = daemon.audience();
    let streams = thread::scope(|scope| {
        let join_all = || (0..ROUNDS).map(|_| Stream::join(address, "/race/same")).collect::<Vec<_>>();
        let threads = (0..THREADS).map(|_| scope.spawn(join_all)).collect::<Vec<_>>();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    daemon.wait_members("race", 1);
    assert_eq!(daemon.stat("race", "connections"), Some(u64::try_from(streams.len()).unwrap()));
    let mut open = 0;
    for mut stream in streams {
        stream.expect_count(1);
        match stream.next_event(ms(20)) {
            Some(Event::Farewell) => stream.expect_closed(),
            Some(other) => panic!("{other:?}"),
            None => open += 1,
        }
    }
    assert_eq!(open, 1);
}

#[test]
fn names_that_are_special_elsewhere_survive_joins_leaves_and_forgetting() {
    let daemon = Daemon::start(&["--enable-uuid", "--namespace-clean-delay", "0.2"]);
    let (foo, _) = member(&daemon, "/foo");
    for name in ["constructor", "__proto__", "toString", "@foo"] {
        get(daemon.audience(), &format!("/{name}/uuid")).expect_empty();
        assert_eq!(daemon.stat(name, "members"), None, "a leave has created {name}");
        assert_eq!(member(&daemon, &format!("/{name}/uuid")).1, 1, "{name}");
    }
    wait_until("only foo is left", || daemon.namespaces() == ["foo"]);
    assert_eq!(daemon.stat("foo", "members"), Some(1));
    drop(foo);
}

#[test]
fn bytes_at_random_harm_nobody() {
    let daemon = Daemon::start(&[&QUIET[..], &["--head-timeout", "0.5"]].concat());
    let (mut stream, _) = member(&daemon, "/calm");
    let ports = [daemon.audience(), daemon.stats_port(), daemon.notification(), daemon.demo()];
    // A small linear congruential generator: the same bytes in every run.
    let mut state = 2_011_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    for round in 0..200 {
        let mut noise = (0..round * 3 % 400).map(|_| byte()).collect::<Vec<_>>();
        if round % 2 == 0 {
            noise.splice(0..0, *b"GET /noise HTTP/1.1\r\n");
        }
        let mut socket = connect(ports[round % 4]);
        // The daemon may close before it has read all.
        let _ = socket.write_all(&noise);
    }
    assert_eq!(member(&daemon, "/calm").1, 2);
    daemon.wait_members("calm", 1);
    assert_eq!(daemon.namespaces(), ["calm"]);
    stream.expect_silence(ms(1));
}

// ---------------------------------------------------------------------------------------------
// No room
// ---------------------------------------------------------------------------------------------

const LIMIT: &str = "ulimit -n 64";

/// Joins until one is turned away; those who got in, and the retry that the other was given.
#[track_caller]
fn fill(daemon: &Daemon, target: &str) -> (Vec<Stream>, u64) {
    let mut inside = Vec::new();
    while inside.len() < 64 {
        match try_join(daemon, target) {
            Ok(stream) => inside.push(stream),
            Err(retry) => return (inside, retry),
        }
    }
    panic!("64 members with 64 descriptors");
}

/// A member, or the retry of one who was turned away.
#[track_caller]
fn try_join(daemon: &Daemon, target: &str) -> Result<Stream, u64> {
    let mut stream = Stream::join(daemon.audience(), target);
    let Some(Event::Retry(retry)) = stream.next(SOON) else {
        panic!("no retry first");
    };
    match stream.next(SOON) {
        Some(Event::Count(_)) => Ok(stream),
        Some(Event::Closed) => Err(retry),
        other => panic!("neither in nor turned away: {other:?}"),
    }
}

#[test]
fn joins_past_the_room_are_told_to_come_back_later_and_are_not_counted() {
    let daemon = Daemon::start_after(LIMIT, &QUIET);
    let (mut inside, retry) = fill(&daemon, "/full");
    let mut retries = vec![retry];
    for _ in 0..7 {
        retries.extend(try_join(&daemon, "/full").err());
    }
    assert_eq!(retries.len(), 8, "somebody got in");
    assert!(retries.iter().all(|retry| (30_000..=60_000).contains(retry)), "{retries:?}");
    assert!(retries.iter().any(|other| *other != retry), "not at random: {retries:?}");

    let count = u64::try_from(inside.len()).unwrap();
    assert_eq!(daemon.stat("full", "members"), Some(count));
    assert_eq!(daemon.stat("full", "connections"), Some(count));
    daemon.notify("/full/news/on").expect_empty();
    for stream in &mut inside {
        stream.expect(&Event::Message("news=on".to_owned()));
    }
}

#[test]
fn without_room_other_requests_get_503_and_when_to_retry() {
    let daemon = Daemon::start_after(LIMIT, &QUIET);
    let (inside, _) = fill(&daemon, "/full");
    for target in ["/", "/client/audience.js", "/full"] {
        let reply = get(daemon.audience(), target);
        assert_eq!(reply.status, 503, "{reply:?}");
        let seconds = reply.header("Retry-After").and_then(|value| value.parse::<u64>().ok());
        assert!(seconds > Some(0), "{reply:?}");
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
    }
    drop(inside);
    wait_until("room", || get(daemon.audience(), "/").status == 200);
}

#[test]
fn joins_resume_when_there_is_room_again() {
    let daemon = Daemon::start_after(LIMIT, &QUIET);
    for _ in 0..3 {
        let (mut inside, _) = fill(&daemon, "/room");
        let count = u64::try_from(inside.len()).unwrap();
        inside.pop();
        daemon.wait_members("room", count - 1);
        inside.push(wait_for("a free place", || try_join(&daemon, "/room").ok()));
        assert_eq!(daemon.stat("room", "members"), Some(count));
        drop(inside);
        daemon.wait_members("room", 0);
    }
}

#[test]
fn a_full_daemon_serves_on_and_does_not_spin() {
    let daemon = Daemon::start_after(LIMIT, &[&QUIET[..], &["--head-timeout", "600"]].concat());
    let mut inside = members(&daemon, "/busy", 5);
    // More connections that say nothing than there are descriptors; some stay in the kernel's queue.
    let silent = (0..100).map(|_| connect(daemon.audience())).collect::<Vec<_>>();
    let mut taken = 0;
    wait_until("it has taken in all that it will", || {
        inside[0].expect_silence(ms(150));
        std::mem::replace(&mut taken, descriptors(&daemon)) == descriptors(&daemon)
    });
    assert!((30..=64).contains(&taken), "{taken} descriptors of 64");

    let before = cpu_ticks(&daemon);
    inside[0].expect_silence(ms(800));
    let spent = cpu_ticks(&daemon) - before;
    // A hundred ticks are one second of one processor.
    assert!(spent < 20, "{spent} ticks in 800 ms");

    daemon.notify("/busy/news/on").expect_empty();
    for stream in &mut inside {
        stream.expect(&Event::Message("news=on".to_owned()));
    }
    assert_eq!(daemon.stat("busy", "members"), Some(5));
    drop(silent);
    wait_until("room", || try_join(&daemon, "/busy").is_ok());
}

#[test]
fn silent_clients_of_the_public_ports_do_not_keep_the_operator_out() {
    let daemon = Daemon::start(&[&QUIET[..], &["--head-timeout", "600"]].concat());
    let mut stream = member(&daemon, "/ns").0;
    let silent = [daemon.demo(), daemon.audience()].map(|port| [(); 50].map(|()| connect(port)));
    assert_eq!(daemon.stat("ns", "members"), Some(1));
    daemon.notify("/ns/news/on").expect_empty();
    stream.expect(&Event::Message("news=on".to_owned()));
    drop(silent);
}

// ---------------------------------------------------------------------------------------------
// Slow members
// ---------------------------------------------------------------------------------------------

#[test]
fn a_member_that_never_reads_is_closed_and_holds_nobody_up() {
    let daemon = Daemon::start(&QUIET);
    let (mut reads, _) = member(&daemon, "/slow");
    let stuck = member(&daemon, "/slow").0;
    let text = "x".repeat(7_000);
    let mut sent = 0;
    while daemon.stat("slow", "members") == Some(2) {
        assert!(sent < 300, "kept after {sent} messages");
        for _ in 0..50 {
            daemon.notify(&format!("/slow/n/{sent}-{text}")).expect_empty();
            reads.expect(&Event::Message(format!("n={sent}-{text}")));
            sent += 1;
        }
    }
    assert_eq!(daemon.stat("slow", "members"), Some(1));
    drop(stuck);
}

#[test]
fn a_client_that_reads_nothing_of_a_reply_holds_nobody_up() {
    let daemon = Daemon::start(&QUIET);
    let plain = request("GET", "/client/audience.js", "Host: h\r\n");
    let deaf = (0..50).map(|_| {
        let mut socket = connect(daemon.audience());
        socket.write_all(plain.as_bytes()).unwrap();
        socket
    });
    let deaf = deaf.collect::<Vec<_>>();
    assert_eq!(member(&daemon, "/quick").1, 1);
    for mut socket in deaf {
        assert_eq!(Reply::parse(&read_to_end(&mut socket)).status, 200);
    }
}

// ---------------------------------------------------------------------------------------------
// Rest, signals, restart
// ---------------------------------------------------------------------------------------------

/// A file of the daemon's own in /proc.
fn proc_file(daemon: &Daemon, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{name}", daemon.pid())).unwrap()
}

/// How many descriptors it has open.
fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

/// The processor time it has used, in ticks of 10 ms.
fn cpu_ticks(daemon: &Daemon) -> u64 {
    let stat = proc_file(daemon, "stat");
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    // utime and stime are the fields 14 and 15, and the first after the name is the third.
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// How often it has gone to sleep, which is how often it was woken.
fn wake_ups(daemon: &Daemon) -> u64 {
    let status = proc_file(daemon, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn nothing_wakes_the_daemon_while_nothing_is_due() {
    // What is due after a change, to members and to other nodes, is over soon.
    let soon_over = ["--notify-min-delay", "0.1", "--cluster-notify-interval", "0.1"];
    let never = ["--notify-max-delay", "600", "--max-conn-duration", "0"];
    let daemon = Daemon::start(&[soon_over, never].concat());
    let mut streams = members(&daemon, "/idle", 3);
    streams[0].wait_count(3);
    let mut last = wake_ups(&daemon);
    wait_until("it has settled", || {
        streams[0].expect_silence(ms(400));
        std::mem::replace(&mut last, wake_ups(&daemon)) == last
    });
    streams[0].expect_silence(ms(1_500));
    assert_eq!(wake_ups(&daemon) - last, 0, "wake-ups in 1.5 s");
}

/// What the daemon says of how it began: how many turns it waited for others, and how many nodes it then knew.
fn catching_up(daemon: &Daemon) -> (u64, u64) {
    let log = daemon.log();
    let line = log.iter().find(|line| line.starts_with("level=debug event=caught_up ")).unwrap();
    let number = |key| line.split(' ').find_map(|field| field.strip_prefix(key)).unwrap().parse().unwrap();
    (number("turns="), number("nodes="))
}

#[test]
fn a_daemon_that_is_alone_waits_for_nobody_and_the_next_one_hears_it_first() {
    let first = Daemon::start(&["-d"]);
    assert_eq!(catching_up(&first), (0, 1));
    let _open = members(&first, "/ns", 5);
    let port = first.audience().port().to_string();
    let second = Daemon::start(&["-d", "--port", &port]);
    // Not waited for: it has known since before it served anybody.
    assert_eq!(second.stat("ns", "members"), Some(5));
    let (turns, nodes) = catching_up(&second);
    assert!(turns > 0 && nodes == 2, "{turns} turns, {nodes} nodes");
    // Over a network there may be others whom nobody on this host can see.
    let elsewhere = Daemon::start(&["-d", "--cluster-peers", "127.0.0.1:9"]);
    assert!(catching_up(&elsewhere).0 > 0);
}

#[test]
fn sigterm_and_sigint_close_every_stream_and_exit_0() {
    for signal in ["TERM", "INT"] {
        let mut daemon = Daemon::start(&[&QUIET[..], &["--drain-delay", "0.5"]].concat());
        let mut streams = members(&daemon, "/ending", 5);
        // A connection in the middle of its head does not hold the exit up for longer than that.
        let mut half = connect(daemon.audience());
        half.write_all(b"GET /ending HT").unwrap();
        daemon.signal(signal);
        for stream in &mut streams {
            stream.expect_closed();
        }
        assert_eq!(daemon.wait_exit().code(), Some(0), "{signal}");
        assert!(TcpStream::connect(daemon.audience()).is_err());
    }
}

#[test]
fn a_restart_gets_its_port_back_at_once() {
    let mut daemon = Daemon::start(&[&QUIET[..], &["--drain-delay", "0"]].concat());
    let address = daemon.audience();
    let mut streams = members(&daemon, "/again", 3);
    daemon.signal("TERM");
    for stream in &mut streams {
        stream.expect_closed();
    }
    daemon.wait_exit();
    let port = address.port().to_string();
    let daemon = Daemon::start(&["--port", &port]);
    assert_eq!(daemon.audience(), address);
    assert_eq!(member(&daemon, "/again").1, 1);
    drop(streams);
}

#[test]
fn of_many_deadlines_at_once_none_is_forgotten() {
    // Several times more than one turn does of anything.
    const MANY: usize = 150;
    let daemon = Daemon::start(&["--head-timeout", "0.5", "--max-conn-duration", "0.5"]);
    let mut silent: Vec<TcpStream> = (0..MANY).map(|_| connect(daemon.audience())).collect();
    let mut streams = members(&daemon, "/brief", MANY);
    for socket in &mut silent {
        assert_eq!(Reply::parse(&read_to_end(socket)).status, 408);
    }
    for stream in &mut streams {
        while stream.next_event(SOON) != Some(Event::Closed) {}
    }
    daemon.wait_members("brief", 0);
    drop(silent);
    // The one that asks is open, too.
    wait_until("that all are gone", || get(daemon.stats_port(), "/process").body.contains("\"open\":1,"));
}

#[test]
fn a_push_to_many_members_reaches_all_of_them() {
    let daemon = Daemon::start(&["--notify-min-delay", "0.2", "--notify-max-delay", "600"]);
    let mut streams = members(&daemon, "/many", 400);
    let last = u64::try_from(streams.len()).unwrap();
    daemon.notify("/many/news/all").expect_empty();
    for stream in &mut streams {
        let deadline = Deadline::after(SOON);
        loop {
            match stream.next_event(deadline.left().unwrap_or_default()) {
                Some(Event::Count(count)) => assert!(count <= last, "{count}"),
                Some(Event::Message(text)) => break assert_eq!(text, "news=all"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(daemon.stat("many", "members"), Some(last));
}
