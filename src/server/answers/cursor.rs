//! Replies that are too long for one turn: the stats of 100,000 namespaces, a day of history.
//!
//! Owns how far each has come, and how much a piece is. The next piece is written when the peer has taken the one before.
//!
//! Invariant: a piece takes less than 20 us, however long the reply.

use crate::collections::key::Key as _;
use crate::collections::tick::Now;
use crate::meter::{HistoryCursor, Meter, Namespace, NamespaceId};
use crate::server::audience::Service;
use crate::server::figures::largest::Largest;
use crate::wire::history::{Format, HistoryWriter};
use crate::wire::reply;
use crate::wire::stats::{Figures, StatsWriter};

/// How many namespaces a piece of the stats tells: some 8 KB, about 12 us.
const NAMESPACES_PER_PIECE: usize = 32;

/// How many rows a piece of a history tells: some 14 KB, about 14 us.
const ROWS_PER_PIECE: usize = 512;

/// How many namespaces a piece of the metrics looks at: at 20 to 50 ns each, 0.2 ms.
const NAMESPACES_SEEN_PER_PIECE: usize = 4096;

/// Where a reply goes on.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Cursor {
    /// The stats, from this namespace on.
    Stats { from: NamespaceId, writer: StatsWriter },
    /// The history of a namespace.
    History { from: HistoryCursor, writer: HistoryWriter },
    /// The largest namespaces, of those before this one.
    Metrics { from: NamespaceId, largest: Largest },
}

/// What is told of a namespace, which is this one.
pub(in crate::server) fn figures_of<'a>(
    meter: &Meter,
    id: NamespaceId,
    namespace: &'a Namespace,
    now: Now,
) -> Figures<'a> {
    Figures {
        name: namespace.name(),
        created_unix_s: namespace.created_unix_s(),
        members: namespace.total(),
        modified_unix_s: namespace.modified_unix_s(),
        uncounted: namespace.uncounted(),
        accounts: meter.accounts(id, now),
    }
}

impl Cursor {
    /// The stats from the beginning.
    pub(in crate::server) fn stats() -> Self {
        Self::Stats { from: NamespaceId::FIRST, writer: StatsWriter::default() }
    }
}

impl Service {
    /// Appends the next piece of a reply to `out`; returns where it goes on, if it does.
    pub(in crate::server) fn push_piece(&mut self, mut cursor: Box<Cursor>, now: Now) -> Option<Box<Cursor>> {
        let goes_on = match &mut *cursor {
            Cursor::Stats { from, writer } => self.push_stats(from, writer, now),
            Cursor::History { from, writer } => self.push_history(from, writer, now),
            Cursor::Metrics { from, largest } => self.push_largest(from, largest),
        };
        goes_on.then_some(cursor)
    }

    /// Begins a reply with the history of this namespace, its head and what comes before the rows; `None` if there is none.
    pub(in crate::server) fn begin_history(&mut self, name: &str, format: Format, now: Now) -> Option<Box<Cursor>> {
        let from = self.meter.read_history(name, now)?;
        reply::push_open_ended_head(&mut self.out, format.content_type());
        let writer = HistoryWriter::begin(&mut self.out, name, format);
        Some(Box::new(Cursor::History { from, writer }))
    }

    fn push_stats(&mut self, from: &mut NamespaceId, writer: &mut StatsWriter, now: Now) -> bool {
        let mut namespaces = self.meter.namespaces_from(*from);
        for (id, namespace) in namespaces.by_ref().take(NAMESPACES_PER_PIECE) {
            writer.push(&mut self.out, &figures_of(&self.meter, id, namespace, now));
        }
        let next = namespaces.next().map(|(id, _)| id);
        match next {
            Some(id) => *from = id,
            None => writer.finish(&mut self.out),
        }
        next.is_some()
    }

    /// Looks at the next namespaces, and when there are no more appends the largest of them.
    fn push_largest(&mut self, from: &mut NamespaceId, largest: &mut Largest) -> bool {
        let mut namespaces = self.meter.namespaces_from(*from);
        for (_, namespace) in namespaces.by_ref().take(NAMESPACES_SEEN_PER_PIECE) {
            largest.see(namespace.name(), namespace.total());
        }
        if let Some((next, _)) = namespaces.next() {
            *from = next;
            return true;
        }
        let mut text = String::new();
        largest.push(&mut text);
        self.out.extend_from_slice(text.as_bytes());
        false
    }

    fn push_history(&mut self, from: &mut HistoryCursor, writer: &mut HistoryWriter, now: Now) -> bool {
        for _ in 0..ROWS_PER_PIECE {
            let Some((unix_s, row)) = self.meter.next_history_row(from, now) else {
                writer.finish(&mut self.out);
                return false;
            };
            writer.push(&mut self.out, unix_s, &row);
        }
        true
    }
}
