//! What the daemons live in: their disk, the network between their hosts, their keys; and what befalls these.
//!
//! Owns when the disk is empty again and the cable is back. It does not know the daemons.
//!
//! Invariant: where there is one host, its network is never cut; a disk that is no small one is never full.

use std::time::{Duration, Instant};

use super::chance::Chance;
use super::disk::Disk;
use super::faults::Act;
use super::network::Network;
use super::secrets::Secrets;
use crate::host::Host;
use crate::{Result, now};

/// How long a daemon may need to write what has waited for the disk: it tries that once a second.
pub(super) const CATCHING_UP: Duration = Duration::from_secs(3);

/// All of it.
pub(super) struct Surroundings {
    pub(super) network: Option<Network>,
    pub(super) disk: Disk,
    pub(super) secrets: Secrets,
    full_until: Option<Instant>,
    freed_at: Option<Instant>,
    cut_until: Option<Instant>,
    pub(super) full_count: u64,
    pub(super) cut_count: u64,
}

impl Surroundings {
    pub(super) fn new(network: Option<Network>, chance: Chance) -> Result<Self> {
        let disk = Disk::new(network.is_some())?;
        let secrets = Secrets::new(disk.path("key"), chance)?;
        Ok(Self {
            network,
            disk,
            secrets,
            full_until: None,
            freed_at: None,
            cut_until: None,
            full_count: 0,
            cut_count: 0,
        })
    }

    /// The hosts.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let other = self.network.as_ref().map(|network| network.other.clone());
        [Host::default()].into_iter().chain(other).collect()
    }

    /// Has something happen to it. Returns false if that has to wait.
    pub(super) fn suffer(&mut self, act: Act) -> Result<bool> {
        match act {
            Act::FillDisk(long) if self.disk.is_small() => {
                self.disk.fill()?;
                self.full_until = Some(now() + long);
                self.full_count += 1;
            }
            Act::CutCable(long) => {
                if let Some(network) = &self.network {
                    network.cut()?;
                    self.cut_until = Some(now() + long);
                    self.cut_count += 1;
                }
            }
            Act::ReplaceKeys if self.is_full() => return Ok(false),
            Act::ReplaceKeys => self.secrets.step()?,
            Act::FillDisk(_) | Act::Storm | Act::Daemon(..) => {}
        }
        Ok(true)
    }

    /// Mends what has lasted for long enough.
    pub(super) fn tend(&mut self) -> Result<()> {
        let is_over = |until: &mut Instant| *until <= now();
        if self.full_until.take_if(is_over).is_some() {
            self.disk.free()?;
            self.freed_at = Some(now());
        }
        if self.cut_until.take_if(is_over).is_some()
            && let Some(network) = &self.network
        {
            network.connect()?;
        }
        Ok(())
    }

    /// Whether the disk is full.
    pub(super) fn is_full(&self) -> bool {
        self.full_until.is_some()
    }

    /// Whether reports may still wait for the disk.
    pub(super) fn is_disk_awaited(&self) -> bool {
        self.is_full() || self.freed_at.is_some_and(|at| now() - at < CATCHING_UP)
    }

    /// Whether the interfaces are there.
    pub(super) fn is_connected(&self) -> bool {
        self.cut_until.is_none()
    }

    /// Whether nothing is the matter with it.
    pub(super) fn are_whole(&self) -> bool {
        !self.is_full() && self.is_connected()
    }
}
