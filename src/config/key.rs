//! Secrets: the keys that all nodes of an audience share, and what else is kept in a file.
//!
//! Owns where they come from, and refuses what is no secret. It never prints one.
//!
//! Keys are lines: one, or two while one replaces the other. Content that is no text is one key as a whole, as
//! `head -c 32 /dev/urandom` makes it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::options::{Options, UsageError};
use crate::wire::report::{KEY_MIN, Keys};

pub(super) const OPTION: &str = "--cluster-key-file";

const VARIABLE: &str = "AUDIENCE_METER_CLUSTER_KEY";

/// How long a file with a secret may be in bytes; a longer one is another file.
const FILE_MAX: usize = 4096;

/// Most keys at a time: the one that seals, and the one before or after it.
const KEYS_MAX: usize = 2;

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file that only its owner can read.
    Path(PathBuf),
    /// In the environment.
    Environment(Keys),
}

impl KeySource {
    /// Reads the keys: one at least, and all are of a length.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that has too little or too much in it, as a line for a person.
    pub fn read(&self) -> Result<Keys, String> {
        match self {
            Self::Environment(keys) => Ok(keys.clone()),
            Self::Path(path) => {
                keys_in(&read_private(OPTION, path)?).map_err(|problem| explain(OPTION, path, &problem))
            }
        }
    }
}

/// Reads the secret in a file that an option names; or says what is wrong with it, as a line for a person.
pub(super) fn read_secret(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    let bytes = read_private(option, path)?;
    let secret = bytes.trim_ascii_end();
    if secret.len() < KEY_MIN {
        return Err(explain(option, path, &format!("what is in it is too short; put at least {KEY_MIN} bytes there")));
    }
    Ok(secret.to_vec())
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
    options: &mut Options<E>,
) -> Result<Option<KeySource>, UsageError> {
    let path = options.given(OPTION, OPTION, None, |text| Ok(PathBuf::from(text)))?;
    let variable = (options.env)(VARIABLE).filter(|key| !key.is_empty());
    if cfg!(not(feature = "keyed")) && (path.is_some() || variable.is_some()) {
        let source = if path.is_some() { OPTION } else { VARIABLE };
        return Err(UsageError(format!("{source} is not for this build; build with the feature `keyed`")));
    }
    if let Some(path) = path {
        return Ok(Some(KeySource::Path(path)));
    }
    let Some(content) = variable else { return Ok(None) };
    // Without the value: it is a secret.
    let keys =
        keys_in(&content.into_encoded_bytes()).map_err(|problem| UsageError(format!("{VARIABLE}: {problem}")))?;
    Ok(Some(KeySource::Environment(keys)))
}

/// The keys that the content holds, or what is wrong with it.
fn keys_in(content: &[u8]) -> Result<Keys, String> {
    let lines = if is_text(content) { content.split(|&byte| byte == b'\n').collect() } else { vec![content] };
    let mut keys = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        let key = line.trim_ascii_end();
        if (1..KEY_MIN).contains(&key.len()) {
            return Err(format!("line {} is too short; a key has at least {KEY_MIN} bytes", index + 1));
        }
        keys.extend((!key.is_empty()).then(|| key.to_vec()));
    }
    match keys.len() {
        0 => Err(format!("there is no key in it; put at least {KEY_MIN} bytes there")),
        count if count > KEYS_MAX => {
            Err(format!("there are {count} keys in it; leave two, the one that seals first, each on a line"))
        }
        _ => Ok(Keys::new(keys)),
    }
}

/// Whether the content is lines of text, in UTF-8.
fn is_text(content: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\n\r\t".contains(byte);
    !content.iter().any(is_control) && str::from_utf8(content).is_ok()
}

pub(super) fn explain(option: &str, path: &Path, problem: &str) -> String {
    format!("{option} {}: {problem}", path.display())
}

/// What is in a file that only its owner can read.
fn read_private(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    let (mode, bytes) = read_with_mode(path).map_err(|error| explain(option, path, &error.to_string()))?;
    if mode & 0o077 != 0 {
        let problem = format!("others can read it; run `chmod 600 {}`", path.display());
        return Err(explain(option, path, &problem));
    }
    if bytes.len() > FILE_MAX {
        return Err(explain(option, path, &format!("it is longer than {FILE_MAX} bytes; it may be another file")));
    }
    Ok(bytes)
}

