//! Secrets: the keys that all nodes of an audience share, those of a site that signs addresses, and the tokens of the side
//! ports. (`credentials` has those of brokers.)
//!
//! Owns where they come from, a file or the environment, and refuses what is no secret. It never prints one.
//!
//! Keys are lines: one, or two while one replaces the other. Content that is no text is one key as a whole, as
//! `head -c 32 /dev/urandom` makes it.
//!
//! A file that others can read is refused, with one exception: a secret as Kubernetes and Docker mount it, which this process
//! could neither have written nor make private. There, the host has decided about it.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::options::{Options, UsageError};
use super::variables::secret_variable;
use crate::log::{self, Value::Shown};
use crate::reactor::sys;
use crate::wire::report::{KEY_MIN, Keys};

/// How long a file with a secret may be in bytes; a longer one is another file.
const FILE_MAX: usize = 4096;

/// Most keys at a time: the one that seals, and the one before or after it.
const KEYS_MAX: usize = 2;

/// A file with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The option or the variable that names it.
    source: String,
    path: PathBuf,
    /// What was in it when the supervisor read it last, for a worker that has not read it itself.
    handed_on: Option<Vec<u8>>,
}

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(SecretFile),
    /// In the environment.
    Environment(Keys),
}

/// Where a token is that has to come with requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// In a file.
    File(SecretFile),
    /// In the environment.
    Environment(Vec<u8>),
}

impl KeySource {
    /// Its file, if it is one.
    pub(super) fn file(&mut self) -> Option<&mut SecretFile> {
        if let Self::File(file) = self { Some(file) } else { None }
    }

    /// Reads the keys: one at least, and all are of a length.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that has too little or too much in it, as a line for a person.
    pub fn read(&self) -> Result<Keys, String> {
        match self {
            Self::Environment(keys) => Ok(keys.clone()),
            Self::File(file) => file.read_with(keys_in),
        }
    }
}

impl TokenSource {
    /// Reads the options: the file that `option` names, or the token itself in the variable beside it.
    pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
        options: &mut Options<E>,
        option: &'static str,
    ) -> Result<Option<Self>, UsageError> {
        if let Some(file) = SecretFile::parse(options, option)? {
            return Ok(Some(Self::File(file)));
        }
        let variable = secret_variable(option);
        let Some(content) = (options.env)(&variable).filter(|token| !token.is_empty()) else { return Ok(None) };
        // Without the value: it is a secret.
        let token = token_in(&content.into_encoded_bytes());
        token
            .map(|token| Some(Self::Environment(token)))
            .map_err(|problem| UsageError(format!("{variable}: {problem}")))
    }

    /// Reads the token.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, that has too little in it, or what cannot come in a field, as a
    /// line for a person.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Environment(token) => Ok(token.clone()),
            Self::File(file) => file.read_with(token_in),
        }
    }

    /// Its file, if it is one.
    pub(super) fn file(&mut self) -> Option<&mut SecretFile> {
        if let Self::File(file) = self { Some(file) } else { None }
    }
}

