//! `--check`: whether the files that the settings name can be used.
//!
//! Owns the list of these files. It opens no port, makes no file, and changes none.

use std::io;
use std::path::{Path, PathBuf};

use super::{Config, KeySource};
use crate::reactor::sys;

impl Config {
    /// Reads the files, and returns what is wrong with them, a line for a person each.
    #[must_use]
    pub fn check_files(&self) -> Vec<String> {
        let key = self.cluster.key.as_ref().and_then(|key| KeySource::read(key).err());
        let join_key = self.admission.key.as_ref().and_then(|key| KeySource::read(key).err());
        let credentials = self.cluster.credentials.as_ref().and_then(|credentials| credentials.read().err());
        let [of_stats, of_notification] = [&self.stats, &self.notification].map(|port| port.read_token().err());
        let report = self.accounts.report_file.as_deref().and_then(|path| {
            check_report_file(path).err().map(|error| format!("--report-file {}: {error}", path.display()))
        });
        [key, of_stats, of_notification, credentials, join_key, report].into_iter().flatten().collect()
    }
}

/// Whether the file can be appended to, or made in its folder.
fn check_report_file(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if path.exists() {
        return sys::may_write(path);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sys::may_write(&folder.map_or_else(|| PathBuf::from("."), Path::to_owned))
}