/// The permissions of a file and its content, or the beginning of a content that is too long: both of the file that was
/// opened.
fn read_with_mode(path: &Path) -> io::Result<(u32, Vec<u8>)> {
    let file = fs::File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut bytes = Vec::new();
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
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
        let given = |keys| Ok(Some(KeySource::Environment(Keys::new(keys))));
        assert_eq!(key("", Some("sixteen bytes...")), given(vec![b"sixteen bytes...".to_vec()]));
        let both = vec![b"a new one, 16 bytes".to_vec(), b"sixteen bytes...".to_vec()];
        assert_eq!(key("", Some("a new one, 16 bytes\nsixteen bytes...")), given(both));
        assert_eq!(key("--cluster-key-file /k", Some("x")), Ok(Some(KeySource::Path("/k".into()))));
        assert_eq!(key("", None), Ok(None));
        let error = key("", Some("hunter2")).unwrap_err();
        assert_eq!(error, "AUDIENCE_METER_CLUSTER_KEY: line 1 is too short; a key has at least 16 bytes");
    }

    #[test]
    fn each_line_of_a_text_is_a_key() {
        let keys = |content: &[u8]| keys_in(content);
        let these = |list: &[&[u8]]| Ok(Keys::new(list.iter().map(|key| key.to_vec()).collect()));
        let (one, two): (&[u8], &[u8]) = (b"the first of two keys", "und der zweite Schlüssel".as_bytes());
        assert_eq!(keys(one), these(&[one]));
        assert_eq!(keys(&[one, b" \t\r\n\n", two, b"\n"].concat()), these(&[one, two]));
        assert_eq!(keys(&[b"\n\n", two, b"\r\n", one].concat()), these(&[two, one]));
        assert_eq!(keys(&[b"\ta key with a tab\t in it".as_slice()].concat()), these(&[b"\ta key with a tab\t in it"]));
    }

    #[test]
    fn content_that_is_no_text_is_one_key() {
        let these = |key: &[u8]| Ok(Keys::new(vec![key.to_vec()]));
        for binary in
            [b"seventeen\nbytes\n\x00".as_slice(), b"\x1b bytes of\n no text\n.", b"\xff\xfe of no text\nat all."]
        {
            assert_eq!(keys_in(binary), these(binary), "{binary:?}");
        }
        assert_eq!(keys_in(b"\x80 and 15 bytes...\n\n"), these(b"\x80 and 15 bytes..."));
        assert_eq!(keys_in(b"\x7f short").unwrap_err(), "line 1 is too short; a key has at least 16 bytes");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let (one, short) = ("the first of three keys", "hunter2");
        let refused = |content: &str| keys_in(content.as_bytes()).unwrap_err();
        assert_eq!(refused(&format!("{one}\n\n{short}\n")), "line 3 is too short; a key has at least 16 bytes");
        assert_eq!(refused(" \n\n"), "there is no key in it; put at least 16 bytes there");
        let three = format!("{one}\n{one}\n{one}\n");
        assert_eq!(refused(&three), "there are 3 keys in it; leave two, the one that seals first, each on a line");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("audience-meter-key-{}", std::process::id()));
        let read = |mode, content: &str| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeySource::Path(path.clone()).read()
        };
        assert_eq!(
            read(0o600, "the key of this audience\n"),
            Ok(Keys::new(vec![b"the key of this audience".to_vec()]))
        );
        for mode in [0o640, 0o604, 0o660, 0o644] {
            assert!(read(mode, "the key of this audience\n").unwrap_err().contains("others can read it"), "{mode:o}");
        }
        assert!(read(0o400, "short\n").unwrap_err().contains("line 1 is too short"));
        assert!(read(0o400, &"x".repeat(4097)).unwrap_err().contains("longer than 4096 bytes"));
        fs::remove_file(&path).unwrap();
        assert!(KeySource::Path(path.clone()).read().unwrap_err().contains("No such file"));
    }
}
