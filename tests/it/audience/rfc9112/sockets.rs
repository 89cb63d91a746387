//! Rows of the table over real connections, at each port.
//!
//! The same parser is behind all ports, and each row is judged there (`parser`); here it is shown of each outcome what is
//! written to a socket. There is one answer to a request, the connection ends with it, what follows is never answered, and
//! no member is counted by a request that was refused.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::thread;

use super::table::*;
use audience_kit::*;

/// Sends a request to the audience port, and fails unless it becomes what it should.
#[track_caller]
fn send(request: &Request, daemon: &Daemon) {
    let Joins(namespace) = request.outcome else {
        return request.check(&answer(daemon.audience(), &request.bytes));
    };
    let mut stream = Stream::open(daemon.audience(), &request.bytes);
    assert_eq!(stream.next_count(SOON), 1, "{}", request.name());
    assert_eq!(daemon.stat(namespace, "members"), Some(1), "{}", request.name());
    drop(stream);
    daemon.wait_members(namespace, 0);
}

/// All that these bytes are answered with.
#[track_caller]
fn answer(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = connect(address);
    socket.write_all(bytes).unwrap();
    read_to_end(&mut socket)
}

/// The port of the audience, and those beside it.
fn ports(daemon: &Daemon) -> [SocketAddr; 4] {
    [daemon.audience(), daemon.notification(), daemon.demo(), daemon.stats_port()]
}

// ---------------------------------------------------------------------------------------------
// Whole requests
// ---------------------------------------------------------------------------------------------

