//! How a node departs, and which of the nodes that end together reports what ends with them.
//!
//! Owns the conversation. A node repeats its goodbye, and each other node answers it. One that goes on takes it for gone, and
//! is answerable for its events from then on: one such answer is enough, and the node says that it is covered. One that
//! departs too keeps it among the living. Once all others have answered so, the one with the least name of those that are
//! not covered reports, and says that it does; the rest waits for that word.
//!
//! No order of the network is needed, so this holds whatever way the goodbyes take. It does not know for how long the process
//! waits.
//!
//! Invariant: of nodes that have answered each other, one reports.

use super::announce::Announcer;
use super::peer::LastWord;
use super::peers::PeerId;
use super::proofs::promise_of;
use super::{Call, Cluster};
use crate::collections::tick::Now;
use crate::meter::book::journal::Stretch;
use crate::meter::news::{Farewell, News, NodeId, Origin, Stance, To};

/// Announces all fresh news, and says goodbye: twice now, and from then on in the place of signs of life.
pub(super) fn begin(cluster: &mut Cluster, call: &mut Call<'_>) {
    let (Cluster { announcer, peers, .. }, Call { book, outputs, now }) = (cluster, call);
    while announcer.announce_stretch(Stretch::Fresh, peers, book, outputs, *now) {}
    announcer.stance = Stance::Departs;
    announcer.say_goodbye(book, outputs, *now);
    announcer.say_goodbye(book, outputs, *now);
}

/// A living peer says goodbye.
pub(super) fn receive(id: PeerId, origin: Origin, cluster: &mut Cluster, call: &mut Call<'_>) {
    let stance = cluster.announcer.stance;
    let peer = cluster.peers.at_mut(id);
    let node = peer.node;
    peer.last_word = peer.last_word.max(LastWord::Goodbye);
    answer(node, stance, origin, cluster, call);
    if stance == Stance::GoesOn {
        cluster.depart(id, call);
    }
}

/// A node says goodbye that has said so before, and is gone.
pub(super) fn receive_again(
    known: Option<PeerId>,
    farewell: Farewell,
    origin: Origin,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) {
    let Some(peer) = known.map(|id| cluster.peers.at(id)) else { return };
    if promise_of(farewell) == peer.promise {
        answer(peer.node, Stance::GoesOn, origin, cluster, call);
    }
}

/// A living peer has received the goodbye of a node, and says where it stands itself.
pub(super) fn take_answer(id: PeerId, of: NodeId, stance: Stance, version: u64, cluster: &mut Cluster, now: Now) {
    let is_of_own = of == cluster.node();
    let peer = cluster.peers.at_mut(id);
    let word = match stance {
        _ if cluster.announcer.stance == Stance::GoesOn => return,
        Stance::GoesOn if is_of_own => return take_stance(Stance::Covered, &mut cluster.announcer, now),
        Stance::Departs if is_of_own => LastWord::Departs,
        Stance::GoesOn | Stance::Departs => return,
        Stance::Covered => LastWord::Covered,
        Stance::Reports => LastWord::Reports,
    };
    peer.last_word = peer.last_word.max(word);
    peer.version = peer.version.max(version);
}

/// Whether this node reports the events that end with it; `None` while that is not known, unless it is too late to wait.
pub(super) fn decide(is_late: bool, cluster: &mut Cluster, call: &Call<'_>) -> Option<bool> {
    let own = cluster.node();
    let Cluster { announcer, peers, .. } = cluster;
    if announcer.stance == Stance::Covered || peers.living().any(|peer| peer.last_word == LastWord::Reports) {
        return Some(false);
    }
    if !is_late && peers.living().any(|peer| peer.last_word < LastWord::Departs || peer.is_ahead()) {
        return None;
    }
    // A node that has not answered by then has died.
    if peers.living().filter(|peer| peer.is_departing()).all(|peer| peer.node > own) {
        take_stance(Stance::Reports, announcer, call.now);
        return Some(true);
    }
    is_late.then_some(false)
}

/// Where this node stands is said at once, and again.
fn take_stance(stance: Stance, announcer: &mut Announcer, now: Now) {
    announcer.stance = stance;
    announcer.alive_at = now.tick;
}

fn answer(of: NodeId, stance: Stance, origin: Origin, cluster: &mut Cluster, call: &mut Call<'_>) {
    let answer = News::GoodbyeReceived { of, stance, version: call.book.journal.version() };
    cluster.announcer.send_to(To::Origin(origin), answer, call.outputs, call.now);
}
