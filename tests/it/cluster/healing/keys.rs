//! Keys that are replaced while all hosts run.

use super::super::rotation::{OLD, steps};
use super::scene::*;
use audience_kit::*;

/// Each step is finished on both hosts before the next one, the second host seconds after the first.
#[test]
fn a_key_is_replaced_host_after_host() {
    let Some(network) = Network::build() else { return };
    let files = [HERE, THERE].map(|_| ScratchFile::with("key", OLD, 0o600));
    let mut scene = Scene::with(network, Way::Group, |host| {
        [Way::Group.options(host), vec!["--cluster-key-file".to_owned(), files[host].path().to_owned()]].concat()
    });
    scene.begin_fault(|scene| {
        for (step, content) in steps().iter().enumerate() {
            for host in [HERE, THERE] {
                files[host].replace(content);
                scene.wait_log(host, "event=cluster_key_changed", step + 1);
            }
        }
    });
    scene.settle([ALL, ALL]);
    scene.stay([ALL, ALL], Node::TIMEOUT * 2);
    scene.finish("a key is replaced, host after host", None);
}
