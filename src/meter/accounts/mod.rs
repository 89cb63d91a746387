//! What an event comes to: how many at most and when, for how long, and how long each of them stayed.
//!
//! Owns what follows from the sums of a namespace, and how they grow with what is heard of other nodes. Each costs O(1) for
//! each who comes or leaves. The sums over all nodes are of what each node counted itself; the peak is of the total as the
//! nodes saw it that have, or had, members there, and the largest wins. What only a bystander saw, between one report and
//! the next, is not told: it would have to be kept and told for it.
//!
//! A stay is counted from the moment the member is: who left before `--increment-delay` leaves no trace here either.
//!
//! Invariant: when all who left are told of, stays and members add up to connections, but for those of nodes that died.

pub(super) mod ending;
pub(super) mod history;
pub(super) mod stays;

use crate::collections::tick::{Now, TICK_MS};
use crate::meter::accounts::history::{Histories, HistoryCursor, Row};
use crate::meter::accounts::stays::{Stays, bucket_of};
use crate::meter::cluster::news::{Age, Peak};
use crate::meter::cluster::peers::Change;
use crate::meter::{Meter, NamespaceId};

/// What an event has come to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// All who were ever counted.
    pub connections: u64,
    /// For how many milliseconds members were counted, all of them together.
    pub member_ms: u64,
    /// The most that were there at once, and since when.
    pub peak: Peak,
    /// For how many milliseconds the event has gone on, or went on until it was empty.
    pub lasted_ms: u64,
    /// How long those stayed who have left.
    pub stays: Stays,
}

impl Accounts {
    /// How many were there on average of time, in hundredths.
    #[must_use]
    pub fn average_hundredths(&self) -> u64 {
        let average = u128::from(self.member_ms) * 100 / u128::from(self.lasted_ms.max(1));
        // The time it lasted is one of the wall clock, which may have been set.
        u64::try_from(average).unwrap_or(u64::MAX).min(self.peak.members.saturating_mul(100))
    }

    /// For how many milliseconds each of them has been there on average.
    #[must_use]
    pub fn average_watch_ms(&self) -> u64 {
        self.member_ms / self.connections.max(1)
    }
}

impl Meter {
    /// What a present namespace has come to.
    #[must_use]
    pub fn accounts(&self, id: NamespaceId, now: Now) -> Accounts {
        let namespace = self.namespaces.at(id);
        let mut stays = self.stays.get(namespace.stays);
        for (count, elsewhere) in stays.iter_mut().zip(self.stays.get(namespace.stays_elsewhere)) {
            *count += elsewhere;
        }
        let end_ms = now.unix_ms.saturating_sub(namespace.age(now).empty_ms);
        let peak = namespace.peak();
        Accounts {
            connections: namespace.connections(),
            member_ms: namespace.member_ticks(now.tick).saturating_mul(TICK_MS),
            peak: Peak { members: peak.members.max(namespace.total()), ..peak },
            lasted_ms: end_ms.saturating_sub(namespace.created_unix_s() * 1000),
            stays,
        }
    }

    /// A member that was counted for so long has left.
    pub(in crate::meter) fn note_stay(&mut self, id: NamespaceId, ticks: u64, now: Now) {
        let namespace = self.namespaces.at_mut(id);
        self.stays.add_one(&mut namespace.stays, bucket_of(ticks * TICK_MS));
        self.note_total(id, 0, now);
    }

    /// Takes over what has changed at another node, and what that knows of the namespace as a whole.
    pub(in crate::meter) fn take_over(&mut self, id: NamespaceId, change: &Change, age: Age, peak: Peak, now: Now) {
        let namespace = self.namespaces.at_mut(id);
        namespace.hear_of_others(change, age, now);
        self.stays.add(&mut namespace.stays_elsewhere, &change.stays);
        namespace.merge_peak(peak);
        if self.note_total(id, change.joins, now) {
            // Nobody may have seen it but this node.
            self.touch_share(id);
        }
        self.reschedule(id, now);
    }

    /// Keeps the histories of so many namespaces, the largest.
    pub fn keep_histories(&mut self, limit: usize) {
        self.histories = Histories::new(limit);
    }

    /// Begins to read the history of a namespace, which may be forgotten already, from the oldest row on; `None` if there is
    /// none.
    pub fn read_history(&mut self, name: &str, now: Now) -> Option<HistoryCursor> {
        self.histories.read(name, now)
    }

    /// The next row, with when it began in seconds since 1970; the last is of the minute that goes on.
    pub fn next_history_row(&self, cursor: &mut HistoryCursor, now: Now) -> Option<(u64, Row)> {
        self.histories.next_row(cursor, now)
    }

    /// The total has changed, as so many came who are known of. Returns whether it was never as large.
    pub(in crate::meter) fn note_total(&mut self, id: NamespaceId, joins: u64, now: Now) -> bool {
        let namespace = self.namespaces.at_mut(id);
        namespace.history = self.histories.note(namespace.history, &namespace.name, namespace.total(), joins, now);
        let is_peak = namespace.is_at_its_peak() && namespace.share.is_some();
        if is_peak {
            namespace.merge_peak(Peak { members: namespace.total(), at_unix_s: now.unix_s() });
        }
        self.note_change(id);
        is_peak
    }
}
