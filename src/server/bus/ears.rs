//! Which process of this host receives what comes by unicast.
//!
//! Owns the number of processes over which datagrams are spread. All datagrams of another host have one sender and one
//! receiver, and the kernel would give them all to one process; one that hangs would take the other host from its siblings.
//! So the kernel picks a process for each datagram by chance, and of a process that hangs only its part is lost, which
//! repair brings back. Any process says so for all of its host.
//!
//! The number is that of the names that are up, for a process that hangs has its name and its socket still. It is read when
//! nodes have come or gone, and once more a moment later, when the name of one that has said goodbye is down. Meanwhile a
//! number that is too large leaves a part to the kernel's own choice, and one that is too small leaves the youngest without:
//! neither does harm, for the process that receives a datagram passes it on to its siblings.
//!
//! Invariant: where datagrams cannot be spread, all goes on as by default.

use std::net::UdpSocket;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::log::{self, Value::Shown};
use crate::reactor::datagrams;

/// How long nodes may have come or gone until it is looked, and how much later once more. The names of a usual host are read
/// in 0.1 ms.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Over how many processes datagrams are spread.
#[derive(Debug, Default)]
pub(super) struct Ears {
    next_look: Tick,
    /// The number of nodes at the last look.
    node_count: Option<usize>,
    /// Whether it had changed.
    has_changed: bool,
    /// The number of processes, if datagrams are spread.
    group_size: Option<NonZeroU32>,
    is_refused: bool,
}

impl Ears {
    /// Has what comes to a socket and those of the siblings spread over all of them, if their number may have changed.
    pub(super) fn spread(
        &mut self,
        socket: &UdpSocket,
        node_count: impl FnOnce() -> usize,
        group_size: impl FnOnce() -> Option<usize>,
        now: Tick,
    ) {
        if self.is_refused || now < self.next_look {
            return;
        }
        self.next_look = now.after(LOOK_INTERVAL);
        let node_count = Some(node_count());
        let has_changed = std::mem::replace(&mut self.node_count, node_count) != node_count;
        if !std::mem::replace(&mut self.has_changed, has_changed) && !has_changed {
            return;
        }
        // Said again if it is the same: a sibling may have read less.
        let group_size = group_size().and_then(|size| NonZeroU32::new(size.try_into().ok()?));
        let spread = group_size.map(|size| datagrams::spread(socket, size));
        if let Some(Err(error)) = spread {
            self.is_refused = true;
            log::info("unicast_not_spread", &[("error", Shown(&error))]);
        } else if std::mem::replace(&mut self.group_size, group_size) != group_size {
            let processes = group_size.map_or(0, NonZeroU32::get);
            log::debug("unicast_spread", &[("processes", processes.into())]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    #[test]
    fn processes_are_counted_when_nodes_have_come_or_gone_and_once_more() {
        let socket = datagrams::unicast((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (mut ears, looks) = (Ears::default(), Cell::new(0));
        let mut look = |node_count, group_size, at| {
            let read = || {
                looks.set(looks.get() + 1);
                Some(group_size)
            };
            ears.spread(&socket, || node_count, read, Tick(at));
            (looks.get(), ears.group_size.map_or(0, NonZeroU32::get))
        };
        assert_eq!(look(1, 1, 0), (1, 1));
        assert_eq!(look(2, 9, 50), (1, 1), "it is too soon");
        assert_eq!(look(2, 2, 101), (2, 2));
        assert_eq!(look(2, 3, 202), (3, 3), "once more");
        assert_eq!(look(2, 9, 303), (3, 3));
        assert_eq!(look(1, 4, 404), (4, 4));
    }

    #[test]
    fn where_it_is_not_possible_all_goes_on_as_by_default() {
        // The kernel knows no such groups of sockets that do not share their address.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut ears = Ears::default();
        ears.spread(&socket, || 1, || None, Tick(0));
        assert!(!ears.is_refused && ears.group_size.is_none(), "no process is seen");
        ears.spread(&socket, || 2, || Some(1), Tick(101));
        assert!(ears.is_refused);
        ears.spread(&socket, || 3, || panic!("it is not tried again"), Tick(202));
    }
}
