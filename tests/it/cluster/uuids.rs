//! Of one uuid exactly one member stays, whichever process each claim comes to.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

use super::siblings::*;
use audience_kit::*;

/// Some wait to ask until others have been connected, which takes a while on a busy machine.
const UUIDS: [&str; 7] = ["--enable-uuid", "--head-timeout", "60", BRISK[0], BRISK[1], BRISK[2], BRISK[3]];

#[test]
fn of_one_uuid_the_newest_stays_whichever_process_it_is_at() {
    let daemons = audience::<2>(&UUIDS);
    let mut latest = join_at(&daemons[0], "/ns/me").0;
    let mut other = join_at(&daemons[1], "/ns/you").0;
    for turn in 1..6 {
        let mut newer = join_at(&daemons[turn % 2], "/ns/me").0;
        latest.wait_farewell();
        wait_totals(&daemons, "ns", 2);
        assert!(stays(&mut newer));
        latest = newer;
    }
    assert!(stays(&mut other));
}

#[test]
fn of_claims_at_the_same_time_exactly_one_stays() {
    let daemons = audience::<2>(&UUIDS);
    for round in 0..5 {
        let target = format!("/ns{round}/me");
        let mut sockets: Vec<TcpStream> = (0..6).map(|turn| connect_to(&daemons[turn % 2])).collect();
        for socket in &mut sockets {
            socket.write_all(join_request(&target, "").as_bytes()).unwrap();
        }
        let mut streams: Vec<Stream> = sockets.into_iter().map(Stream::over).collect();
        wait_totals(&daemons, &format!("ns{round}"), 1);
        let mut gone = 0;
        wait_until("that all but one are sent away", || {
            let before = streams.len();
            streams.retain_mut(stays);
            gone += before - streams.len();
            gone >= 5
        });
        assert_eq!(streams.len(), 1, "none stayed");
        assert!(stays(&mut streams[0]));
        wait_totals(&daemons, &format!("ns{round}"), 1);
    }
}

#[test]
fn a_page_may_leave_at_another_process() {
    let daemons = audience::<2>(&UUIDS);
    let mut stream = join_at(&daemons[0], "/ns/me").0;
    wait_totals(&daemons, "ns", 1);
    let mut socket = connect_to(&daemons[1]);
    socket.write_all(request("POST", "/ns/me", "Host: audience.test\r\n").as_bytes()).unwrap();
    assert!(read_to_end(&mut socket).starts_with(b"HTTP/1.1 200 "));
    stream.wait_left();
    wait_totals(&daemons, "ns", 0);
}

/// The answer of a process to a page that comes back after a farewell.
fn come_back(daemon: &Daemon, method: &str, target: &str) -> TcpStream {
    let mut socket = connect_to(daemon);
    let fields = format!("Host: audience.test\r\n{ACCEPT}Last-Event-ID: farewell\r\n");
    socket.write_all(request(method, target, &fields).as_bytes()).unwrap();
    socket
}

#[test]
fn a_page_that_comes_back_waits_until_the_other_processes_have_said_whether_they_have_its_uuid() {
    let daemons = audience::<2>(&UUIDS);
    let mut stream = join_at(&daemons[0], "/ns/me").0;
    wait_totals(&daemons, "ns", 1);
    for daemon in &daemons {
        for method in ["GET", "HEAD"] {
            let answer = String::from_utf8(read_to_end(&mut come_back(daemon, method, "/ns/me"))).unwrap();
            assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
            assert!(answer.contains("\r\nAudience-Meter-Farewell: claimed\r\n"), "{answer}");
            assert!(answer.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{answer}");
        }
    }
    assert!(stays(&mut stream));
    wait_totals(&daemons, "ns", 1);
    // No process has the other.
    let start = now();
    let answer = String::from_utf8(read_to_end(&mut come_back(&daemons[1], "HEAD", "/ns/you"))).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nContent-Type: text/event-stream\r\n"),
        "{answer}"
    );
    let waited = start.elapsed();
    assert!(waited >= ms(150), "silence is an answer after 200 ms, not {waited:?}");
    wait_totals(&daemons, "ns", 1);
    let mut back = Stream::over(come_back(&daemons[1], "GET", "/ns/you"));
    back.wait_count(2);
    wait_totals(&daemons, "ns", 2);
    // A client that goes before it has its answer is none.
    drop(come_back(&daemons[1], "GET", "/ns/they"));
    read_to_end(&mut come_back(&daemons[1], "HEAD", "/ns/none"));
    wait_totals(&daemons, "ns", 2);
}

