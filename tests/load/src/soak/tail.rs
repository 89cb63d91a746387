//! What others append to a file, line by line.
//!
//! Owns the place up to which a file was read. It waits for nothing: a line whose end is not there yet comes later.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::Result;

/// A file that grows.
pub(super) struct Tail {
    file: File,
    /// What was read of it.
    read_bytes: u64,
    /// The beginning of a line.
    begun: Vec<u8>,
}

impl Tail {
    /// A file from its beginning on.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self { file, read_bytes: 0, begun: Vec::new() })
    }

    /// Hands out the lines that have come since.
    pub(super) fn read(&mut self, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let before = self.begun.len();
        self.file.read_to_end(&mut self.begun)?;
        self.read_bytes += (self.begun.len() - before) as u64;
        let whole = self.begun.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.begun.split_off(whole);
        let lines = std::mem::replace(&mut self.begun, rest);
        String::from_utf8_lossy(&lines).lines().try_for_each(&mut take)
    }

    /// How much of the file was read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The beginning of a line whose end has not come.
    pub(super) fn begun(&self) -> &[u8] {
        &self.begun
    }

    /// The file was cut to nothing: reads from its beginning.
    pub(super) fn rewind(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.read_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    #[test]
    fn lines_come_when_they_are_whole() {
        let path = std::env::temp_dir().join(format!("audience-bench-{}-tail", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let mut tail = Tail::new(&path).unwrap();
        let read = |tail: &mut Tail| {
            let mut lines = Vec::new();
            tail.read(|line| {
                lines.push(line.to_owned());
                Ok(())
            })
            .unwrap();
            lines
        };
        file.write_all(b"a\nb").unwrap();
        assert_eq!((read(&mut tail), tail.begun()), (vec!["a".to_owned()], &b"b"[..]));
        file.write_all(b"c\n").unwrap();
        assert_eq!((read(&mut tail), tail.read_bytes()), (vec!["bc".to_owned()], 5));
        fs::remove_file(&path).unwrap();
    }
}
