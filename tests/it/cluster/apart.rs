//! Audiences that are not the same stay apart: by port, by address, and by the refusal to start.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use super::siblings::*;
use super::totals::{expect_no_more_messages, messages};
use audience_kit::*;

#[test]
fn audiences_on_different_ports_are_apart() {
    let daemons = audience::<2>(&BRISK);
    let other = start(&BRISK);
    let _open = [one_at_each(&daemons, "/ns"), one_at_each(&daemons, "/ns")];
    let (_one, first) = join_at(&other, "/ns");
    wait_totals(&daemons, "ns", 4);
    assert_eq!(first, 1);
    assert_eq!(other.stat("ns", "members"), Some(1));
    assert_eq!((nodes(&daemons[0]), nodes(&other)), (2, 1));
}

#[test]
fn audiences_on_different_addresses_of_one_port_are_apart() {
    let one = start(&[&["--host", "127.0.0.1"], &BRISK[..]].concat());
    let same = beside(&one, &[&["--host", "127.0.0.1"], &BRISK[..]].concat());
    let other = beside(&one, &[&["--host", "127.0.0.2"], &BRISK[..]].concat());
    assert_eq!(other.audience().to_string(), format!("127.0.0.2:{}", one.audience().port()));
    let _open = [join_at(&one, "/ns").0, join_at(&same, "/ns").0];
    one.wait_members("ns", 2);
    let (_one, first) = join_at(&other, "/ns");
    assert_eq!(first, 1);
    // Their bus is one, so they hear each other, and know better than to listen.
    wait_until("datagrams of the other audience", || {
        [&one, &same, &other].iter().all(|daemon| dropped(daemon, "foreign_audience") > 0)
    });
    assert_eq!((nodes(&one), nodes(&same), nodes(&other)), (2, 2, 1));
    assert_eq!(one.stat("ns", "members"), Some(2));
}

#[test]
fn audiences_of_peers_on_different_addresses_of_one_port_are_apart() {
    // Their peers do not exist, and their group on loopback is one.
    let at = |host: usize| ["127.0.0.1", "127.0.0.2", "127.0.0.3:9", "127.0.0.4:9"][host];
    let options = |host| [&["--host", at(host), "--cluster-peers", at(host + 2)], &BRISK[..]].concat();
    let one = start(&options(0));
    let rest = [0, 0, 1, 1].map(|host| beside(&one, &options(host)));
    let [same, third, other, fourth] = &rest;
    let mut open = [&one, same, third].map(|daemon| join_at(daemon, "/ns").0);
    wait_totals(&rest[..2], "ns", 3);
    let (stranger, first) = join_at(other, "/ns");
    assert_eq!(first, 1, "members of the other address do not count");
    wait_until("datagrams of the other audience", || rest.iter().all(|daemon| dropped(daemon, "foreign_audience") > 0));
    assert_eq!([&one, same, third, other, fourth].map(nodes), [3, 3, 3, 2, 2]);
    fourth.wait_members("ns", 1);

    one.notify("/ns/chat/one").expect_confirmed();
    fourth.notify("/ns/chat/other").expect_confirmed();
    for stream in &mut open {
        assert_eq!(messages(stream, 1), ["chat=one"]);
    }
    let mut open = open.into_iter().chain([stranger]).collect::<Vec<_>>();
    assert_eq!(messages(&mut open[3], 1), ["chat=other"]);
    expect_no_more_messages(&mut open);
}

/// Fails unless the daemon refuses to start with these arguments, with this code and in one line that has all of `parts`.
#[track_caller]
pub(super) fn refuses(args: &[&str], code: i32, parts: &[&str]) {
    let mut command = Command::new(program());
    command.args(["-w", "1"]);
    for option in ["--port", "--stats-port", "--notification-port", "--demo-port"] {
        if !args.contains(&option) {
            command.args([option, "0"]);
        }
    }
    run_to_end(command.args(args)).expect_refusal(code, parts);
}

#[test]
fn a_port_of_another_audience_is_refused_by_the_name_of_its_option() {
    let first = start(&[]);
    let own = free_port().to_string();
    for (option, address) in [
        ("--stats-port", first.stats_port()),
        ("--notification-port", first.notification()),
        ("--demo-port", first.demo()),
    ] {
        let number = address.port().to_string();
        refuses(&["--port", &own, option, &number], 1, &[option, &number, "another audience"]);
    }
    let port = first.audience().port().to_string();
    refuses(&["--port", &port, "--host", "127.0.0.1"], 1, &["--port", &port, "another audience"]);
    refuses(&["--port", &port, "-m", "239.255.13.38:3141"], 1, &["--port", &port, "another audience"]);
    let named = ["--port", &port, "-m", "239.255.13.38:3141", "--cluster-name", "x"];
    refuses(&named, 1, &["--port", &port, "another audience"]);
    // Whatever the port is to the first one.
    let stats = first.stats_port().port().to_string();
    refuses(&["--port", &stats], 1, &["--port", &stats, "another audience"]);
    // The first one is none the worse for it.
    drop(join_at(&first, "/ns"));
    let second = beside(&first, &[]);
    wait_nodes(&second, 2);
}

#[test]
fn one_number_for_two_ports_is_refused() {
    let number = free_port().to_string();
    for option in ["--stats-port", "--notification-port", "--demo-port"] {
        refuses(&["--port", &number, option, &number], 2, &[option, &number]);
    }
    let port = free_port().to_string();
    refuses(&["--port", &port, "--stats-port", &number, "--notification-port", &number], 2, &["-port", &number]);
}

#[test]
fn a_less_specific_host_on_the_same_port_is_refused_as_well() {
    let first = start(&["--host", "127.0.0.1"]);
    let port = first.audience().port().to_string();
    refuses(&["--port", &port], 1, &["--port", &port, "another audience"]);
}

#[test]
fn a_bus_that_leads_nowhere_is_a_clear_error() {
    refuses(&["-m", "10.0.0.1:314"], 2, &["--cluster-addr", "10.0.0.1:314", "is not a multicast ip:port"]);
    refuses(&["-m", "239.255.13.37"], 2, &["--cluster-addr", "is not a multicast ip:port"]);
    refuses(&["-m", "[fd00::1]:314"], 2, &["--cluster-addr", "[fd00::1]:314", "is not a multicast ip:port"]);
    refuses(&["-m", "[ff12::4d7]:314"], 2, &["--cluster-addr [ff12::4d7]:314", "--cluster-interface"]);
    let no_name = ["-m", "[ff12::4d7%no-such-name]:3140"];
    refuses(&no_name, 1, &["--cluster-interface no-such-name", "no such address or name"]);
    let nowhere = ["-m", "239.255.13.37:3140", "--cluster-interface", "192.0.2.1"];
    refuses(&nowhere, 1, &["--cluster-interface 192.0.2.1", "no such address"]);
    refuses(&["--cluster-peers", "192.0.2.1"], 2, &["--cluster-peers", "has no host and port"]);

    let squatter = UdpSocket::bind((LOOPBACK_GROUP, free_port())).unwrap();
    let port = squatter.local_addr().unwrap().port().to_string();
    let group = format!("{LOOPBACK_GROUP}:{port}");
    refuses(&["--port", &port], 1, &["--port", &group, "in use"]);
    refuses(&["-m", &group, "--cluster-interface", "127.0.0.1"], 1, &["--cluster-addr", &group, "in use"]);
    let squatter = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, free_port())).unwrap();
    let port = squatter.local_addr().unwrap().port().to_string();
    refuses(&["--port", &port, "--cluster-peers", "127.0.0.1:9"], 1, &[&port, "in use"]);
}