impl SecretFile {
    pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
        options: &mut Options<E>,
        option: &'static str,
    ) -> Result<Option<Self>, UsageError> {
        let path = options.given(option, |text| Ok(PathBuf::from(text)))?;
        Ok(path.map(|path| Self { source: options.source(option), path, handed_on: None }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it, as a line for a person.
    pub(super) fn explain(&self, problem: &str) -> String {
        format!("{} {}: {problem}", self.source, self.path.display())
    }

    /// What is in it, as `parse` takes it.
    pub(super) fn read_with<T>(&self, parse: fn(&[u8]) -> Result<T, String>) -> Result<T, String> {
        let read = if self.handed_on.is_some() { None } else { Some(self.read()?) };
        let content = self.handed_on.as_ref().or(read.as_ref()).map_or(&[][..], |content| content);
        parse(content).map_err(|problem| self.explain(&problem))
    }

    /// Takes what the supervisor has read; with `None` the file is read again from now on.
    pub(super) fn set_handed_on(&mut self, content: Option<Vec<u8>>) {
        self.handed_on = content;
    }

    /// Whether the supervisor has read it.
    pub(super) fn is_handed_on(&self) -> bool {
        self.handed_on.is_some()
    }

    /// What is in it, if only its owner can read it, or the host has given it.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        let (metadata, is_given, bytes) = self.open().map_err(|error| self.explain(&error.to_string()))?;
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            if !is_given {
                return Err(self.explain(&format!("others can read it; run `chmod 600 {}`", self.path.display())));
            }
            let fields = [("path", Shown(&self.path.display())), ("mode", Shown(&format_args!("{mode:04o}")))];
            log::warn("secret_readable", &fields);
        }
        if bytes.len() > FILE_MAX {
            return Err(self.explain(&format!("it is longer than {FILE_MAX} bytes; it may be another file")));
        }
        Ok(bytes)
    }

    /// What is known of the file, whether the host has given it, and its content, or the beginning of one that is too long:
    /// all of the file that was opened.
    fn open(&self) -> io::Result<(Metadata, bool, Vec<u8>)> {
        let file = fs::File::open(&self.path)?;
        let metadata = file.metadata()?;
        let is_given = self.is_given(&file, &metadata);
        let mut bytes = Vec::new();
        file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok((metadata, is_given, bytes))
    }

    /// Whether this process could not have written the file: it is on a mount that is read-only, or it is root's, and only
    /// root can write it.
    fn is_given(&self, file: &fs::File, metadata: &Metadata) -> bool {
        let is_roots = metadata.uid() == 0 && metadata.mode() & 0o022 == 0;
        sys::is_read_only(file) || is_roots && sys::may_write(&self.path).is_err()
    }
}

/// Reads the options of keys: the file that `option` names, or the keys themselves in the variable beside it.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
    options: &mut Options<E>,
    option: &'static str,
) -> Result<Option<KeySource>, UsageError> {
    let variable = secret_variable(option);
    let file = SecretFile::parse(options, option)?;
    let content = (options.env)(&variable).filter(|key| !key.is_empty());
    if cfg!(not(feature = "keyed")) && (file.is_some() || content.is_some()) {
        let source = file.map_or(variable, |file| file.source);
        return Err(UsageError(format!("{source} is not for this build; build with the feature `keyed`")));
    }
    if let Some(file) = file {
        return Ok(Some(KeySource::File(file)));
    }
    let Some(content) = content else { return Ok(None) };
    // Without the value: it is a secret.
    let keys =
        keys_in(&content.into_encoded_bytes()).map_err(|problem| UsageError(format!("{variable}: {problem}")))?;
    Ok(Some(KeySource::Environment(keys)))
}

/// The token that the content is, or what is wrong with it.
pub(super) fn token_in(content: &[u8]) -> Result<Vec<u8>, String> {
    let token = content.trim_ascii_end();
    if token.len() < KEY_MIN {
        return Err(format!("what is in it is too short; put at least {KEY_MIN} bytes there"));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err("a token is visible ASCII, without spaces".to_owned());
    }
    Ok(token.to_vec())
}

/// The keys that the content holds, or what is wrong with it.
pub(super) fn keys_in(content: &[u8]) -> Result<Keys, String> {
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
            Err(format!("there are {count} keys in it; leave two, the one that seals or signs first, each on a line"))
        }
        _ => Ok(Keys::new(keys)),
    }
}

/// Whether the content is lines of text, in UTF-8.
fn is_text(content: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\n\r\t".contains(byte);
    !content.iter().any(is_control) && str::from_utf8(content).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};
    use std::os::unix::fs::PermissionsExt as _;

    const OPTION: &str = "--cluster-key-file";

    fn file(path: impl Into<PathBuf>) -> SecretFile {
        SecretFile { source: OPTION.to_owned(), path: path.into(), handed_on: None }
    }

    fn key(line: &str, variable: Option<&str>) -> Result<Option<KeySource>, String> {
        let args = line.split_whitespace().map(OsString::from).collect();
        match parse(args, |name| variable.filter(|_| name == "AUDIENCE_METER_CLUSTER_KEY").map(OsString::from)) {
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
        assert_eq!(key("--cluster-key-file /k", Some("x")), Ok(Some(KeySource::File(file("/k")))));
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
        assert_eq!(
            refused(&three),
            "there are 3 keys in it; leave two, the one that seals or signs first, each on a line"
        );
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("audience-meter-key-{}", std::process::id()));
        let read = |mode, content: &str| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeySource::File(file(&path)).read()
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
        assert!(KeySource::File(file(&path)).read().unwrap_err().contains("No such file"));
    }
}
