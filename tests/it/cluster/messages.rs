//! Messages are received by all members, in the order of their sender, and each answer says whether they were.
//!
//! Owns what a sender may rely on after its answer: `200` is for every node that lives on, `503` is for none.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::thread;

use serde_json::Value;

use super::peers::Listener;
use super::siblings::*;
use super::totals::messages;
use audience_kit::*;

/// A command that sends the messages `from` to `to`, each after the answer to the one before, on connections of their own.
fn curl_of(daemon: &Daemon, from: usize, to: usize) -> String {
    let url = format!("http://{}/ns/chat/[{from}-{to}]", daemon.notification());
    run("curl", &["--silent", "--show-error", "--fail", "--no-keepalive", &url])
}

/// What was sent as `chat`.
fn chat(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("chat={number}")).collect()
}

/// A request that is on its way to a process.
#[track_caller]
fn ask(daemon: &Daemon, head: &str) -> TcpStream {
    let mut socket = connect(daemon.notification());
    socket.write_all(head.as_bytes()).unwrap();
    socket
}

/// What a process says of itself.
#[track_caller]
fn process_page(daemon: &Daemon) -> Value {
    serde_json::from_str(&daemon.stats_page("/process").body).unwrap()
}

/// Two processes with a member each, of which the second is stopped.
#[track_caller]
fn one_stopped() -> ([Daemon; 2], Vec<Stream>) {
    let daemons = audience::<2>(&PATIENT);
    let open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    daemons[1].signal("STOP");
    (daemons, open)
}

#[test]
fn a_sender_that_waits_for_its_answers_is_received_in_order_by_all() {
    let daemon = Daemon::start(&["-w", "4", "--notify-min-delay", "600"]);
    let mut open: Vec<Stream> = Vec::new();
    wait_until("a member at each process", || {
        open.push(member(&daemon, "/ns").0);
        let members = cluster_page(&daemon)["members"].as_array().unwrap().clone();
        members.len() == 4 && members.iter().all(|of| of["members"].as_u64() > Some(0))
    });
    let have_all = || (0..20).all(|_| daemon.stat("ns", "members") == Some(open.len() as u64));
    wait_until("twenty answers in a row with the total", have_all);
    let answers = curl_of(&daemon, 0, 399);
    let expected = format!("{{\"members\":{}}}\n", open.len());
    assert_eq!(answers, expected.repeat(400));
    for stream in &mut open {
        assert_eq!(messages(stream, 400), chat(0..400));
    }
}

#[test]
fn a_message_right_after_the_first_join_reaches_the_event_whichever_process_takes_it() {
    let daemon = Daemon::start(&["-w", "2", "--notify-min-delay", "600"]);
    // Other events that change all the time: the news of each process is gathered meanwhile.
    let _others: Vec<Stream> = (0..20).map(|number| member(&daemon, &format!("/other{number}")).0).collect();
    for number in 0..200 {
        let (mut stream, total) = member(&daemon, &format!("/new{number}"));
        assert_eq!(total, 1);
        assert_eq!(daemon.notify(&format!("/new{number}/chat/hello")).expect_confirmed(), 1, "event {number}");
        stream.expect(&Event::Message("chat=hello".to_owned()));
    }
    for _ in 0..8 {
        let reply = daemon.notify("/unknown/chat/hello");
        assert_eq!((reply.status, &*reply.body), (404, "there is no such event\n"));
    }
}

#[test]
fn what_is_confirmed_is_received_by_all_under_load_and_what_is_refused_by_none() {
    let daemon = Daemon::start(&["-w", "2", "--notify-min-delay", "600"]);
    let mut open: Vec<Stream> = (0..500).map(|_| member(&daemon, "/ns").0).collect();
    let have_all = || (0..10).all(|_| daemon.stat("ns", "members") == Some(500));
    wait_until("ten answers in a row with the total", have_all);
    let send = |sender: usize| {
        let of_sender = (0..100).map(|number| number * 4 + sender);
        let is_sent = |number: &usize| {
            let reply = daemon.notify(&format!("/ns/chat/{number}"));
            if reply.status == 503 {
                assert_eq!(reply.header("Retry-After"), Some("1"), "{reply:?}");
                return false;
            }
            assert_eq!(reply.expect_confirmed(), 500);
            true
        };
        of_sender.filter(is_sent).collect::<Vec<_>>()
    };
    let mut confirmed = thread::scope(|scope| {
        let senders: Vec<_> = (0..4).map(|sender| scope.spawn(move || send(sender))).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<Vec<_>>()
    });
    wait_until("room for a last one", || daemon.notify("/ns/last/one").status == 200);
    confirmed.sort_unstable();
    for stream in &mut open {
        let received = messages(stream, confirmed.len() + 1);
        for sender in 0..4 {
            let of_sender = chat(confirmed.iter().copied().filter(|number| number % 4 == sender));
            let in_order: Vec<&String> = received.iter().filter(|text| of_sender.contains(text)).collect();
            assert_eq!(in_order, of_sender.iter().collect::<Vec<_>>(), "of sender {sender}");
        }
    }
}

