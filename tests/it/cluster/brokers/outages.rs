//! Brokers that end, hang, move on, or let nobody in: each node goes on with what it knows, and all are whole again soon.

use super::super::hosts::wait_nodes;
use super::{join, start, start_all, wait_members};
use audience_kit::*;

/// A broker of each kind, with a member at each of three hosts.
fn with_each(act: impl Fn(Broker, Vec<Node>, Vec<Stream>)) {
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let broker = Broker::start_at(&network, 0, program, &[]);
        let nodes = start_all(&network, &broker.url(), &[]);
        let open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 3);
        act(broker, nodes, open);
    }
}

/// Waits until each node has lost the others, and serves on: its own members are its total.
#[track_caller]
fn wait_alone(nodes: &[Node]) {
    wait_members(nodes, 1);
    for node in nodes {
        assert_eq!(node.nodes(), 1);
        assert_eq!(node.within(|| node.daemon.stats_page("/readyz")).status, 200);
        node.daemon.wait_log("the broker", |line| line.contains(" event=broker_lost "));
    }
}

#[test]
fn a_broker_that_is_killed_and_started_again_is_used_again() {
    with_each(|mut broker, nodes, open| {
        for _ in 0..2 {
            broker.kill();
            wait_alone(&nodes);
            broker.start_again();
            wait_members(&nodes, 3);
            wait_nodes(&nodes, 3);
        }
        assert!(nodes.iter().all(|node| node.stat("connections") == 3));
        drop(open);
        wait_members(&nodes, 0);
    });
}

#[test]
fn a_broker_that_hangs_is_found_and_used_again_once_it_goes_on() {
    with_each(|broker, nodes, mut open| {
        broker.pause();
        wait_alone(&nodes);
        open.push(join(&nodes[0], "/ns"));
        broker.resume();
        wait_members(&nodes, 4);
        wait_nodes(&nodes, 3);
    });
}

#[test]
fn processes_of_one_host_have_one_number_over_brokers_that_are_not_linked_and_without_any() {
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let mut brokers = [0; 2].map(|_| Broker::start_at(&network, 0, program, &[]));
        let ports = [Node::PORT, Node::PORT + 1];
        let node = |(port, broker): (u16, &Broker)| Node::start_on(&network, 0, port, &["-m", &broker.url()]);
        let nodes = ports.into_iter().zip(&brokers).map(node).collect::<Vec<_>>();
        wait_nodes(&nodes, 2);
        let _open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 2);
        let has_trouble = |node: &Node, kind: &str| {
            let page = node.ask("/cluster");
            page["troubles"].as_array().unwrap().iter().any(|trouble| trouble["kind"] == kind)
        };
        for node in &nodes {
            wait_until("the trouble", || has_trouble(node, "broker_split"));
        }
        for broker in &mut brokers {
            broker.kill();
        }
        for node in &nodes {
            wait_until("the trouble", || has_trouble(node, "broker_away"));
        }
        // Long enough for a node that is not received to be taken for departed.
        pass(2 * Node::TIMEOUT);
        assert!(nodes.iter().all(|node| node.stat("members") == 2 && node.nodes() == 2));
    }
}

#[test]
fn a_node_that_hangs_is_cut_off_as_a_slow_consumer_and_comes_back() {
    let Some(network) = Network::build() else { return };
    let folder = ScratchFolder::create("nats");
    let config = folder.file("config");
    // The server gives a client 64 KiB, and half a second to take it.
    std::fs::write(&config, "max_payload: 65536\nmax_pending: 65536\nwrite_deadline: \"500ms\"\n").unwrap();
    let broker = Broker::start_at(&network, 0, Program::Nats, &["--config", config.to_str().unwrap()]);
    let nodes = start_all(&network, &broker.url(), &[]);
    let open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
    wait_members(&nodes, 3);
    nodes[2].daemon.signal("STOP");
    wait_members(&nodes[..2], 2);
    // What is published has to fill the buffers of the kernel first.
    let publisher = nats_flood(&network, &broker);
    wait_until("that the server cuts it off", || broker.log().contains("Slow Consumer"));
    drop(publisher);
    nodes[2].daemon.signal("CONT");
    wait_members(&nodes, 3);
    wait_nodes(&nodes, 3);
    drop(open);
    wait_members(&nodes, 0);
}

#[test]
fn a_node_that_hangs_is_cut_off_by_redis_at_its_limit_and_comes_back() {
    let Some(network) = Network::build() else { return };
    let limit = ["--client-output-buffer-limit", "pubsub 64kb 64kb 1"];
    let broker = Broker::start_at(&network, 0, Program::Redis, &limit);
    let nodes = start_all(&network, &broker.url(), &[]);
    let _open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
    wait_members(&nodes, 3);
    nodes[2].daemon.signal("STOP");
    wait_members(&nodes[..2], 2);
    // What is published has to fill the buffers of the kernel first: some MiB.
    let payload = "x".repeat(100_000);
    wait_until("that the server cuts it off", || {
        broker.redis_cli(&["PUBLISH", "audience-meter", &payload]);
        broker.log().contains("overcoming of output buffer limits")
    });
    nodes[2].daemon.signal("CONT");
    wait_members(&nodes, 3);
    wait_nodes(&nodes, 3);
}

