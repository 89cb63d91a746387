//! A full process turns joins away so that they come back, serves the others, and does not spin.

use super::guests::QUIET;
use audience_kit::*;

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
    daemon.notify("/full/news/on").expect_confirmed();
    for stream in &mut inside {
        stream.expect(&Event::Message("news=on".to_owned()));
    }
}

#[test]
fn a_full_daemon_is_alive_and_not_ready_and_says_so() {
    let daemon = Daemon::start_after(LIMIT, &QUIET);
    let readiness = || get(daemon.stats_port(), "/readyz");
    assert_eq!(readiness().status, 200);
    let (inside, _) = fill(&daemon, "/full");
    // What a probe or a page asks for, by curl as well, for that is what probes are.
    get(daemon.audience(), "/").expect_empty();
    run("curl", &["-fsS", "-m", "5", &format!("http://{}/", daemon.audience())]);
    for target in ["/client/audience.js", "/crossdomain.xml"] {
        let reply = get(daemon.audience(), target);
        assert!(reply.status == 200 && reply.body.len() > 100, "{reply:?}");
    }
    let preflight = request("OPTIONS", "/full", "Host: h\r\nOrigin: https://page.example\r\n");
    assert_eq!(exchange(daemon.audience(), preflight).status, 204);
    // An event is what there is no room for.
    for (method, accept) in [("GET", ""), ("HEAD", ""), ("HEAD", ACCEPT)] {
        let reply = exchange(daemon.audience(), request(method, "/full", &format!("Host: h\r\n{accept}")));
        assert_eq!((reply.status, reply.body.as_str()), (503, ""), "{reply:?}");
        let seconds = reply.header("Retry-After").and_then(|value| value.parse::<u64>().ok());
        assert!(seconds > Some(0), "{reply:?}");
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
    }
    assert_eq!(get(daemon.stats_port(), "/healthz").status, 200);
    let reply = readiness();
    assert!(reply.status == 503 && reply.body.starts_with("full: --max-connections"), "{reply:?}");
    drop(inside);
    wait_until("room", || get(daemon.audience(), "/full").status == 200);
    assert_eq!(readiness().status, 200);
}

#[test]
fn at_max_connections_a_process_is_not_ready_and_at_max_namespaces_it_is() {
    let daemon = Daemon::start(&[&QUIET[..], &["--max-connections", "2", "--max-namespaces", "1"]].concat());
    let readiness = || get(daemon.stats_port(), "/readyz").status;
    let first = member(&daemon, "/event");
    // Another event has no room, but members of this one do.
    assert!(try_join(&daemon, "/other").is_err());
    assert_eq!(readiness(), 200);
    let second = member(&daemon, "/event");
    assert_eq!(readiness(), 503);
    drop(first);
    wait_until("room", || readiness() == 200);
    drop(second);
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
        std::mem::replace(&mut taken, descriptors(daemon.pid()).len()) == descriptors(daemon.pid()).len()
    });
    assert!((30..=64).contains(&taken), "{taken} descriptors of 64");

    let before = cpu_ticks(daemon.pid());
    inside[0].expect_silence(ms(800));
    let spent = cpu_ticks(daemon.pid()) - before;
    // A hundred ticks are one second of one processor.
    assert!(spent < 20, "{spent} ticks in 800 ms");

    daemon.notify("/busy/news/on").expect_confirmed();
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
    daemon.notify("/ns/news/on").expect_confirmed();
    stream.expect(&Event::Message("news=on".to_owned()));
    drop(silent);
}