#[test]
fn a_process_that_hangs_has_not_confirmed_and_keeps_the_order_when_it_goes_on() {
    let (daemons, mut open) = one_stopped();
    for number in 0..2 {
        assert_eq!(daemons[0].notify(&format!("/ns/chat/{number}")).expect_sent(), (2, 1));
    }
    daemons[1].signal("CONT");
    for number in 2..10 {
        daemons[number % 2].notify(&format!("/ns/chat/{number}")).expect_confirmed();
    }
    for stream in &mut open {
        assert_eq!(messages(stream, 10), chat(0..10));
    }
}

#[test]
fn an_answer_that_is_waited_for_reaches_clients_of_all_kinds() {
    let (daemons, mut open) = one_stopped();
    let address = daemons[0].notification();
    let host = format!("Host: {address}\r\n");
    let whole = |text: &str, method: &str, headers: &str| {
        ask(&daemons[0], &request(method, &format!("/ns/chat/{text}"), &format!("{host}{headers}")))
    };
    // It says no more; it sends more, at once and later; it wants the head alone; it is old.
    let mut half = whole("0", "GET", "");
    half.shutdown(Shutdown::Write).unwrap();
    let mut post = whole("1", "POST", "");
    post.write_all(b"hello").unwrap();
    let mut head = whole("2", "HEAD", "");
    let mut old = ask(&daemons[0], "GET /ns/chat/3 HTTP/1.0\r\n\r\n");
    // It goes away, in either manner.
    drop(whole("4", "GET", ""));
    let gone = whole("5", "GET", "");
    assert_eq!(messages(&mut open[0], 6).len(), 6);
    post.write_all(b"world").unwrap();
    drop(gone);
    for socket in [&mut half, &mut post, &mut old] {
        assert_eq!(Reply::parse(&read_to_end(socket)).expect_sent(), (2, 1));
    }
    let reply = Reply::parse(&read_to_end(&mut head));
    assert_eq!((reply.status, &*reply.body), (200, ""));
    assert_eq!(reply.header("Content-Length"), Some("30"), "{reply:?}");
    daemons[1].signal("CONT");
    assert_eq!(messages(&mut open[1], 6).len(), 6);
    // The member, and the client that asks for this.
    wait_until("that no other connection is left", || process_page(&daemons[0])["open"] == 2);
}

#[test]
fn a_client_that_says_too_much_while_it_waits_is_closed() {
    let (daemons, _open) = one_stopped();
    let mut socket = ask(&daemons[0], "POST /ns/chat/0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // The end of the connection may come as a reset.
    let _ = socket.write_all(&vec![b'x'; 1 << 20]);
    wait_until("that it is closed", || process_page(&daemons[0])["closed"]["too_much"] == 1);
}

#[test]
fn a_process_that_ends_answers_before() {
    let (mut daemons, mut open) = one_stopped();
    let mut socket = ask(&daemons[0], &request("GET", "/ns/chat/0", "Host: localhost\r\n"));
    assert_eq!(messages(&mut open[0], 1), chat(0..1));
    daemons[0].signal("TERM");
    assert_eq!(Reply::parse(&read_to_end(&mut socket)).expect_sent(), (2, 1));
    daemons[0].wait_exit();
    daemons[1].signal("CONT");
    assert_eq!(messages(&mut open[1], 1), chat(0..1));
}

#[test]
fn a_process_that_ends_is_waited_for_no_longer() {
    let (mut daemons, _open) = one_stopped();
    let mut socket = ask(&daemons[0], &request("GET", "/ns/chat/0", "Host: localhost\r\n"));
    daemons[1].signal("CONT");
    daemons[1].signal("TERM");
    Reply::parse(&read_to_end(&mut socket)).expect_confirmed();
    daemons[1].wait_exit();
    wait_nodes(&daemons[0], 1);
    daemons[0].notify("/ns/chat/1").expect_confirmed();
}

#[test]
fn messages_are_confirmed_and_received_though_a_quarter_of_all_datagrams_is_lost() {
    let Some(network) = Network::build() else { return };
    let group = |host| ["-m", "239.255.13.37:3140", "--cluster-interface", &address(host)].map(str::to_owned);
    let start = |host| Node::start(&network, host, &group(host).each_ref().map(|option| &**option));
    let nodes: Vec<Node> = (0..Network::HOSTS).map(start).collect();
    for node in &nodes {
        wait_until("the nodes of all hosts", || node.nodes() == 3);
    }
    let members: Vec<Listener> = (0..Network::HOSTS).map(|host| Listener::join(&network, host)).collect();
    for node in &nodes {
        wait_until("the members of all hosts", || node.stat("members") == 3);
    }
    network.lose_a_quarter();
    for number in 0..20 {
        let host = number % Network::HOSTS;
        let url = format!("http://{}/ns/chat/{number}", nodes[host].daemon.notification());
        let answer = run("ip", &["netns", "exec", &network.hosts[host], "curl", "--silent", "--fail", &url]);
        assert_eq!(answer, "{\"members\":3}\n", "message {number}");
    }
    for member in &members {
        wait_until("all messages", || member.messages().len() == 20);
        assert_eq!(member.messages(), chat(0..20));
    }
}
