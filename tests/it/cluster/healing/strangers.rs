//! What others send: a flood, and datagrams of other versions.

use std::net::{SocketAddrV4, UdpSocket};

use super::scene::*;
use audience_kit::*;

/// The host of the strangers.
const ELSEWHERE: usize = 2;

fn group_address() -> SocketAddrV4 {
    GROUP.parse().unwrap()
}

/// A socket that sends to the group.
fn stranger(network: &Network) -> UdpSocket {
    network.within(ELSEWHERE, || UdpSocket::bind((address(ELSEWHERE), 0)).unwrap())
}

/// Some 20,000 datagrams a second: half of them noise of all lengths, half of another audience.
#[test]
fn the_bus_is_flooded() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    let _heavy = heavy();
    scene.begin_fault(|scene| {
        let (stranger, mut chance) = (stranger(&scene.network), Chance::new(2_011));
        let foreign = [b"AM".as_slice(), &[4, 4, 0], &[7; 60]].concat();
        let deadline = Deadline::after(Node::TIMEOUT * 2);
        while deadline.left().is_some() {
            for length in 0..50 {
                stranger.send_to(&chance.bytes(length * 28), GROUP).unwrap();
                stranger.send_to(&foreign, GROUP).unwrap();
            }
            pass(ms(5));
        }
    });
    scene.settle([ALL, ALL]);
    scene.wait_trouble(HERE, "foreign_scope");
    scene.finish("another program floods the port", Some("foreign_scope"));
}

#[test]
fn a_node_of_a_later_version_comes() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    let mut later = None;
    scene.begin_fault(|scene| later = Some(LaterNode::start(&scene.network, ELSEWHERE, group_address(), 16)));
    scene.settle([ALL + 16, ALL + 16]);
    scene.stay([ALL + 16, ALL + 16], Node::TIMEOUT);
    scene.end_fault(|_| drop(later));
    scene.finish("a process of a later version joins with 16 members, and is killed", None);
}

#[test]
fn a_node_of_an_unreadable_version_comes() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    scene.begin_fault(|scene| {
        let unreadable = [b"AM".as_slice(), &[77, 77, 0], &[7; 60]].concat();
        stranger(&scene.network).send_to(&unreadable, GROUP).unwrap();
    });
    scene.settle([ALL, ALL]);
    scene.wait_trouble(HERE, "foreign_version");
    scene.wait_trouble(THERE, "foreign_version");
    scene.finish("a process of a version sends that this one cannot read", Some("foreign_version"));
}
