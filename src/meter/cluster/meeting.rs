//! A node that is not known to be there.
//!
//! Owns the step from a stranger to a peer: it is asked to prove that it is there, and is one once its answer has come. It does
//! not know what a peer's datagrams change.
//!
//! Invariant: nothing is kept of a node until it has repeated the nonce that it was sent.

use super::peers::PeerId;
use super::questions::earned_by;
use super::rejection::Rejection;
use super::transit::Transit;
use super::{Call, Cluster, goodbye, peer};
use crate::meter::news::{Ask, Datagram, Echo, News, Origin, To, Wanted};

/// The node that sent a datagram, which is not known to be there. Once it repeats the nonce that it was sent, it is.
pub(super) fn meet(
    known: Option<PeerId>,
    datagram: &Datagram<&str>,
    origin: Origin,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) -> Result<PeerId, Rejection> {
    let (now, own) = (call.now.tick, cluster.node());
    let alive = match datagram.news {
        News::Bye(farewell) => {
            goodbye::receive_again(known, farewell, origin, cluster, call);
            return Err(Rejection::NeverThere);
        }
        News::Alive(alive) => Some(alive),
        _ => None,
    };
    let is_proof =
        |echo: Echo| echo.asker == own && cluster.questions.is_proof(echo.nonce, datagram.sender, origin, now);
    // One whose members are still being removed is asked again.
    let is_free = cluster.peers.is_free(datagram.sender);
    let Some(alive) = alive.filter(|alive| is_free && alive.echo.is_some_and(is_proof)) else {
        ask_stranger(datagram, origin, cluster, call);
        return Err(Rejection::Unproven);
    };
    if cluster.peers.living_count() >= cluster.rules.nodes_max {
        return Err(Rejection::TooManyNodes);
    }
    let id = known.unwrap_or_else(|| cluster.peers.insert(cluster.peers.fold.name_of(datagram.sender).1, now));
    if cluster.peers.at(id).is_remembered() {
        cluster.questions.reunion.record_return(now);
    }
    cluster.peers.revive(id);
    let peer = cluster.peers.at_mut(id);
    peer.node = datagram.sender;
    peer.restart(datagram.number, origin, now);
    (peer.proof, peer.base, peer.promise) = (datagram.number, alive.version, alive.promise);
    peer.last_word = peer::LastWord::None;
    peer.newest_format = datagram.format.newest;
    peer.pairs.set_clock(datagram.clock, now);
    peer.transit = Transit::new(datagram.clock, now);
    cluster.agree_on_format();
    call.book.censuses.mention_all();
    cluster.announcer.hasten_sign_of_life(call.now);
    cluster.announcer.hasten_counters(&cluster.peers, &cluster.rules, call.now);
    Ok(id)
}

/// Asks a node to prove that it is there, and answers its own question. Its answer comes first then, and it may ask for what
/// there is as soon as it has this node's.
fn ask_stranger(datagram: &Datagram<&str>, origin: Origin, cluster: &mut Cluster, call: &mut Call<'_>) {
    if cluster.announcer.has_departed() {
        return;
    }
    let asked = if let News::Ask(ask) = datagram.news { Some(ask) } else { None };
    let Cluster { announcer, questions, peers, .. } = cluster;
    let nonce = questions.nonce_for_stranger(datagram.sender, origin, earned_by(&datagram.news), call.now.tick);
    if let Some(nonce) = nonce {
        let ask = Ask { of: Some(datagram.sender), wanted: Wanted::Items { since: 0 }, nonce };
        announcer.send_to(To::Origin(origin), News::Ask(ask), call.outputs, call.now);
    }
    if let Some(ask) = asked.filter(|ask| ask.of.is_none_or(|of| of == announcer.node())) {
        let echo = Echo { asker: datagram.sender, nonce: ask.nonce };
        announcer.answer(echo, origin, peers, call.book, call.outputs, call.now);
    }
}
