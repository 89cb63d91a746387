//! What is due when time has come.
//!
//! Owns the order of it, and the budgets of a turn. What is done in each step, the book and the cluster know.
//!
//! Invariant: after a call the next deadline is later than now, or there was more to do than fits into a turn.

use super::book::schedule::Due;
use super::book::{counting, elsewhere, patience, people, succession};
use super::cluster::{Call, Cluster, ends};
use super::output::Output;

/// How many members are counted, timers of namespaces fire, and counts are pushed in one turn: 0.4 us each, 0.3 ms in all.
pub(super) const TIMEOUTS_PER_TURN: usize = 256;

/// A namespace is forgotten at each peer, too; this number of peers costs as much as another timer.
const PEERS_PER_TIMEOUT: usize = 32;

/// Counts what stayed long enough, decides what is pushed and forgets what is empty, as much as fits into a turn.
pub(super) fn handle(is_bus_drained: bool, cluster: &mut Cluster, call: &mut Call<'_>) {
    let now = call.now;
    counting::count_pending(TIMEOUTS_PER_TURN, call.book, now);
    patience::expire(TIMEOUTS_PER_TURN, call.book, now);
    succession::advance(TIMEOUTS_PER_TURN, call.book, now);
    people::settle(TIMEOUTS_PER_TURN, call.book, now);
    if cluster.is_reachable() {
        cluster.handle_timeout(is_bus_drained, call);
    }
    elsewhere::forget_reports(TIMEOUTS_PER_TURN, call.book, now);
    call.book.schedule.set_late(!is_bus_drained);
    call.book.schedule.expire(now.tick);
    let mut budget = TIMEOUTS_PER_TURN;
    while budget > 0 {
        let Some(id) = call.book.schedule.pop_due() else { break };
        budget -= 1;
        if call.book.at(id).is_vacant() {
            ends::forget(id, cluster, call);
            budget = budget.saturating_sub(cluster.peer_count() / PEERS_PER_TIMEOUT);
        } else {
            call.book.mark_ready(id);
        }
    }
    for _ in 0..TIMEOUTS_PER_TURN {
        let Some(id) = call.book.schedule.pop_ready() else { break };
        match call.book.decide(id, now) {
            Some(Due::Push(push)) => call.outputs.push_back(Output::Count {
                namespace: id,
                total: push.total,
                skip_newest: push.skip_newest,
            }),
            Some(Due::Forget) => ends::forget(id, cluster, call),
            None => {}
        }
    }
}