/// A client that publishes on the nodes' subject as fast as it can: no datagrams of theirs.
fn nats_flood(network: &Network, broker: &Broker) -> Flood {
    let line = format!(
        "exec 3<>/dev/tcp/{}/{}; printf 'CONNECT {{\"verbose\":false}}\\r\\n' >&3; \
         head -c 60000 /dev/zero >$0; while printf 'PUB audience-meter 60000\\r\\n' >&3; do cat $0 >&3; printf '\\r\\n' >&3; done",
        broker.address().ip(),
        broker.address().port()
    );
    let file = ScratchFile::none("flood");
    let child = command_in(&network.hosts[1], "bash").args(["-c", &line, file.path()]).spawn().unwrap();
    Flood(child, file)
}

struct Flood(std::process::Child, #[expect(dead_code, reason = "it is gone with the value")] ScratchFile);

impl Drop for Flood {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

#[test]
fn a_wrong_password_is_said_with_its_remedy_and_no_secret() {
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let password = match program {
            Program::Nats => ["--auth", "open sesame"],
            Program::Redis => ["--requirepass", "open sesame"],
        };
        let broker = Broker::start_at(&network, 0, program, &password);
        let files = ["open sesame\n", "close sesame\n"].map(|text| ScratchFile::with("credentials", text, 0o600));
        let with = |file: usize| ["--cluster-credentials-file", files[file].path()];
        let nodes = (0..2).map(|host| start(&network, host, &broker.url(), &with(0))).collect::<Vec<_>>();
        wait_nodes(&nodes, 2);
        let refused = [with(1).to_vec(), vec![]].map(|options| start(&network, 2, &broker.url(), &options));
        for (node, remedy) in
            refused.iter().zip(["correct --cluster-credentials-file", "give --cluster-credentials-file"])
        {
            let line = node.daemon.wait_log("the remedy", |line| line.contains(" event=broker_lost "));
            assert!(line.contains(remedy), "{line}");
        }
        for node in nodes.iter().chain(&refused) {
            let said = format!("{:?} {}", node.daemon.log(), node.ask("/cluster"));
            assert!(!said.contains("sesame"), "{said}");
        }
        wait_nodes(&nodes, 2);
    }
}

#[test]
fn of_two_servers_of_nats_in_a_cluster_one_may_die() {
    let Some(network) = Network::build() else { return };
    let route = |host: usize| format!("nats://{}:6222", address(host));
    let server = |host: usize| {
        let own = route(host);
        Broker::start_at(
            &network,
            host,
            Program::Nats,
            &["--cluster", &own, "--cluster_name", "c", "--routes", &route(0)],
        )
    };
    let mut servers = [0, 1].map(server);
    let [first, second] = [0, 1].map(|host| servers[host].address().to_string());
    let nodes = [format!("{first},{second}"), format!("{second},{first}"), format!("{first},{second}")];
    let nodes = nodes.iter().enumerate().map(|(host, list)| start(&network, host, &format!("nats://{list}"), &[]));
    let nodes = nodes.collect::<Vec<_>>();
    wait_nodes(&nodes, 3);
    let mut open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
    wait_members(&nodes, 3);
    servers[0].kill();
    open.push(join(&nodes[0], "/ns"));
    wait_members(&nodes, 4);
    wait_nodes(&nodes, 3);
    servers[0].start_again();
    servers[1].kill();
    open.push(join(&nodes[1], "/ns"));
    wait_members(&nodes, 5);
    wait_nodes(&nodes, 3);
}

#[test]
fn a_replica_of_redis_leads_to_its_master_and_a_new_master_is_followed() {
    let Some(network) = Network::build() else { return };
    let [master, replica] = [0, 1].map(|host| Broker::start_at(&network, host, Program::Redis, &[]));
    let follow = |own: &Broker, other: &Broker| {
        own.redis_cli(&["REPLICAOF", &other.address().ip().to_string(), &other.port().to_string()]);
    };
    follow(&replica, &master);
    let urls = [master.url(), replica.url(), format!("{},{}", master.url(), replica.address())];
    let nodes = urls.iter().enumerate().map(|(host, url)| start(&network, host, url, &[])).collect::<Vec<_>>();
    wait_nodes(&nodes, 3);
    let mut open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
    wait_members(&nodes, 3);
    replica.redis_cli(&["REPLICAOF", "NO", "ONE"]);
    follow(&master, &replica);
    open.push(join(&nodes[0], "/ns"));
    wait_members(&nodes, 4);
    wait_nodes(&nodes, 3);
    for broker in [&master, &replica] {
        broker.redis_cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }
    open.push(join(&nodes[1], "/ns"));
    wait_members(&nodes, 5);
    wait_nodes(&nodes, 3);
}
