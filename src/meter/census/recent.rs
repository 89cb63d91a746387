//! The hashes that this node counted last: what it announces, and announces again.
//!
//! Owns which of them are fresh, and since which version of the journal none is missing. It knows neither the key nor how many
//! people there are.
//!
//! Invariant: at most [`RECENT_MAX`] are kept, and what is dropped before it was announced is remembered as lost.

use crate::collections::sections::{Reader, Writer};
use crate::meter::news::census::{FINDINGS_BYTES_MAX, MARK_BYTES};

/// How many hashes are kept: what fits with a count.
pub(super) const RECENT_MAX: usize = FINDINGS_BYTES_MAX / MARK_BYTES;

/// The last hashes of people who were counted here.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The latest is at the end.
    hashes: Vec<u64>,
    /// How many of them are not announced yet.
    fresh_count: usize,
    /// Whether some that were not announced are among them no more.
    has_lost_fresh: bool,
    /// The version after which all that was counted here is among them.
    since: u64,
}

impl Recent {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { hashes, fresh_count, has_lost_fresh, since } = self;
        out.count(*fresh_count);
        out.flag(*has_lost_fresh);
        out.number(*since);
        out.count(hashes.len());
        for &hash in hashes {
            out.number(hash);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (fresh_count, has_lost_fresh, since) = (from.size(), from.flag(), from.number());
        let (mut hashes, mut list) = (Vec::new(), from.list());
        while from.has_next(&mut list) {
            hashes.push(from.number());
        }
        from.check(fresh_count <= hashes.len(), "more people to announce than there are");
        Self { fresh_count: fresh_count.min(hashes.len()), hashes, has_lost_fresh, since }
    }

    /// A hash is counted, at this version of the journal.
    pub(super) fn push(&mut self, hash: u64, version: u64) {
        if self.hashes.len() >= RECENT_MAX {
            self.hashes.drain(..RECENT_MAX / 2);
            self.has_lost_fresh |= self.fresh_count > self.hashes.len();
            self.fresh_count = self.fresh_count.min(self.hashes.len());
            self.since = version;
        }
        self.hashes.push(hash);
        self.fresh_count += 1;
    }

    /// All of them.
    pub(super) fn all(&self) -> &[u64] {
        &self.hashes
    }

    /// Those that are not announced yet.
    pub(super) fn fresh(&self) -> &[u64] {
        self.hashes.get(self.hashes.len() - self.fresh_count..).unwrap_or_default()
    }

    /// Whether there are some to announce that are not kept.
    pub(super) fn has_lost_fresh(&self) -> bool {
        self.has_lost_fresh
    }

    /// Whether a node lacks none but these, if it knows all that was announced up to this version.
    pub(super) fn suffice_after(&self, version: u64) -> bool {
        version > 0 && version >= self.since && !self.has_lost_fresh
    }

    /// They were announced.
    pub(super) fn mark_announced(&mut self) {
        (self.fresh_count, self.has_lost_fresh) = (0, false);
    }

    /// All of them were announced, at this version of the journal, and none has to be kept.
    pub(super) fn forget_announced(&mut self, version: u64) {
        *self = Self { since: version, ..Self::default() };
    }

    /// They are worth nothing.
    pub(super) fn clear(&mut self) {
        *self = Self { since: self.since, ..Self::default() };
    }
}
