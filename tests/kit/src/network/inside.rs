//! A thread of the test within a host: sockets that it opens there stay in that network, whichever thread uses them.

use std::fs::File;
use std::panic;
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};

/// Where iproute2 keeps the namespaces that have names.
const NAMESPACES: &str = "/var/run/netns";

/// Does something within a host, and returns what came of it.
pub(crate) fn inside<T: Send>(host: &str, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(Path::new(NAMESPACES).join(host)).unwrap();
    let act = || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        act()
    };
    // The thread ends with the act, so none is left in the wrong network.
    let result = thread::scope(|scope| scope.spawn(act).join());
    result.unwrap_or_else(|fault| panic::resume_unwind(fault))
}
