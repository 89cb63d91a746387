//! What a port does when it is nearly full of those who take their time.
//!
//! Owns how many heads each port may wait for, and what the kernel is asked when it waits for so many. Whoever comes with a
//! whole head is served all the same: it is not known to be better than the others, but it costs next to nothing.
//!
//! Invariant: those who say nothing, or never end, leave a part of each port to the others.

use super::listeners::{Listener, Listeners};
use crate::log;
use crate::reactor::listening;
use crate::server::conns::Conns;
use crate::server::conns::conn::Port;

/// Of four connections that a side port may have, how many may be heads that are waited for.
const HEADS_OF_FOUR: usize = 3;

/// Side ports at which whoever comes says something at once, and is handed over by the kernel together with it. At the stats
/// port `nc` says nothing, and is answered.
const SPOKEN_TO: [Port; 2] = [Port::Notification, Port::Demo];

impl Listeners {
    /// How many connections of a port may be waited for that have not sent a whole head.
    pub(in crate::server) fn heads_max(&self, port: Port) -> usize {
        if port == Port::Audience { self.max_heads } else { self.room.side_port * HEADS_OF_FOUR / 4 }
    }

    /// Whether a side port has so many connections that none is kept open for one that has its answer.
    pub(in crate::server) fn is_crowded(&self, port: Port, conns: &Conns) -> bool {
        port != Port::Audience && conns.on_port(port) >= self.heads_max(port)
    }

    /// While as many heads are waited for as may be, whoever comes to the audience port without one is turned away. Most come a
    /// moment before theirs, so the kernel is asked to hand them over together. (Not always: one who says nothing would cost
    /// the kernel a second's memory and be answered a second late.)
    pub(super) fn defer_silence(&mut self, heads: usize) {
        let slack = if self.is_silence_deferred { self.max_heads / 4 } else { 0 };
        let is_wanted = heads >= self.max_heads - slack;
        if is_wanted == self.is_silence_deferred {
            return;
        }
        self.is_silence_deferred = is_wanted;
        for listener in self.sockets.iter().filter(|listener| listener.port == Port::Audience) {
            defer(listener, is_wanted);
        }
        log::info(format_args!("event=heads waited_for={heads} deferred={is_wanted}"));
    }

    /// Has whoever comes without a head wait outside, at ports where few can be waited for.
    pub(super) fn defer_silence_at_side_ports(&self) {
        for listener in self.sockets.iter().filter(|listener| SPOKEN_TO.contains(&listener.port)) {
            defer(listener, true);
        }
    }
}

fn defer(listener: &Listener, is_wanted: bool) {
    if let Err(error) = listening::defer_silent(listener.socket.source(), is_wanted) {
        log::warn(format_args!("event=listener port={} error={:?}", listener.port, error.to_string()));
    }
}
