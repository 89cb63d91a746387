//! Replies that are too long for one turn: the stats of 100,000 namespaces, a day of history, the metrics of 1,024 processes.
//!
//! Owns how far each has come, and how much a piece is. The next piece is written when the peer has taken the one before.
//!
//! Invariant: a piece of the stats takes less than 30 us, one of a history less than 20 us, and one of the metrics 0.2 ms, however long the
//! reply.

use crate::collections::key::Key as _;
use crate::collections::slab::Walk;
use crate::collections::tick::Now;
use crate::meter::{HistoryCursor, Meter, Namespace, NamespaceId};
use crate::server::figures::largest::Largest;
use crate::server::figures::page::Page;
use crate::wire::history::{Format, HistoryWriter};
use crate::wire::reply;
use crate::wire::stats::{Figures, StatsWriter};

/// Namespaces in a piece of the stats: some 8 KB, about 12 us.
const NAMESPACES_PER_PIECE: usize = 32;

/// Places that are looked at for such a piece, vacant ones included: at 5 ns each, 10 us.
const PLACES_PER_PIECE: usize = 2048;

/// Rows in a piece of a history: some 14 KB, about 14 us.
const ROWS_PER_PIECE: usize = 512;

/// Places of namespaces that are looked at for a piece of the metrics: at 20 to 50 ns each, 0.2 ms.
const NAMESPACES_SEEN_PER_PIECE: usize = 4096;

/// Where a reply goes on.
#[derive(Debug)]
pub(in crate::server) enum Cursor {
    /// The stats, from this namespace on.
    Stats { from: NamespaceId, writer: StatsWriter },
    /// The history of a namespace.
    History { from: HistoryCursor, writer: HistoryWriter },
    /// The metrics of processes, and after them the largest namespaces, of those before this one.
    Metrics { page: Page, from: NamespaceId, largest: Largest },
}

impl Cursor {
    /// The stats from the beginning.
    pub(super) fn stats() -> Self {
        Self::Stats { from: NamespaceId::FIRST, writer: StatsWriter::default() }
    }

    /// The metrics from the beginning, `most` namespaces with series of their own.
    pub(super) fn metrics(page: Page, most: usize) -> Self {
        Self::Metrics { page, from: NamespaceId::FIRST, largest: Largest::new(most) }
    }

    /// Begins a reply with the history of this namespace: its head, and what comes before the rows. `None` if there is none.
    pub(super) fn begin_history(
        out: &mut Vec<u8>,
        name: &str,
        format: Format,
        meter: &mut Meter,
        now: Now,
    ) -> Option<Self> {
        let from = meter.read_history(name, now)?;
        reply::push_open_ended_head(out, format.content_type());
        let writer = HistoryWriter::begin(out, name, format);
        Some(Self::History { from, writer })
    }

    /// Appends the next piece of the reply; returns whether it goes on after that.
    pub(in crate::server) fn push_piece(&mut self, out: &mut Vec<u8>, meter: &Meter, now: Now) -> bool {
        match self {
            Self::Stats { from, writer } => push_stats(out, from, writer, meter, now),
            Self::History { from, writer } => push_history(out, from, writer, meter, now),
            Self::Metrics { page, from, largest } => push_metrics(out, page, from, largest, meter, now),
        }
    }
}

/// What is reported of a namespace, which is this one.
pub(super) fn figures_of<'a>(meter: &Meter, id: NamespaceId, namespace: &'a Namespace, now: Now) -> Figures<'a> {
    Figures {
        name: namespace.name(),
        created_unix_s: namespace.created_unix_s(now),
        members: namespace.total(),
        modified_unix_s: namespace.modified_unix_s(now),
        uncounted: namespace.uncounted(),
        waiting: namespace.waiting(),
        accounts: meter.accounts(id, now),
    }
}

fn push_stats(out: &mut Vec<u8>, from: &mut NamespaceId, writer: &mut StatsWriter, meter: &Meter, now: Now) -> bool {
    let mut walk = Walk::new(*from, PLACES_PER_PIECE);
    for _ in 0..NAMESPACES_PER_PIECE {
        let Some((id, namespace)) = meter.namespaces().step(&mut walk) else { break };
        writer.push(out, &figures_of(meter, id, namespace, now));
    }
    match walk.from {
        Some(next) => *from = next,
        None => writer.finish(out),
    }
    walk.from.is_some()
}

fn push_history(
    out: &mut Vec<u8>,
    from: &mut HistoryCursor,
    writer: &mut HistoryWriter,
    meter: &Meter,
    now: Now,
) -> bool {
    for _ in 0..ROWS_PER_PIECE {
        let Some((unix_s, row)) = meter.next_history_row(from, now) else {
            writer.finish(out);
            return false;
        };
        writer.push(out, unix_s, &row);
    }
    true
}

/// Goes on with the processes. After them looks at the next namespaces, and when there are no more appends the largest of them.
fn push_metrics(
    out: &mut Vec<u8>,
    page: &mut Page,
    from: &mut NamespaceId,
    largest: &mut Largest,
    meter: &Meter,
    now: Now,
) -> bool {
    let mut text = String::new();
    let goes_on = page.push_piece(&mut text);
    out.extend_from_slice(text.as_bytes());
    if goes_on {
        return true;
    }
    let mut walk = Walk::new(*from, NAMESPACES_SEEN_PER_PIECE);
    while let Some((_, namespace)) = meter.namespaces().step(&mut walk) {
        let age_s = now.unix_s().saturating_sub(namespace.created_unix_s(now));
        largest.see(namespace.name(), namespace.total(), age_s);
    }
    if let Some(next) = walk.from {
        *from = next;
        return true;
    }
    text.clear();
    largest.push(&mut text, |name| Some(meter.accounts(meter.find(name)?, now).reach?.people));
    out.extend_from_slice(text.as_bytes());
    false
}
