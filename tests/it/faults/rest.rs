//! An idle daemon sleeps, a busy one forgets no deadline, and signals end it politely.

use std::io::Write;
use std::net::TcpStream;

use super::guests::QUIET;
use audience_kit::*;

#[test]
fn nothing_wakes_the_daemon_while_nothing_is_due() {
    // What is due after a change, to members and to other nodes, is over soon.
    let soon_over = ["--notify-min-delay", "0.1", "--cluster-notify-interval", "0.1"];
    let never = ["--notify-max-delay", "600", "--max-conn-duration", "0"];
    let daemon = Daemon::start(&[soon_over, never].concat());
    let mut streams = members(&daemon, "/idle", 3);
    streams[0].wait_count(3);
    let mut last = sleeps(daemon.pid());
    wait_until("it has settled", || {
        streams[0].expect_silence(ms(400));
        std::mem::replace(&mut last, sleeps(daemon.pid())) == last
    });
    streams[0].expect_silence(ms(1_500));
    assert_eq!(sleeps(daemon.pid()) - last, 0, "wake-ups in 1.5 s");
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
        stream.wait_closed();
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
    daemon.notify("/many/news/all").expect_confirmed();
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
