//! After any churn the counts are exactly what is open: clients vanish at any byte, race, and send bytes at random.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::thread;

use super::guests::QUIET;
use audience_kit::*;

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
    stream.expect(&Event::Cut);
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
