//! A password is replaced at the broker and in the file while all nodes run.

use super::super::hosts::wait_nodes;
use super::{join, start, wait_members};
use audience_kit::*;

/// A broker that lets a user in by a password, which may be replaced.
struct Guarded {
    broker: Broker,
    config: ScratchFile,
}

impl Guarded {
    fn start(network: &Network, program: Program) -> Self {
        let config = ScratchFile::with("config", &Self::settings("first"), 0o600);
        let broker = match program {
            Program::Nats => Broker::start_at(network, 0, program, &["--config", config.path()]),
            Program::Redis => Broker::start_at(network, 0, program, &["--requirepass", "first"]),
        };
        Self { broker, config }
    }

    fn settings(password: &str) -> String {
        format!("authorization {{ user: meter, password: {password} }}\n")
    }

    /// From now on the broker takes this password alone, and lets those go that have another.
    #[track_caller]
    fn set_password(&self, program: Program, password: &str) {
        match program {
            Program::Nats => {
                self.config.replace(&Self::settings(password));
                self.broker.signal("HUP");
            }
            Program::Redis => {
                self.broker.redis_cli(&["-a", "first", "CONFIG", "SET", "requirepass", password]);
                self.broker.redis_cli(&["-a", password, "CLIENT", "KILL", "TYPE", "pubsub"]);
            }
        }
    }
}

/// What is in the file.
fn content(program: Program, password: &str) -> String {
    match program {
        Program::Nats => format!("meter:{password}\n"),
        Program::Redis => format!("{password}\n"),
    }
}

#[test]
fn a_password_that_is_replaced_is_read_again_without_a_restart() {
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let guarded = Guarded::start(&network, program);
        let files = [(); 2].map(|()| ScratchFile::with("credentials", &content(program, "first"), 0o600));
        let with = |host: usize| {
            let options = ["--cluster-credentials-file", files[host].path()];
            start(&network, host, &guarded.broker.url(), &options)
        };
        let nodes = [with(0), with(1)];
        wait_nodes(&nodes, 2);
        let _open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 2);
        // One host has the new file before, and the other one after; at first it is one that cannot be used.
        files[0].replace(&content(program, "second"));
        files[1].replace("\n");
        guarded.set_password(program, "second");
        wait_members(&nodes[..1], 1);
        let refused = |line: &str| line.contains(" event=broker_lost ") && line.contains("there is no secret in it");
        nodes[1].daemon.wait_log("what is wrong", refused);
        files[1].replace(&content(program, "second"));
        wait_members(&nodes, 2);
        wait_nodes(&nodes, 2);
        for node in &nodes {
            let log = node.daemon.log().join("\n");
            assert!(!log.contains("first") && !log.contains("second"), "{log}");
        }
    }
}
