//! The keys of the daemons' network, and their replacement.
//!
//! Owns the file, and the steps by which one key becomes another while the daemons run: the new key is added, then it
//! seals, then the old one goes. It does not know who reads the file.
//!
//! Invariant: any two neighbouring steps have a key in common that both accept, and the file is whole at any time.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::chance::Chance;
use crate::Result;

/// The key file.
pub(super) struct Secrets {
    path: PathBuf,
    chance: Chance,
    /// The first one seals.
    keys: Vec<String>,
    step_count: u64,
}

impl Secrets {
    /// Writes the file with its first key.
    pub(super) fn new(path: PathBuf, chance: Chance) -> Result<Self> {
        let mut this = Self { path, chance, keys: Vec::new(), step_count: 0 };
        let first = this.draw();
        this.keys.push(first);
        this.write()?;
        Ok(this)
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Does the next step. The daemons look at the file every 5 seconds, so steps are farther apart.
    pub(super) fn step(&mut self) -> Result<()> {
        self.advance();
        self.write()
    }

    /// How many keys have gone.
    pub(super) fn replaced_count(&self) -> u64 {
        self.step_count / 3
    }

    fn advance(&mut self) {
        match self.step_count % 3 {
            0 => {
                let key = self.draw();
                self.keys.push(key);
            }
            1 => self.keys.swap(0, 1),
            _ => self.keys.truncate(1),
        }
        self.step_count += 1;
    }

    fn draw(&mut self) -> String {
        (0..32).map(|_| char::from(b'a' + u8::try_from(self.chance.below(26)).unwrap_or(0))).collect()
    }

    fn write(&self) -> Result<()> {
        let new = self.path.with_extension("new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all((self.keys.join("\n") + "\n").as_bytes())?;
        Ok(fs::rename(&new, &self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_in_a_row_have_keys_that_both_accept() {
        let path = std::env::temp_dir().join(format!("audience-bench-{}-key", std::process::id()));
        let mut secrets = Secrets::new(path.clone(), Chance::new(7, 0)).unwrap();
        let mut read = || {
            let keys: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
            secrets.step().unwrap();
            keys
        };
        let files: Vec<Vec<String>> = (0..7).map(|_| read()).collect();
        for pair in files.windows(2) {
            // What one of them seals, the other opens.
            assert!(pair[1].contains(&pair[0][0]) && pair[0].contains(&pair[1][0]), "{files:?}");
        }
        assert!(files[0].len() == 1 && files[3].len() == 1 && files[0] != files[3] && files[3] != files[6]);
        assert_eq!(secrets.replaced_count(), 2);
        fs::remove_file(&path).unwrap();
    }
}
