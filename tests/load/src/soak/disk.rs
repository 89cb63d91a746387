//! The disk on which the daemons write their reports and logs, and which is full at times.
//!
//! Owns the folder. In a namespace of mounts of the soak's own it is a small disk in memory; elsewhere it is a folder that
//! is never full. It does not know what lies in it.
//!
//! Invariant: the folder is gone with this value.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::network::run;
use crate::Result;

/// What the small disk holds: some minutes of reports and logs.
const SIZE: &str = "size=32m";

/// What fills it is written in pieces of this size.
const PIECE: usize = 64 * 1024;

/// The disk.
pub(super) struct Disk {
    folder: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// A folder for the daemons; a disk of its own if this process may mount one.
    pub(super) fn new(is_mounted: bool) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("audience-bench-{}-disk", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let mut this = Self { folder, is_mounted: false };
        if is_mounted {
            run("mount", &["-t", "tmpfs", "-o", SIZE, "audience-bench", &this.folder.to_string_lossy()])?;
            this.is_mounted = true;
        }
        Ok(this)
    }

    /// The path of a file on it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it can be full.
    pub(super) fn is_small(&self) -> bool {
        self.is_mounted
    }

    /// Writes until nothing more goes in.
    pub(super) fn fill(&self) -> Result<()> {
        let mut file = File::create(self.path("ballast"))?;
        let piece = vec![0; PIECE];
        loop {
            match file.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes out what fills it.
    pub(super) fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.path("ballast"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left is a folder for temporary files.
        if self.is_mounted {
            let _ = run("umount", &["--lazy", &self.folder.to_string_lossy()]);
            let _ = fs::remove_dir(&self.folder);
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_gone_with_what_lies_in_it() {
        let disk = Disk::new(false).unwrap();
        let path = disk.path("x");
        fs::write(&path, "y").unwrap();
        assert!(path.starts_with(disk.folder()) && path.is_file() && !disk.is_small());
        let folder = disk.folder().to_owned();
        drop(disk);
        assert!(!folder.exists());
    }
}
