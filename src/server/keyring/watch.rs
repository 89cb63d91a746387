//! When the file of the cluster's keys is looked at again.
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

/// A key file, and when to look at it.
pub(super) struct KeyWatch {
    file: KeyFile,
    next_look: Tick,
}

impl KeyWatch {
    /// Looks at the file from now on.
    pub(super) fn begin(file: KeyFile, now: Now) -> Self {
        Self { file, next_look: now.tick.after(LOOK_INTERVAL) }
    }

    /// When [`look`](Self::look) has something to do.
    pub(super) fn next_deadline(&self) -> Tick {
        self.next_look
    }

    /// Looks at the file if it is time, and returns the keys if they are others.
    pub(super) fn look(&mut self, now: Now) -> Option<Keys> {
        if now.tick < self.next_look {
            return None;
        }
        self.next_look = now.tick.after(LOOK_INTERVAL);
        match self.file.reread()? {
            Ok(keys) => {
                log::info("cluster_key_changed", &[("keys", keys.len().into())]);
                Some(keys)
            }
            Err(problem) => {
                log::warn("cluster_key_refused", &[("error", problem[..].into())]);
                None
            }
        }
    }
}
