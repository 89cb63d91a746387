//! The file of the cluster's keys, which may change while the process runs.
//!
//! Owns what a change is: another file at the path (a rename, or a link that leads elsewhere, as mounted secrets are
//! replaced), or another time or size of the file. It does not know when it is looked at.
//!
//! Invariant: a change is reported once, whether the file can be used or not.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::key::KeySource;
use crate::wire::report::Keys;

/// A key file, as it was at the last look.
#[derive(Debug)]
pub struct KeyFile {
    source: KeySource,
    /// `None`: there was no file.
    stamp: Option<Stamp>,
    keys: Keys,
}

/// What is different when a file has changed: device, number, time in seconds and nanoseconds, and size. The time is that of
/// the inode, which a change of content or of permissions moves, and which no program can set.
type Stamp = (u64, u64, i64, i64, u64);

impl KeyFile {
    /// Reads the keys, and returns the file, too, if it is one that can change: a pipe can be read once only.
    ///
    /// # Errors
    /// As [`KeySource::read`].
    pub fn open(source: &KeySource) -> Result<(Keys, Option<Self>), String> {
        let mut source = source.clone();
        // Before the content is read: a change meanwhile is then another stamp.
        let stamp = source.file().and_then(|file| stamp_of(file.path()).ok());
        let keys = source.read()?;
        // What was handed on may be older than the file, which is looked at as if it had changed.
        let is_handed_on = source.file().is_some_and(|file| file.is_handed_on());
        let can_change = is_handed_on || stamp.is_some();
        if let Some(file) = source.file() {
            file.set_handed_on(None);
        }
        let stamp = stamp.filter(|_| !is_handed_on);
        Ok((keys.clone(), can_change.then_some(Self { source, stamp, keys })))
    }

    /// Looks at the file, and reads it if it has changed. Returns the keys if they are others.
    ///
    /// # Errors
    /// As [`KeySource::read`], once for each change; the keys before it remain the ones to compare with.
    pub fn reread(&mut self) -> Option<Result<Keys, String>> {
        let KeySource::File(file) = &self.source else { return None };
        let (stamp, problem) = match stamp_of(file.path()) {
            Ok(stamp) => (Some(stamp), None),
            Err(error) => (None, Some(file.explain(&error.to_string()))),
        };
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        match problem.map_or_else(|| self.source.read(), Err) {
            Ok(keys) if keys == self.keys => None,
            Ok(keys) => {
                self.keys = keys.clone();
                Some(Ok(keys))
            }
            Err(problem) => Some(Err(problem)),
        }
    }
}

fn stamp_of(path: &Path) -> io::Result<Stamp> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        // Reading it could wait for a writer.
        return Err(io::Error::other("it is no file"));
    }
    Ok((file.dev(), file.ino(), file.ctime(), file.ctime_nsec(), file.size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    const OLD: &str = "the old key of this audience\n";
    const NEW: &str = "the new key of this audience\n";

    /// A folder of the test's own, with the path `key` in it.
    fn folder(test: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("audience-meter-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let key = folder.join("key");
        (folder, key)
    }

    fn write(path: &Path, content: &str) {
        let next = path.with_extension("next");
        fs::write(&next, content).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(next, path).unwrap();
    }

    fn keys(text: &str) -> Keys {
        Keys::new(text.lines().map(|line| line.as_bytes().to_vec()).collect())
    }

    fn source(path: &str) -> KeySource {
        let args = ["--cluster-key-file", path].map(Into::into).to_vec();
        let Ok(Command::Run(config)) = parse(args, |_| None) else { panic!("{path} is taken") };
        config.cluster.key.unwrap()
    }

    #[track_caller]
    fn open(path: &Path) -> KeyFile {
        KeyFile::open(&source(path.to_str().unwrap())).unwrap().1.unwrap()
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let (folder, path) = folder("changed-key");
        write(&path, OLD);
        let mut file = open(&path);
        assert_eq!((file.keys.clone(), file.reread()), (keys(OLD), None));
        let both = format!("{OLD}{NEW}");
        write(&path, &both);
        assert_eq!((file.reread(), file.reread()), (Some(Ok(keys(&both))), None));
        fs::write(&path, NEW).unwrap();
        assert_eq!((file.reread(), file.reread()), (Some(Ok(keys(NEW))), None), "in place");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_used_is_one_error_and_changes_nothing() {
        let (folder, path) = folder("bad-key");
        write(&path, OLD);
        let mut file = open(&path);
        let mut refused = |part: &str| {
            let error = file.reread().unwrap().unwrap_err();
            assert!(error.starts_with("--cluster-key-file /") && error.contains(part), "{error}");
            assert_eq!(file.reread(), None, "once");
        };
        write(&path, "short\n");
        refused("line 1 is too short");
        fs::remove_file(&path).unwrap();
        refused("No such file");
        write(&path, NEW);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        refused("others can read it");
        write(&path, OLD);
        assert_eq!(file.reread(), None, "the same keys are no change");
        write(&path, NEW);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(file.reread().unwrap().is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(file.reread(), Some(Ok(keys(NEW))), "permissions that are right now are a change");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_a_supervisor_has_read_stands_until_the_file_is_another() {
        let (folder, path) = folder("handed-on-key");
        let mut source = source(path.to_str().unwrap());
        source.file().unwrap().set_handed_on(Some(OLD.into()));
        let (read, file) = KeyFile::open(&source).unwrap();
        let mut file = file.unwrap();
        assert_eq!((read, file.reread()), (keys(OLD), None), "the file is gone, which is no change");
        write(&path, OLD);
        assert_eq!(file.reread(), None, "the same keys");
        write(&path, NEW);
        assert_eq!(file.reread(), Some(Ok(keys(NEW))));
        let (_, file) = KeyFile::open(&source).unwrap();
        assert_eq!(file.unwrap().reread(), Some(Ok(keys(NEW))), "what was handed on is older");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let (folder, path) = folder("linked-key");
        for (name, content) in [("one", OLD), ("two", NEW)] {
            fs::create_dir(folder.join(name)).unwrap();
            write(&folder.join(name).join("key"), content);
        }
        symlink("one", folder.join("data")).unwrap();
        symlink("data/key", &path).unwrap();
        let mut file = open(&path);
        symlink("two", folder.join("next")).unwrap();
        fs::rename(folder.join("next"), folder.join("data")).unwrap();
        assert_eq!(file.reread(), Some(Ok(keys(NEW))));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_environment_does_not_change() {
        assert!(KeyFile::open(&KeySource::Environment(keys(OLD))).unwrap().1.is_none());
        assert!(KeyFile::open(&source("/nonexistent/key")).is_err());
    }
}
