//! Interfaces that go down, lose their address or are made anew: the processes of a host count together whatever its network
//! does, and all hosts count together again when the network is back.

use super::hosts::*;
use audience_kit::*;

/// Two processes at host 0 and one at host 1, with members at each.
struct Scene {
    network: Network,
    here: [Node; 2],
    there: Node,
    _crowds: [Crowd; 2],
}

/// The number of members at host 0, and at both.
const HERE: u64 = 8;
const ALL: u64 = 11;

impl Scene {
    /// By a multicast group.
    fn set_up() -> Option<Self> {
        let network = Network::build()?;
        let here = [0, 0].map(|host| Way::Multicast.start(&network, host));
        let there = Way::Multicast.start(&network, 1);
        let crowds = [crowd(&network, 0, HERE), crowd(&network, 1, ALL - HERE)];
        let scene = Self { network, here, there, _crowds: crowds };
        scene.is_one();
        let own = scene.here.each_ref().map(Node::own_members);
        assert!(own.iter().all(|&members| members > 0), "both have some, or the test shows nothing: {own:?}");
        Some(scene)
    }

    /// All count together.
    #[track_caller]
    fn is_one(&self) {
        wait_all(self.here.iter().chain([&self.there]), "members", ALL);
    }
}

#[test]
fn siblings_count_together_while_their_interface_is_down() {
    let Some(scene) = Scene::set_up() else { return };
    scene.network.set_interface(0, "down");
    wait_all(&scene.here, "members", HERE);
    wait_all([&scene.there], "members", ALL - HERE);
    for node in &scene.here {
        assert_eq!(node.nodes(), 2, "{}", node.answers());
    }
    scene.network.set_interface(0, "up");
    scene.is_one();
}