/// Whether a member has not been sent away, by what it has heard until now.
#[track_caller]
fn stays(stream: &mut Stream) -> bool {
    while let Some(event) = stream.next_event(ms(1)) {
        match event {
            Event::Count(_) => {}
            Event::Farewell => {
                stream.expect_closed();
                return false;
            }
            other => panic!("{other:?}"),
        }
    }
    true
}

#[test]
fn leaving_with_uuids_that_do_not_exist_is_limited_for_each_address() {
    let daemons = audience::<2>(&UUIDS);
    let mut stream = join_at(&daemons[0], "/ns/me").0;
    wait_totals(&daemons, "ns", 1);
    let leave = |address: Ipv4Addr, uuid: &str| {
        let mut socket =
            connect_from(address, SocketAddrV4::new(Ipv4Addr::LOCALHOST, daemons[0].audience().port())).unwrap();
        socket.write_all(request("GET", &format!("/ns/{uuid}"), "Host: audience.test\r\n").as_bytes()).unwrap();
        let answer = String::from_utf8(read_to_end(&mut socket)).unwrap();
        let is_limited = answer.starts_with("HTTP/1.1 429 ") && answer.contains("Retry-After: 1\r\n");
        assert!(is_limited || answer.starts_with("HTTP/1.1 200 "), "{answer}");
        !is_limited
    };
    let sent =
        || -> u64 { daemons.iter().map(|daemon| cluster_page(daemon)["datagrams"]["sent"].as_u64().unwrap()).sum() };
    let (before, start) = (sent(), now());
    let asked: u64 = (0..400).map(|number| u64::from(leave(Ipv4Addr::LOCALHOST, &format!("none{number}")))).sum();
    // Both processes let twenty through, and ten a second after that.
    let seconds = start.elapsed().as_secs() + 1;
    assert!((40..=2 * (21 + 10 * seconds)).contains(&asked), "{asked} in {seconds} s");
    // Each is asked about three times, and signs of life come beside that: ten a second here, and more after changes.
    let most = 3 * asked + 60 * (seconds + 1);
    assert!(sent() - before <= most, "{} datagrams for {asked} questions in {seconds} s", sent() - before);
    // A page at another address leaves all the same.
    assert!(leave(Ipv4Addr::new(127, 0, 0, 2), "me"));
    stream.wait_left();
    wait_totals(&daemons, "ns", 0);
}

#[test]
fn a_page_that_asks_too_often_whether_it_may_come_back_is_put_off() {
    let daemons = audience::<2>(&UUIDS);
    let _stream = join_at(&daemons[0], "/ns/me").0;
    wait_totals(&daemons, "ns", 1);
    let ask = |method: &str, number: usize| {
        let mut socket = connect(daemons[0].audience());
        let fields = format!("Host: audience.test\r\n{ACCEPT}Last-Event-ID: farewell\r\n");
        socket.write_all(request(method, &format!("/ns/none{number}"), &fields).as_bytes()).unwrap();
        socket
    };
    let start = now();
    let sockets: Vec<TcpStream> = (0..200).map(|number| ask("HEAD", number)).collect();
    let replies = sockets.into_iter().map(|mut socket| Reply::parse(&read_to_end(&mut socket)));
    let (put_off, asked): (Vec<_>, Vec<_>) = replies.partition(|reply| reply.status == 429);
    // Both processes let twenty through, and ten a second after that.
    let most = 2 * (21 + 10 * (start.elapsed().as_secs() + 1));
    assert!((20..=most).contains(&(asked.len() as u64)), "{} of them in {:?}", asked.len(), start.elapsed());
    for reply in asked {
        assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("text/event-stream")), "{reply:?}");
    }
    for reply in put_off {
        for (name, value) in [
            ("Retry-After", "1"),
            ("Access-Control-Expose-Headers", "Retry-After"),
            ("Access-Control-Allow-Origin", "*"),
            ("Cache-Control", "no-store"),
            ("Audience-Meter-Farewell", ""),
        ] {
            assert_eq!(reply.header(name).unwrap_or_default(), value, "{reply:?}");
        }
    }
    // A browser that comes back by itself takes no other status than 200, so its stream says when, and ends.
    let put_off = wait_for("a stream that is put off", || {
        let _burst: Vec<TcpStream> = (0..60).map(|number| ask("HEAD", number)).collect();
        let mut stream = Stream::over(ask("GET", 0));
        matches!(stream.next(SOON), Some(Event::Retry(30_000..=60_000))).then_some(stream)
    });
    { put_off }.expect_closed();
    wait_totals(&daemons, "ns", 1);
}
