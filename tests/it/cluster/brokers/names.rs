//! Brokers that have a name, and move: each node follows, and so does each worker.

use super::super::hosts::wait_nodes;
use super::{join, start, start_all, wait_members};
use audience_kit::*;

/// The URL of a broker by its name.
fn named(broker: &Broker) -> String {
    format!("{}://broker.test:{}", broker.scheme(), broker.port())
}

/// A broker of each kind at host 0, by a name that only the network's name server knows.
fn with_each(act: impl Fn(&Network, &Resolver, Broker)) {
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let resolver = Resolver::start(&network);
        let broker = Broker::start_at(&network, 0, program, &[]);
        resolver.set("broker.test", &[address(0)]);
        act(&network, &resolver, broker);
    }
}

/// Has a broker and its name stand at another host.
#[track_caller]
fn move_broker(network: &Network, resolver: &Resolver, broker: &mut Broker, host: usize, ip: &str) {
    broker.move_to(network, host, ip);
    resolver.set("broker.test", &[ip.to_owned()]);
}

#[test]
fn a_broker_that_moves_is_followed_by_its_name() {
    with_each(|network, resolver, mut broker| {
        let nodes = start_all(network, &named(&broker), &[]);
        let mut open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 3);
        for host in [1, 2] {
            move_broker(network, resolver, &mut broker, host, &address(host));
            open.push(join(&nodes[0], "/ns"));
            wait_members(&nodes, open.len() as u64);
            wait_nodes(&nodes, 3);
        }
    });
}

#[test]
fn workers_follow_names_and_a_replacement_knows_what_was_found_last() {
    with_each(|network, resolver, mut broker| {
        let url = named(&broker);
        let node = |host, workers| {
            let port = Node::PORT.to_string();
            let brisk = ["--cluster-notify-interval", "0.2", "--cluster-node-timeout", "2"];
            Node::start_plain(network, host, &[&["-w", workers, "-m", &url, "--port", &port][..], &brisk].concat())
        };
        let nodes = [node(0, "2"), node(1, "1")];
        wait_nodes(&nodes, 3);
        let _open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 2);
        move_broker(network, resolver, &mut broker, 1, &address(1));
        let moved = |line: &str| line.contains(" event=name_moved name=broker.test:");
        let count = |event: &dyn Fn(&str) -> bool| nodes[0].daemon.log().iter().filter(|line| event(line)).count();
        // The supervisor misses no broker, and looks it up every 30 s.
        let deadline = Deadline::after(SOON * 2);
        while count(&moved) < 3 {
            assert!(deadline.left().is_some(), "the supervisor does not follow: {:?}", nodes[0].daemon.log());
            pass(ms(50));
        }
        wait_nodes(&nodes, 3);
        resolver.set_silent(true);
        let worker = children(nodes[0].daemon.pid())[0];
        send_signal(worker, "KILL");
        let is_replaced = |line: &str| line.contains(" event=worker_died ");
        nodes[0].daemon.wait_log("its end", is_replaced);
        wait_nodes(&nodes, 3);
        let is_reached = |line: &str| line.contains(" event=broker_reached ");
        wait_until("that the replacement has reached the broker", || count(&is_reached) == 5);
    });
}

#[test]
fn members_and_their_broker_are_replaced_one_by_one_each_with_a_new_address() {
    with_each(|network, resolver, mut broker| {
        let url = named(&broker);
        // The broker is at the host that is replaced last.
        move_broker(network, resolver, &mut broker, 2, &address(2));
        let mut members = (0..Network::HOSTS)
            .map(|host| {
                let node = start(network, host, &url, &[]);
                let crowd = Crowd::join(network, host, "127.0.0.1", host as u64 + 2);
                (node, crowd)
            })
            .collect::<Vec<_>>();
        let wait = |members: &[(Node, Crowd)], key: &str, value: u64| {
            super::super::hosts::wait_all(members.iter().map(|(node, _)| node), key, value);
        };
        wait(&members, "members", 9);
        for (connections, host) in [(11, 0), (14, 1), (18, 2)] {
            let (gone, crowd) = members.remove(0);
            drop(crowd);
            gone.end("TERM");
            wait(&members, "members", 9 - (host as u64 + 2));
            let next = format!("10.77.13.{}", host + 11);
            network.set_address(host, "delete", &address(host));
            network.set_address(host, "add", &next);
            if host == 2 {
                move_broker(network, resolver, &mut broker, 2, &next);
            }
            members.push((start(network, host, &url, &[]), Crowd::join(network, host, "127.0.0.1", host as u64 + 2)));
            wait(&members, "members", 9);
            wait(&members, "connections", connections);
        }
    });
}

#[test]
fn a_name_server_that_is_silent_at_the_start_holds_nothing_up() {
    // The start is timed.
    let _quiet = timed();
    with_each(|network, resolver, broker| {
        let other = start(network, 1, &broker.url(), &[]);
        let _member = join(&other, "/ns");
        resolver.set_silent(true);
        for workers in ["1", "2"] {
            let begun = now();
            let port = Node::PORT.to_string();
            let brisk = ["--cluster-notify-interval", "0.2", "--cluster-node-timeout", "2"];
            let options = ["-w", workers, "--port", &port, "-m", &named(&broker)];
            let node = Node::start_plain(network, 0, &[&options[..], &brisk].concat());
            // A newcomer waits for a second at most, once a look-up takes longer than that.
            assert!(begun.elapsed() < ms(4_000), "{:?}", begun.elapsed());
            let mut stream = node.within(|| Stream::join(node.daemon.audience(), "/ns"));
            assert_eq!(stream.next_count(SOON), 1, "it is alone until it finds the others");
            node.daemon.wait_log("the trouble", |line| line.contains(" kind=missing_name address=broker.test:"));
            assert_eq!(node.within(|| node.daemon.stats_page("/readyz")).status, 200);
            resolver.set_silent(false);
            stream.wait_count(2);
            resolver.set_silent(true);
        }
    });
}

#[test]
fn a_newcomer_that_has_to_look_a_name_up_knows_the_total_at_once() {
    // It waits a second at most.
    let _quiet = timed();
    with_each(|network, resolver, broker| {
        resolver.set("members.test", &[address(1)]);
        let other = Node::start(network, 1, &["-m", &broker.url()]);
        let _member = join(&other, "/ns");
        let newcomer = start(network, 0, &named(&broker), &[]);
        let mut stream = newcomer.within(|| Stream::join(newcomer.daemon.audience(), "/ns"));
        assert_eq!(stream.next_count(SOON), 2, "over the broker");
        let peer = Node::start_on(network, 1, Node::PORT + 1, &["--cluster-peers", "10.77.13.99:1"]);
        let _member = join(&peer, "/ns");
        let list = format!("members.test:{}", Node::PORT + 1);
        let newcomer = Node::start_on(network, 2, Node::PORT + 1, &["--cluster-peers", &list]);
        let mut stream = newcomer.within(|| Stream::join(newcomer.daemon.audience(), "/ns"));
        assert_eq!(stream.next_count(SOON), 2, "from a peer");
    });
}
