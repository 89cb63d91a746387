//! Secrets: the key that all nodes of an audience share, and what else is kept in a file.
//!
//! Owns where they come from, and refuses what is no secret. It never prints one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::options::{Options, UsageError};
use crate::wire::report::KEY_MIN;

const VARIABLE: &str = "AUDIENCE_METER_CLUSTER_KEY";

/// How long a key file may be in bytes; a longer one is another file.
const FILE_MAX: u64 = 4096;

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file that only its owner can read.
    Path(PathBuf),
    /// In the environment.
    Environment(Vec<u8>),
}

impl KeySource {
    /// Reads the key.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that has too little in it, as a line for a person.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Environment(key) => Ok(key.clone()),
            Self::Path(path) => read_secret("--cluster-key-file", path),
        }
    }
}

/// Reads the secret in a file that an option names; or says what is wrong with it, as a line for a person.
pub(super) fn read_secret(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    let refuse = |problem: &str| format!("{option} {}: {problem}", path.display());
    let (mode, bytes) = read_with_mode(path).map_err(|error| refuse(&error.to_string()))?;
    if mode & 0o077 != 0 {
        return Err(refuse(&format!("others can read it; run `chmod 600 {}`", path.display())));
    }
    let secret = bytes.trim_ascii_end();
    if secret.len() < KEY_MIN {
        return Err(refuse(&format!("what is in it is too short; put at least {KEY_MIN} bytes there")));
    }
    Ok(secret.to_vec())
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
    options: &mut Options<E>,
) -> Result<Option<KeySource>, UsageError> {
    let path = options.given("--cluster-key-file", "--cluster-key-file", None, |text| Ok(PathBuf::from(text)))?;
    let variable = (options.env)(VARIABLE).filter(|key| !key.is_empty());
    if cfg!(not(feature = "keyed")) && (path.is_some() || variable.is_some()) {
        let source = if path.is_some() { "--cluster-key-file" } else { VARIABLE };
        return Err(UsageError(format!("{source} is not for this build; build with the feature `keyed`")));
    }
    if let Some(path) = path {
        return Ok(Some(KeySource::Path(path)));
    }
    let Some(key) = variable else { return Ok(None) };
    let key = key.into_encoded_bytes();
    if key.len() < KEY_MIN {
        // Without the value: it is a secret.
        return Err(UsageError(format!("{VARIABLE} is too short; give at least {KEY_MIN} bytes")));
    }
    Ok(Some(KeySource::Environment(key)))
}

/// The permissions of a file and its content: both of the file that was opened.
fn read_with_mode(path: &Path) -> io::Result<(u32, Vec<u8>)> {
    let file = fs::File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok((mode, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};
    use std::os::unix::fs::PermissionsExt as _;

    fn key(line: &str, variable: Option<&str>) -> Result<Option<KeySource>, String> {
        let args = line.split_whitespace().map(OsString::from).collect();
        match parse(args, |name| variable.filter(|_| name == VARIABLE).map(OsString::from)) {
            Ok(Command::Run(config)) => Ok(config.cluster.key),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn a_key_is_of_a_length_and_is_never_printed() {
        let given = Ok(Some(KeySource::Environment(b"sixteen bytes...".to_vec())));
        assert_eq!(key("", Some("sixteen bytes...")), given);
        assert_eq!(key("--cluster-key-file /k", Some("x")), Ok(Some(KeySource::Path("/k".into()))));
        assert_eq!(key("", None), Ok(None));
        let error = key("", Some("hunter2")).unwrap_err();
        assert_eq!(error, "AUDIENCE_METER_CLUSTER_KEY is too short; give at least 16 bytes");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("audience-meter-key-{}", std::process::id()));
        let read = |mode, content: &str| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeySource::Path(path.clone()).read()
        };
        assert_eq!(read(0o600, "the key of this audience\n"), Ok(b"the key of this audience".to_vec()));
        for mode in [0o640, 0o604, 0o660, 0o644] {
            assert!(read(mode, "the key of this audience\n").unwrap_err().contains("others can read it"), "{mode:o}");
        }
        assert!(read(0o400, "short\n").unwrap_err().contains("too short"));
        fs::remove_file(&path).unwrap();
        assert!(KeySource::Path(path.clone()).read().unwrap_err().contains("No such file"));
    }
}
