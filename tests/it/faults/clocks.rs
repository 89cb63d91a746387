//! What must hold when a process is stopped for a while, and when clocks jump.
//!
//! Wall-clock time is made up by libfaketime, an uptime by a time namespace.

use std::io::Write as _;
use std::process::Command;

use super::guests::*;
use audience_kit::*;

#[test]
fn a_process_that_was_stopped_serves_first_and_counts_right() {
    if skip_under_torture("it is about heads that are whole by the time that the process looks, and none is") {
        return;
    }
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

#[test]
fn the_wall_clock_may_jump() {
    const DAY_S: u64 = 86_400;
    let time = Time::start("wall");
    let args = [&BUSY[..], &["--enable-uuid", "--namespace-clean-delay", "0.3", "--max-conn-duration", "600"]].concat();
    let daemon = match time.daemon(true, &args) {
        Ok(daemon) => daemon,
        Err(why) => return skip(&why),
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
        Err(why) => return skip(&why),
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
        return skip(&why);
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
        stream.wait_closed();
    }
    daemon.wait_members("ns", 0);
    wait_rest(pid);
}
