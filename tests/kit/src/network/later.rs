//! A process of a later version of the program, at a host of its own: a meter, a socket of the group, and what such a version
//! adds to datagrams.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{NodeId, Origin, Secret};
use audience_meter::meter::{ClusterRules, MemberId, Membership, Meter, NotifyRule, Output, Rules};
use audience_meter::wire::report::{DATAGRAM_MAX, Keys, Scope, decode_up_to};

use super::{Network, Node, address};
use crate::world::{self, LATER};
use crate::{ms, now, unix_now};

/// The place of the scope in a datagram.
const SCOPE: std::ops::Range<usize> = 5..13;

/// A node without a key that announces members of the namespace `ns`, until this value is dropped. It ends without a goodbye.
pub struct LaterNode {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LaterNode {
    /// Starts one in a group, at a host where no other process is in it.
    pub fn start(network: &Network, host: usize, group: SocketAddrV4, members: usize) -> Self {
        let sockets = network.within(host, || Sockets::open(host, group));
        let is_over = Arc::new(AtomicBool::new(false));
        let is_ended = Arc::clone(&is_over);
        let thread = thread::spawn(move || run(&sockets, members, &is_ended));
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for LaterNode {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let result = self.thread.take().unwrap().join();
        assert!(result.is_ok() || thread::panicking(), "the later node panicked");
    }
}

/// What comes from a group, and what goes to it by one interface.
struct Sockets {
    receiver: UdpSocket,
    sender: UdpSocket,
    group: SocketAddrV4,
}

impl Sockets {
    fn open(host: usize, group: SocketAddrV4) -> Self {
        let receiver = UdpSocket::bind(group).unwrap();
        receiver.join_multicast_v4(group.ip(), &address(host).parse().unwrap()).unwrap();
        receiver.set_read_timeout(Some(ms(10))).unwrap();
        // A multicast datagram leaves by the interface that has its source address.
        Self { receiver, sender: UdpSocket::bind((address(host), 0)).unwrap(), group }
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        self.receiver.recv(buffer).ok()
    }
}

/// Takes part in the audience whose datagrams come.
fn run(sockets: &Sockets, members: usize, is_over: &AtomicBool) {
    let begun = now();
    let mut buffer = [0; DATAGRAM_MAX + 1];
    let mut meter = meter();
    for member in (0..members).filter_map(MemberId::from_index) {
        meter.join(member, "ns", None, turn(begun));
    }
    let mut scope = None;
    while !is_over.load(Ordering::Relaxed) {
        let length = sockets.receive(&mut buffer);
        let bytes = &buffer[..length.unwrap_or(0)];
        if let Some(id) = bytes.get(SCOPE) {
            scope.get_or_insert(Scope { id: u64::from_le_bytes(id.try_into().unwrap()), keys: Keys::default() });
        }
        let Some(scope) = &scope else { continue };
        let turn = turn(begun);
        if let Ok(datagram) = decode_up_to(LATER.newest, bytes, scope) {
            // What is rejected has no effect.
            let _ = meter.receive(&datagram, Origin::Group, turn);
        }
        meter.handle_timeout(turn, length.is_none());
        while let Some(output) = meter.poll_output() {
            if let Output::Send(_, datagram) = output {
                sockets.sender.send_to(&world::encode(&datagram, scope), sockets.group).unwrap();
            }
        }
    }
}

fn meter() -> Meter {
    let notify = NotifyRule { delta_ratio: 0.1, min_delay: ms(2_000), max_delay: ms(25_000), budget: None };
    let rules = Rules {
        notify,
        increment_delay: Duration::ZERO,
        leave_delay: Duration::ZERO,
        namespace_clean_delay: ms(60_000),
        namespaces_max: usize::MAX,
    };
    let cluster =
        ClusterRules { notify_interval: Node::TIMEOUT / 10, node_timeout: Node::TIMEOUT, ..Default::default() };
    let membership = Membership { rules: cluster, secret: Secret([1, 2]), formats: LATER };
    Meter::new(rules, NodeId(0xface), Some(membership))
}

/// The time of this moment, for a process that began then.
fn turn(begun: Instant) -> Now {
    let passed = u64::try_from((now() - begun).as_millis()).unwrap();
    Now { tick: Tick(1_000 + passed / TICK_MS), unix_ms: unix_now() * 1_000 }
}
