//! Where the side ports listen, and what all of them have in common.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use super::demo::demo;
use audience_kit::*;

/// An address of this machine that is not the loopback one, if it has a way out.
pub(super) fn address_of_this_machine() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Connecting a datagram socket sends nothing: it only chooses the route.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn stats_and_notification_listen_on_the_loopback_interface_alone() {
    let daemon = Daemon::start(&[]);
    for port in ["stats", "notification"] {
        let addresses = daemon.listening(port);
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{port}: {addresses:?}");
        let families = addresses.iter().map(SocketAddr::is_ipv6).collect::<Vec<_>>();
        assert_eq!(families, if has_ipv6() { vec![false, true] } else { vec![false] });
        for address in addresses {
            connect(address);
        }
    }
    let Some(ip) = address_of_this_machine() else {
        return;
    };
    let reaches = |port: SocketAddr| TcpStream::connect_timeout(&(ip, port.port()).into(), SOON).is_ok();
    assert!(reaches(daemon.audience()) && reaches(daemon.demo()));
    assert!(!reaches(daemon.stats_port()) && !reaches(daemon.notification()));
}

#[test]
fn both_loopback_addresses_answer() {
    let daemon = Daemon::start(&[]);
    for address in daemon.listening("stats") {
        assert_eq!(get(address, "/").body.trim(), "{}", "{address}");
    }
    let _member = member(&daemon, "/ns");
    for address in daemon.listening("notification") {
        assert_eq!(get(address, "/ns/service/text").expect_confirmed(), 1);
    }
}

#[test]
fn a_side_port_of_0_is_not_opened() {
    let all = ["--stats-port", "0", "--notification-port", "0", "--demo-port", "0"];
    let daemon = Daemon::start(&all);
    for port in ["stats", "notification", "demo"] {
        assert_eq!(daemon.listening(port), [], "{port}");
    }
    Stream::join(daemon.audience(), "/alone").expect_count(1);
    let daemon = Daemon::start(&all[..2]);
    assert_eq!(daemon.listening("stats"), []);
    assert_eq!(get(daemon.notification(), "/a/b/c").status, 404);
    demo(&daemon, "/", "text/html");
}

#[test]
fn head_on_a_side_port_gets_the_head_alone() {
    let daemon = Daemon::start(&[]);
    let (stats, notification, demo) = (daemon.stats_port(), daemon.notification(), daemon.demo());
    let _member = member(&daemon, "/ns");
    let cases = [
        (stats, "/"),
        (stats, "/cluster"),
        (stats, "/process"),
        (notification, "/ns/service/text"),
        (demo, "/"),
        (demo, "/test"),
        (demo, "/client/audience.js"),
    ];
    for (address, target) in cases {
        let reply = exchange(address, request("HEAD", target, "Host: localhost\r\n"));
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{target}: {reply:?}");
    }
}

#[test]
fn a_join_on_a_side_port_is_no_join() {
    let daemon = Daemon::start(&[]);
    for address in [daemon.stats_port(), daemon.notification(), daemon.demo()] {
        let mut socket = connect(address);
        let request = join_request("/side", "").replace("audience.test", &address.to_string());
        socket.write_all(request.as_bytes()).unwrap();
        let text = lossy(&read_to_end(&mut socket));
        assert!(!text.contains("Content-Type: text/event-stream"), "{text}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}
