//! When a file of keys is looked at again.
//!
//! Owns the interval, and what is logged. It does not know what a change of a file is.
//!
//! Invariant: a file that cannot be used is one warning for each change, and the keys before it stay.

use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::config::KeyFile;
use crate::log;
use crate::wire::report::Keys;

/// How long a change may stay unseen. One look is one `stat`, 2 us where the file system is local.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What keys are for.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum KeyUse {
    /// They seal the datagrams of the cluster.
    Cluster,
    /// They sign addresses to join.
    Join,
}

/// A key file, and when to look at it.
pub(in crate::server) struct KeyWatch {
    of: KeyUse,
    file: KeyFile,
    next_look: Tick,
}

impl KeyWatch {
    /// Looks at the file from now on.
    pub(in crate::server) fn begin(of: KeyUse, file: KeyFile, now: Now) -> Self {
        Self { of, file, next_look: now.tick.after(LOOK_INTERVAL) }
    }

    /// When [`look`](Self::look) has something to do.
    pub(in crate::server) fn next_deadline(&self) -> Tick {
        self.next_look
    }

    /// Looks at the file if it is time, and returns the keys if they are others.
    pub(in crate::server) fn look(&mut self, now: Now) -> Option<Keys> {
        if now.tick < self.next_look {
            return None;
        }
        self.next_look = now.tick.after(LOOK_INTERVAL);
        let found = self.file.reread()?;
        match (self.of, &found) {
            (KeyUse::Cluster, Ok(keys)) => log::info("cluster_key_changed", &[("keys", keys.len().into())]),
            (KeyUse::Cluster, Err(problem)) => log::warn("cluster_key_refused", &[("error", problem[..].into())]),
            (KeyUse::Join, Ok(keys)) => log::info("join_key_changed", &[("keys", keys.len().into())]),
            (KeyUse::Join, Err(problem)) => log::warn("join_key_refused", &[("error", problem[..].into())]),
        }
        found.ok()
    }
}
