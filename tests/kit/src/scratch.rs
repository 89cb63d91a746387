//! Files and folders of a test's own, in the folder for temporary files; all are gone with their value.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A path that no other test has.
fn path_of(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("audience-meter-{}-{number}-{name}", std::process::id()))
}

/// The path of a file that a test may create.
pub struct ScratchFile(PathBuf);

impl ScratchFile {
    /// A path at which nothing is.
    pub fn none(name: &str) -> Self {
        Self(path_of(name))
    }

    /// A file with this text, which these users may read and write.
    pub fn with(name: &str, text: &str, mode: u32) -> Self {
        let file = Self::none(name);
        fs::write(&file.0, text).unwrap();
        fs::set_permissions(&file.0, Permissions::from_mode(mode)).unwrap();
        file
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Puts another file in its place, which its user alone may read, as an operator's tool does.
    pub fn replace(&self, text: &str) {
        let next = self.0.with_extension("next");
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
        fs::rename(next, &self.0).unwrap();
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An empty folder.
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Creates it.
    pub fn create(name: &str) -> Self {
        let path = path_of(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Where a file of this name is in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
