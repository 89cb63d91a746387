//! Members whose machine vanishes without a word: no FIN, no reset, nothing that answers.
//!
//! Hosts, cables and crowds are those of the kit: the daemon is at one, the members at another, and the cable of theirs is
//! pulled. At a third host a daemon without `--peer-timeout` has members from the same machine and keeps them, so that it is
//! the option that has found the others out, and nothing else.

use std::time::Duration;

use audience_kit::*;

/// The timeout under test, as the option and as what it says.
const TIMEOUT: [&str; 2] = ["--peer-timeout", "2"];
const TIMEOUT_S: Duration = ms(2000);

/// What a busy machine takes to notice and to be asked.
const SLACK: Duration = ms(10_000);

/// How many stay, and how many vanish.
const NEAR: u64 = 3;
const FAR: u64 = 5;

/// How often a count is repeated. One who has just come heard it with the join, and hears the next but one.
const REPEATED: [&str; 4] = ["--notify-max-delay", "1", "--notify-min-delay", "1"];
const REPEATED_S: Duration = ms(2000);

/// No count is repeated, and one member more or less is not told.
const SILENT: [&str; 4] = ["--notify-max-delay", "600", "--notify-min-delay", "600"];

/// Everybody, before the cable is pulled. The daemon is at host 0, the one without a timeout at host 2.
struct Scene {
    network: Network,
    node: Node,
    patient: Node,
    _crowds: [Crowd; 3],
}

impl Scene {
    #[track_caller]
    fn set(options: &[&str]) -> Option<Self> {
        let network = Network::build()?;
        let node = Node::start(&network, 0, &[&TIMEOUT[..], &["-d"], options].concat());
        let patient = Node::start(&network, 2, &[&["--peer-timeout", "0"][..], options].concat());
        let near = Crowd::join(&network, 0, &address(0), NEAR);
        let [far, kept] = [0, 2].map(|to| Crowd::join(&network, 1, &address(to), FAR));
        wait_until("everybody", || node.stat("members") == NEAR + FAR && patient.stat("members") == FAR);
        Some(Self { network, node, patient, _crowds: [near, far, kept] })
    }

    /// Pulls the cable and waits until those behind it are counted out, `within` some time of it. Meanwhile the others are
    /// told something `every` so often.
    #[track_caller]
    fn vanish(&self, within: Duration, every: Option<Duration>) {
        self.network.set_cable(1, "down");
        let begun = now();
        let mut next = every.map(Deadline::after);
        loop {
            let members = self.node.stat("members");
            if members == NEAR {
                break;
            }
            assert!(now() - begun < within, "{members} members after {within:?}");
            if next.is_some_and(|next| next.left().is_none()) {
                next = every.map(Deadline::after);
                self.notify(&self.node, 0);
                self.notify(&self.patient, 2);
            }
        }
        wait_until("that their end is told, and why", || {
            let log = self.node.daemon.log();
            log.iter().filter(|line| line.ends_with("reason=PeerTimeout")).count() as u64 == FAR
        });
        assert_eq!(self.patient.stat("members"), FAR, "found out without the option");
    }

    /// Sends a message to all members of a daemon.
    #[track_caller]
    fn notify(&self, node: &Node, host: usize) {
        let url = format!("http://{}/ns/news/on", node.daemon.notification());
        run("ip", &["netns", "exec", &self.network.hosts[host], "curl", "--silent", "--fail", "--max-time", "5", &url]);
    }
}

#[test]
fn who_vanished_is_counted_out_after_the_next_push() {
    let every = ms(500);
    let Some(scene) = Scene::set(&SILENT) else { return };
    scene.vanish(every + TIMEOUT_S + SLACK, Some(every));
}

#[test]
fn who_vanished_is_counted_out_while_only_the_count_is_repeated() {
    let Some(scene) = Scene::set(&REPEATED) else { return };
    scene.vanish(REPEATED_S + TIMEOUT_S + SLACK, None);
}

#[test]
fn who_vanished_is_counted_out_while_nothing_is_said() {
    let Some(scene) = Scene::set(&SILENT) else { return };
    scene.vanish(TIMEOUT_S + SLACK, None);
}