#[test]
fn every_request_gets_its_answer_and_nobody_is_counted_by_one_that_is_refused() {
    let daemon = Daemon::start(&[]);
    let (refused, served): (Vec<_>, Vec<_>) =
        samples().into_iter().filter(|request| !request.is_late()).partition(Request::is_refused);
    assert!(refused.len() >= 4 && served.len() >= 5, "{} and {}", refused.len(), served.len());
    for request in refused {
        send(&request, &daemon);
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    for request in served {
        send(&request, &daemon);
    }
}

#[test]
fn what_the_audience_port_refuses_is_refused_by_the_others_too() {
    let daemon = Daemon::start(&[]);
    for request in samples().iter().filter(|request| request.is_refused()) {
        for address in ports(&daemon) {
            request.check(&answer(address, &request.bytes));
        }
    }
}

#[test]
fn what_follows_a_request_is_never_answered() {
    let daemon = Daemon::start(&[]);
    // RFC 9112 section 9.3.2 has pipelined requests answered in order; section 9.6 has none answered after the one with which
    // the connection ends, and here every one is.
    for request in samples().iter().filter(|request| !request.is_late()) {
        send(&request.followed_by(&join_request("/second", "")), &daemon);
    }
    assert!(!daemon.namespaces().contains(&"second".to_owned()));
}

#[test]
fn a_request_is_the_same_wherever_it_is_cut() {
    let daemon = Daemon::start(&[]);
    let good = join_request("/x", "Content-Length: 0\r\n");
    let requests: [(&[u8], Outcome); 7] = [
        (b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", Empty),
        (b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Empty),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", NoContent),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", Refused(400)),
        (b"GET /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n", Refused(400)),
        (b"GET /x HTTP/2.0\r\nHost: h\r\n\r\n", Refused(505)),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nX: y\n", Refused(400)),
    ];
    for (bytes, outcome) in requests {
        let request = Request { section: "9112 2.2", bytes: bytes.to_vec(), outcome };
        let mut sockets: Vec<_> = (0..bytes.len()).map(|_| connect(daemon.audience())).collect();
        for (cut, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(&bytes[..cut]).unwrap();
        }
        // A whole exchange on another connection: the daemon has seen the first pieces by now.
        exchange(daemon.audience(), b"GET / HTTP/1.0\r\n\r\n").expect_empty();
        for (cut, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(&bytes[cut..]).unwrap();
            request.check(&read_to_end(socket));
        }
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    let mut sockets: Vec<_> = (0..good.len()).map(|_| connect(daemon.audience())).collect();
    for (cut, socket) in sockets.iter_mut().enumerate() {
        socket.write_all(&good.as_bytes()[..cut]).unwrap();
    }
    exchange(daemon.audience(), b"GET / HTTP/1.0\r\n\r\n").expect_empty();
    let mut streams = Vec::new();
    for (cut, mut socket) in sockets.into_iter().enumerate() {
        socket.write_all(&good.as_bytes()[cut..]).unwrap();
        let mut stream = Stream::over(socket);
        assert_eq!(stream.next_count(SOON), cut as u64 + 1);
        streams.push(stream);
    }
    let mut socket = connect(daemon.audience());
    for byte in good.as_bytes() {
        socket.write_all(&[*byte]).unwrap();
        thread::yield_now();
    }
    assert_eq!(Stream::over(socket).next_count(SOON), good.len() as u64 + 1);
}

#[test]
fn a_refusal_of_head_has_no_content() {
    let daemon = Daemon::start(&["--head-timeout", "0.3"]);
    // RFC 9110 section 9.3.2: whatever the answer to HEAD says, it ends with its head.
    let heads: [(&[u8], u16); 5] = [
        (b"HEAD /x HTTP/1.1\r\n\r\n", 400),
        (b"\r\nHEAD /x HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", 400),
        (b"HEAD /x HTTP/1.1\r\nHost: h\n\n", 400),
        (b"HEAD /x HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"HEAD /x HTTP/1.1\r\nHost: h\r\n", 408),
    ];
    for address in ports(&daemon) {
        for (bytes, status) in heads {
            let reply = Reply::parse(&answer(address, bytes));
            assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{:?}: {reply:?}", lossy(bytes));
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Heads without an end, and with one too far away
// ---------------------------------------------------------------------------------------------

#[test]
fn a_head_without_an_end_is_408_on_every_port() {
    let daemon = Daemon::start(&["--head-timeout", "0.4"]);
    let requests: Vec<_> = table().into_iter().filter(Request::is_late).collect();
    let begun = now();
    let mut waiting = Vec::new();
    for request in &requests {
        for address in ports(&daemon) {
            // Whoever says nothing at all to the stats port is told them without being asked.
            if address == daemon.stats_port() && request.bytes.is_empty() {
                continue;
            }
            let mut socket = connect(address);
            socket.write_all(&request.bytes).unwrap();
            waiting.push((request, address, socket));
        }
    }
    for (request, address, mut socket) in waiting {
        let answer = read_to_end(&mut socket);
        if address == daemon.stats_port() && !answer.starts_with(b"HTTP/") {
            continue;
        }
        request.check(&answer);
        assert!(begun.elapsed() > ms(380), "{}: after {:?}", request.name(), begun.elapsed());
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn a_head_that_its_peer_gives_up_is_no_request() {
    let daemon = Daemon::start(&["--head-timeout", "600"]);
    // RFC 9112 section 8: what is incomplete is not acted on; an answer MAY be sent, and nobody waits for one.
    for request in table().iter().filter(|request| request.is_late()) {
        let mut socket = connect(daemon.audience());
        socket.write_all(&request.bytes).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(lossy(&read_to_end(&mut socket)), "", "{}", request.name());
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

/// A join whose head is exactly `size` bytes long.
fn head_of(size: usize) -> String {
    let bare = join_request("/large", "X: \r\n").len();
    join_request("/large", &format!("X: {}\r\n", "x".repeat(size - bare)))
}

#[test]
fn a_head_may_have_8192_bytes_and_past_that_is_431_on_every_port() {
    let daemon = Daemon::start(&[]);
    // A target longer than any that is parsed MUST be 414 (RFC 9112 section 3). The limit is that of the whole head here,
    // and what goes past it is 431 (RFC 6585 section 5), whichever part it is; a name within it that is too long is 414.
    let too_long = [
        head_of(8_193),
        head_of(20_000),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000)),
        format!("GET /x HTTP/1.1\r\nHost: {}", "h".repeat(9_000)),
        format!("GET /x HTTP/1.1\r\n{}: y", "X".repeat(9_000)),
        "G".repeat(9_000),
        "\r\n".repeat(5_000),
        "GET /x HTTP/1.1\r\nHost: h\r\n".to_owned() + &"X: y\r\n".repeat(2_000),
    ];
    for bytes in &too_long {
        let request = Request { section: "6585 5", bytes: bytes.clone().into_bytes(), outcome: Refused(431) };
        for address in ports(&daemon) {
            request.check(&answer(address, &request.bytes));
        }
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    for bytes in [head_of(8_192), join_request("/large", &"X: y\r\n".repeat(1_300))] {
        assert!(bytes.len() <= 8_192);
        send(&Request { section: "9112 2.5", bytes: bytes.into_bytes(), outcome: Joins("large") }, &daemon);
    }
}

#[test]
fn a_host_that_is_not_local_is_kept_out_in_either_form() {
    let daemon = Daemon::start(&[]);
    // RFC 9112 section 3.2.2: in absolute form the target says whom it is for, whatever Host says.
    for (target, host, status) in [
        ("/process", "localhost", 200),
        ("http://localhost/process", "localhost", 200),
        ("http://127.0.0.1:1442/process", "example.com", 200),
        ("/process", "example.com", 403),
        ("http://example.com/process", "localhost", 403),
        ("http://localhost.example.com/process", "localhost", 403),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let reply = Reply::parse(&answer(daemon.stats_port(), bytes.as_bytes()));
        assert_eq!(reply.status, status, "{bytes:?}");
    }
}
