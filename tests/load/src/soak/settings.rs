//! The options of the daemons.
//!
//! Owns them. All delays are short, so that much happens in a round; limits are such that storms come to them, and the
//! crowd does not.

use super::faults::NODE_TIMEOUT;
use super::network::ADDRESSES;
use super::surroundings::Surroundings;

/// Nodes may be few: departed ones must not take the slots of new ones, and many depart.
const OPTIONS: [&str; 14] = [
    "--host=127.0.0.1",
    "--enable-uuid",
    "--notify-delta-ratio=0",
    "--notify-min-delay=0.4",
    "--notify-max-delay=3600",
    "--max-conn-duration=0",
    "--namespace-clean-delay=2",
    "--head-timeout=3",
    "--retry-min=1",
    "--retry-max=2",
    "--cluster-notify-interval=0.5",
    "--cluster-max-nodes=16",
    "--cluster-max-namespaces=100000",
    "--max-namespaces-per-ip=8",
];

/// The most counted members of one address at a daemon: each member has its own, but those of one crowd.
pub(super) const OF_ONE_ADDRESS: u64 = 16;

/// The long storms bring more events than fit beside those of this many members, 1,000 in a second. In an audience of several
/// daemons none is forgotten that has been empty for less than two seconds. The last storm, before all leave, fits.
fn max_namespaces(members: usize) -> usize {
    2 * members + members / 4 + 500
}

/// The group by which the hosts count together.
const GROUP: &str = "239.255.13.37:314";

/// The host of each daemon, by its index: the last daemon is alone at the other host, where there is one.
pub(super) fn host_of(daemon: usize, daemons: usize, hosts: usize) -> usize {
    usize::from(hosts > 1 && daemons > 1 && daemon == daemons - 1)
}

/// The options of a daemon at a host.
pub(super) fn options(surroundings: &Surroundings, host: usize, members: usize, is_logged_whole: bool) -> Vec<String> {
    let mut all: Vec<String> = OPTIONS.iter().map(|&option| option.to_owned()).collect();
    all.push(format!("--cluster-node-timeout={}", NODE_TIMEOUT.as_secs_f64()));
    all.push(format!("--max-conn-per-ip={OF_ONE_ADDRESS}"));
    all.push(format!("--max-namespaces={}", max_namespaces(members)));
    all.push(format!("--report-file={}", surroundings.disk.path("reports").display()));
    if surroundings.network.is_some() {
        all.push(format!("--cluster-addr={GROUP}"));
        all.push(format!("--cluster-interface={}", ADDRESSES[host]));
        all.push(format!("--cluster-key-file={}", surroundings.secrets.path().display()));
    }
    if is_logged_whole {
        all.push("--debug".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_daemons_is_at_the_other_host() {
        let hosts =
            |daemons, hosts| -> Vec<usize> { (0..daemons).map(|index| host_of(index, daemons, hosts)).collect() };
        assert_eq!((hosts(3, 2), hosts(3, 1), hosts(1, 2)), (vec![0, 0, 1], vec![0, 0, 0], vec![0]));
    }
}
